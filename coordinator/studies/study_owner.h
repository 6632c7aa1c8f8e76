// A study's name belongs to its file: another file of the same name is another study.
#pragma once

#include <optional>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "experiments/expansion/study.h"

namespace orchestrate {

// Why the study cannot be run in this database: a study of its name was read from another file there, which still exists
// and says something else. Nothing if it can: the name is new, the file is the same one (whatever path leads to it), the
// other file is gone (moved or renamed), or both have the same text (a copied directory).
std::optional<std::string> name_conflict(const Study& study, SQLite::Database& database);

}  // namespace orchestrate
