// Which saved models are kept, and the removal of the others. A model is kept as long as a study that names its job
// says so: study.save_models = "all"; or "best", and its stage is not over yet, or its variant is the stage's baseline
// or one of its best.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/job/ids.h"

namespace orchestrate {

struct RetainedModel {
    JobId job;
    std::string title;  // "without energy, seed 2" of one of its variants
    std::string sha256;
    std::int64_t bytes = 0;
    bool kept = false;
};

// In order of jobs. Reads only.
std::vector<RetainedModel> judge_models(SQLite::Database& database);

// A directory in the place of models that no job names: of an attempt that ended too early. It has the name of a model,
// or of one that was being written.
struct UnnamedFolder {
    std::filesystem::path folder;
    std::int64_t bytes = 0;
};

// Those that have not been changed for `age`: a younger one may still be written, or its result be on its way.
std::vector<UnnamedFolder> unnamed_folders(SQLite::Database& database, const std::filesystem::path& models,
                                           std::chrono::seconds age);

// Removes what is not kept from the database, then from the disk, so that the database never names what is not there;
// what is cut off in between is an unnamed folder. `directory` is that of the database's own models: a model is found
// there by its hash, and paths that the database stores are not followed. Only a real directory whose content has the hash
// of its name is removed, or one that was being written. The caller holds the database's lock. Models that are left as they
// are stay in the database. Throws SQLite::Exception and std::filesystem::filesystem_error.
struct Removal {
    std::int64_t models = 0;       // that the database names no longer
    std::int64_t model_bytes = 0;  // of their directories that were there
    std::int64_t unnamed_folders = 0;
    std::int64_t unnamed_bytes = 0;
    std::vector<std::string> left;  // what was left as it is and why, one sentence each
};
Removal remove_models(SQLite::Database& database, const std::filesystem::path& directory,
                      const std::vector<RetainedModel>& models, const std::vector<UnnamedFolder>& unnamed);

}  // namespace orchestrate
