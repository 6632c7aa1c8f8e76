#include "coordinator/artifacts/checkpoint_folders.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <random>
#include <set>
#include <system_error>

#include <fmt/format.h>

#include "common/job/command_checkpoints.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".safetensors";
constexpr const char* kMarkName = "this-folder";
constexpr std::size_t kMaxSpares = 1024;
constexpr std::size_t kKeptAttempts = 2;  // of a command, that hold finished files

// The number in a name made of prefix, digits and suffix.
std::optional<std::int64_t> number_in(std::string_view name, std::string_view prefix,
                                      std::string_view suffix) {
    if (!name.starts_with(prefix) || !name.ends_with(suffix) ||
        name.size() <= prefix.size() + suffix.size()) {
        return std::nullopt;
    }
    name.remove_prefix(prefix.size());
    name.remove_suffix(suffix.size());
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    return error == std::errc() && end == name.data() + name.size() ? std::optional(number) : std::nullopt;
}

// The step in the name of a checkpoint; `ending` follows a whole one's name.
std::optional<std::int64_t> step_in(const std::string& name, const std::string& ending = "") {
    return number_in(name, "step-", kSuffix + ending);
}

std::string random_text() {
    std::random_device random;
    std::string text;
    for (int i = 0; i < 8; ++i) {
        text += fmt::format("{:08x}", random());
    }
    return text;
}

// Whether a command has left finished files there, others than a training's checkpoints.
bool has_files_of_command(const fs::path& folder) {
    bool found = false;
    visit_finished_files(folder, [&](const fs::path& file) {
        found = !is_checkpoint_name(file.string());
        return !found;
    });
    return found;
}

bool has_finished_files(const fs::path& folder) {
    bool found = false;
    visit_finished_files(folder, [&](const fs::path&) {
        found = true;
        return false;
    });
    return found;
}

// None if they cannot be read, or if the directory is a symbolic link: what it leads to is not this attempt's.
std::vector<std::string> names_in(DurableFiles& files, const fs::path& folder) {
    std::error_code ignored;
    if (!fs::is_directory(fs::symlink_status(folder, ignored))) {
        return {};
    }
    try {
        return files.list(folder);
    } catch (const std::system_error&) {
        return {};
    }
}

// Whether there is a folder of the first attempt in it, without content, and nothing else.
bool holds_nothing(const fs::path& job_folder) {
    std::error_code error;
    const fs::path first = job_folder / "attempt-1";
    std::size_t entries = 0;
    for (fs::directory_iterator entry(job_folder, error), end; !error && entry != end;
         entry.increment(error)) {
        entries += entry->path() == first ? 1 : 2;
    }
    return !error && entries == 1 && fs::is_empty(first, error) && !error;
}

}  // namespace

bool is_checkpoint_name(const std::string& name) {
    return step_in(name).has_value();
}

CheckpointFolders::CheckpointFolders(const fs::path& state_folder)
    : root_(fs::absolute(state_folder) / "checkpoints") {}

CheckpointFolders::~CheckpointFolders() {
    for (const auto& spare : spares_) {
        std::error_code ignored;
        fs::remove_all(spare, ignored);
    }
}

fs::path CheckpointFolders::job_folder(JobId job) const {
    return root_ / ("job-" + to_string(job));
}

fs::path CheckpointFolders::folder(const AttemptId& attempt) const {
    return job_folder(attempt.job) / ("attempt-" + std::to_string(attempt.number));
}

void CheckpointFolders::begin(const AttemptId& attempt) {
    if (attempt.number != 1) {
        return;
    }
    std::error_code ignored;
    fs::remove_all(job_folder(attempt.job), ignored);
    if (!spares_.empty()) {
        fs::rename(spares_.back(), job_folder(attempt.job), ignored);  // else its worker makes one
        spares_.pop_back();
    }
}

std::vector<StoredCheckpoint> CheckpointFolders::candidates(const AttemptId& attempt,
                                                            std::vector<StoredCheckpoint> stored) const {
    for (auto& checkpoint : stored) {
        checkpoint.file = folder({attempt.job, checkpoint.attempt}) / fs::path(checkpoint.file).filename();
    }
    if (attempt.number == 1) {
        return stored;  // there is nothing before it
    }
    for (const auto& attempt_name : files_->list(job_folder(attempt.job))) {
        const auto number = number_in(attempt_name, "attempt-", "");
        if (!number || *number >= attempt.number) {
            continue;
        }
        for (const auto& name : files_->list(job_folder(attempt.job) / attempt_name)) {
            const auto step = step_in(name);
            const std::string file = job_folder(attempt.job) / attempt_name / name;
            const bool known = std::any_of(stored.begin(), stored.end(),
                                           [&](const auto& checkpoint) { return checkpoint.file == file; });
            if (step && !known) {
                stored.push_back({*number, *step, file, "", 0});
            }
        }
        if (has_files_of_command(job_folder(attempt.job) / attempt_name)) {
            stored.push_back({*number, 0, job_folder(attempt.job) / attempt_name, "", 0});
        }
    }
    // A later attempt has either gone on from the earlier one's best, or could not read it.
    std::sort(stored.begin(), stored.end(), [](const auto& a, const auto& b) {
        return std::pair(a.attempt, a.step) > std::pair(b.attempt, b.step);
    });
    return stored;
}

SharedFolderMark CheckpointFolders::mark() {
    if (!mark_.content.empty()) {
        return mark_;
    }
    const fs::path file = root_ / kMarkName;
    std::string content;
    std::ifstream(file) >> content;
    if (content.empty()) {
        content = random_text();
        try {
            create_folders_durably(*files_, root_);
            const auto bytes = std::as_bytes(std::span(content));
            write_durably(*files_, file, {&bytes, 1});
        } catch (const std::system_error&) {
            return {};  // what cannot be written here cannot be written by a worker's message either
        }
    }
    mark_ = {file.string(), content};
    return mark_;
}

std::vector<JobId> CheckpointFolders::jobs() const {
    std::vector<JobId> found;
    for (const auto& name : files_->list(root_)) {
        if (const auto job = number_in(name, "job-", "")) {
            found.emplace_back(*job);
        }
    }
    return found;
}

void CheckpointFolders::keep(const AttemptId& current, const std::vector<StoredCheckpoint>& kept) const {
    std::int64_t newest = 0;  // of the current attempt
    std::set<fs::path> kept_files;
    for (const auto& checkpoint : kept) {
        newest = checkpoint.attempt == current.number ? std::max(newest, checkpoint.step) : newest;
        kept_files.insert(folder({current.job, checkpoint.attempt}) / checkpoint.file);
    }
    for (std::int64_t number = 1; number <= current.number; ++number) {
        const bool is_earlier = number < current.number;
        const fs::path attempt_folder = folder({current.job, number});
        for (const auto& name : names_in(*files_, attempt_folder)) {
            const auto step = step_in(name);
            const bool is_needless =
                is_earlier ? step || step_in(name, kUnfinishedSuffix) : step && *step <= newest;
            if (is_needless && !kept_files.contains(attempt_folder / name)) {
                std::error_code ignored;
                fs::remove(attempt_folder / name, ignored);
            }
        }
    }
}

void CheckpointFolders::keep_newest_attempts(const AttemptId& current) const {
    std::vector<std::int64_t> earlier;
    for (const auto& name : names_in(*files_, job_folder(current.job))) {
        if (const auto number = number_in(name, "attempt-", ""); number && *number < current.number) {
            earlier.push_back(*number);
        }
    }
    std::sort(earlier.rbegin(), earlier.rend());
    std::size_t kept = 0;
    for (const std::int64_t number : earlier) {
        const fs::path attempt_folder = folder({current.job, number});
        if (kept < kKeptAttempts && has_finished_files(attempt_folder)) {
            ++kept;
            continue;
        }
        std::error_code ignored;
        fs::remove_all(attempt_folder, ignored);
    }
}

void CheckpointFolders::remove_job(JobId job) {
    if (spares_.size() < kMaxSpares && holds_nothing(job_folder(job))) {
        spares_.push_back(job_folder(job));
        return;
    }
    std::error_code ignored;
    fs::remove_all(job_folder(job), ignored);
}

}  // namespace orchestrate
