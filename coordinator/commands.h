// The commands of `orchestrate`, apart from the parsing of their arguments. Each returns the exit code of the
// program: 0 all well, 1 failed (some jobs failed, or something broke), 2 a mistake of the person's (thrown
// as UserError or StudyError), 130 interrupted.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "results/tables.h"

namespace orchestrate {

struct RunArguments {
    std::filesystem::path file;
    std::filesystem::path database;
    std::vector<std::string> overrides;
    int workers = 0;         // 0: what the study says
    bool take_over = false;  // replace a silent coordinator on another host
    double heartbeat_seconds = 4;
};
int run_study(const RunArguments& arguments, const std::string& program_version);

int show_table(const std::filesystem::path& database, const std::optional<std::string>& study,
               const std::optional<std::string>& stage, OutputFormat format);

int run_query(const std::filesystem::path& database, const std::string& sql, OutputFormat format);

// Of the coordinator that runs now, if there is one; else what the database says.
int show_status(const std::filesystem::path& database, OutputFormat format);

int show_logs(const std::filesystem::path& database, const std::string& job, bool only_paths);

// Saved models that no study keeps any more: shown, with their sizes, or removed.
int collect_models(const std::filesystem::path& database, bool remove);

int write_sample_data(const std::optional<std::filesystem::path>& destination, int rows_per_genre,
                      std::uint64_t seed);

}  // namespace orchestrate
