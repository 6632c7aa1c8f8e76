// How many results a second the job store acknowledges durably, alone and in groups, beside what one fdatasync of this
// disk takes. Usage: commit_rate FOLDER (on the disk to measure).
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "coordinator/store/job_store.h"
#include "results/schema.h"

namespace {

using namespace orchestrate;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Appending 4 KiB and waiting for the disk, in milliseconds.
double sync_milliseconds(const std::filesystem::path& folder) {
    constexpr int kTimes = 50;
    const auto path = folder / "sync-probe";
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const std::string page(4096, 'x');
    const auto start = Clock::now();
    for (int i = 0; i < kTimes; ++i) {
        if (write(file, page.data(), page.size()) < 0 || fdatasync(file) != 0) {
            std::perror("fdatasync");
        }
    }
    const double milliseconds = 1000 * seconds_since(start) / kTimes;
    close(file);
    std::filesystem::remove(path);
    return milliseconds;
}

void measure(JobStore& store, const char* where, int group, int results) {
    Study study;
    study.name = std::string(where) + std::to_string(group);
    study.file = "/study.toml";
    Variant variant;
    variant.name = study.name;
    variant.config.model.head_width = group;
    for (int seed = 0; seed < results; ++seed) {
        variant.runs.push_back({{static_cast<std::uint64_t>(seed), 0}, 0, 0, seed});
    }
    const auto row = store.begin_study(study);
    Stage stage;
    stage.name = "ablation";
    const auto jobs = store.sync_stage(row, 0, stage, {variant}, {});
    const WorkerRecord worker{0, "here-1", "host", 1, 1, "cpu", "/logs/here-1.log"};
    for (const auto& job : jobs) {
        store.begin_attempt(job, worker, "/logs");
    }
    store.commit();
    AttemptResult result;
    result.classes = {"a", "b"};
    result.test_confusion = {{0, 1, 3}};
    result.test_predictions = {{2, 5}, {0, 1}, {1, 1}, {0.75F, 0.5F}};
    const auto commits_before = store.commits();
    const auto start = Clock::now();
    int waiting = 0;
    for (const auto& job : jobs) {
        store.end_attempt({{job, 1}, Cause::succeeded, "", result, ""});
        if (++waiting == group) {
            store.commit();
            waiting = 0;
        }
    }
    store.commit();
    const double seconds = seconds_since(start);
    std::printf("%-8s groups of %4d: %8.0f results/s, %5lld commits, %.2f ms each\n", where, group,
                results / seconds, static_cast<long long>(store.commits() - commits_before),
                1000 * seconds / static_cast<double>(store.commits() - commits_before));
}

}  // namespace

int main(int argc, char** argv) {
    const std::filesystem::path folder = argc > 1 ? argv[1] : ".";
    const auto file = folder / "commit-rate.db";
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::filesystem::remove(file.string() + suffix);
    }
    std::printf("one fdatasync: %.2f ms\n", sync_milliseconds(folder));
    {
        JobStore store(file, {true, {}, {}, true});
        for (const int group : {1, 8, 64, 512}) {
            measure(store, "disk", group, group == 1 ? 500 : 5000);
        }
    }
    SQLite::Database memory(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    prepare_schema(memory);
    JobStore store(std::move(memory), {true, {}, {}, true});
    measure(store, "memory", 512, 5000);
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::filesystem::remove(file.string() + suffix);
    }
    return 0;
}
