// `orchestrate collect`.
#include <iostream>
#include <optional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "coordinator/artifacts/left_checkpoints.h"
#include "coordinator/artifacts/model_retention.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/database/database_lock.h"
#include "coordinator/database/read_database.h"
#include "coordinator/store/job_store.h"

namespace orchestrate {
namespace {

// A folder that no job names may be of an attempt whose result is on its way; not for so long.
constexpr std::chrono::hours kUnnamedAge{24};

std::string megabytes(std::int64_t bytes) {
    return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

int collect_models(const std::filesystem::path& database, bool remove) {
    // While a coordinator lives, workers save models and it alone writes.
    std::optional<DatabaseLock> lock;
    if (remove) {
        open_to_read(database);  // a mistyped name makes no database
        lock.emplace(database);
    }
    SQLite::Database connection =
        remove ? SQLite::Database(lock->place().path, SQLite::OPEN_READWRITE) : open_to_read(database);
    const auto models_directory = state_folder(database) / "models";
    const auto models = judge_models(connection);
    const auto unnamed = unnamed_folders(connection, models_directory, kUnnamedAge);
    const auto left_over = left_checkpoints(connection, CheckpointFolders(state_folder(database)));
    const auto needed = needed_checkpoints(connection, CheckpointFolders(state_folder(database)));
    std::int64_t kept = 0;
    std::int64_t kept_bytes = 0;
    std::int64_t lost = 0;
    std::int64_t lost_bytes = 0;
    for (const auto& model : models) {
        (model.kept ? kept : lost) += 1;
        (model.kept ? kept_bytes : lost_bytes) += model.bytes;
        if (!model.kept) {
            std::cout << fmt::format("job {:<5} {:.44}  {:>10}  {:.12}\n", model.job,
                                     fmt::format("{:<44}", model.title), megabytes(model.bytes),
                                     model.sha256);
        }
    }
    std::int64_t unnamed_bytes = 0;
    for (const auto& [folder, bytes] : unnamed) {
        unnamed_bytes += bytes;
        std::cout << fmt::format("no job    {:.44}  {:>10}\n",
                                 fmt::format("{:<44}", folder.filename().string()), megabytes(bytes));
    }
    std::int64_t checkpoint_bytes = 0;
    for (const auto& checkpoints : left_over) {
        checkpoint_bytes += checkpoints.bytes;
        std::cout << fmt::format("job {:<5} {:.20}  {:>10}  checkpoints: {}\n", checkpoints.job,
                                 fmt::format("{:<20}", checkpoints.title), megabytes(checkpoints.bytes),
                                 checkpoints.reason);
    }
    const auto checkpoint_count = static_cast<std::int64_t>(left_over.size());
    const auto unnamed_count = static_cast<std::int64_t>(unnamed.size());
    const auto line = [](const char* what, const std::string& count, std::int64_t bytes) {
        std::cout << fmt::format("{:<38}{:>12}{:>14}\n", what, count, megabytes(bytes));
    };
    line("kept", counted(kept, "model"), kept_bytes);
    if (needed.jobs > 0) {
        line("checkpoints that jobs continue from", counted(needed.jobs, "job"), needed.bytes);
    }
    if (remove) {
        connection.setBusyTimeout(10'000);
        const Removal removal = remove_models(connection, models_directory, models, unnamed);
        line("removed, as no study keeps them", counted(removal.models, "model"), removal.model_bytes);
        if (unnamed_count > 0) {
            line("removed, as no job names them",
                 counted(removal.unnamed_folders, "directory", "directories"), removal.unnamed_bytes);
        }
        remove_checkpoints(connection, left_over);
        if (checkpoint_count > 0) {
            line("removed checkpoints", counted(checkpoint_count, "job"), checkpoint_bytes);
        }
        for (const auto& reason : removal.left) {
            std::cerr << "orchestrate: " << reason << "\n";
        }
        return removal.left.empty() ? 0 : 1;
    }
    line("that no study keeps", counted(lost, "model"), lost_bytes);
    if (unnamed_count > 0) {
        line("that no job names", counted(unnamed_count, "directory", "directories"), unnamed_bytes);
    }
    if (checkpoint_count > 0) {
        line("checkpoints that nothing waits for", counted(checkpoint_count, "job"), checkpoint_bytes);
    }
    if (lost + unnamed_count + checkpoint_count > 0) {
        std::cout << "nothing was removed: that is done by `orchestrate collect --remove`\n";
    }
    return 0;
}

}  // namespace

void add_collect_command(CommandLine& line) {
    struct Options {
        std::string database = kDefaultDatabase;
        bool remove = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = line.add("collect",
                                 "Show saved models that no study keeps, and checkpoints of jobs that "
                                 "failed, were cancelled or stopped early; --remove removes them",
                                 [options] { return collect_models(options->database, options->remove); });
    add_database(command, options->database);
    command.add_flag("--remove", options->remove, "Remove them from the disk and the database");
}

}  // namespace orchestrate
