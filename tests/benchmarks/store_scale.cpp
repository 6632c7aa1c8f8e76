// What a study of many jobs costs the coordinator: committing them, holding them while they wait, finding them again
// after a restart with half of them done, and reading what a worker needs of one. Usage: store_scale FOLDER [JOBS].
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

#include <malloc.h>
#include <spdlog/sinks/null_sink.h>

#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/store/job_store.h"

namespace {

using namespace orchestrate;
using Clock = std::chrono::steady_clock;

class Stopwatch {
  public:
    void print(const char* what) const {
        std::printf("%-52s %6.2f s, %6.2f s of processor time\n", what,
                    std::chrono::duration<double>(Clock::now() - wall_).count(),
                    static_cast<double>(std::clock() - processor_) / CLOCKS_PER_SEC);
    }

  private:
    Clock::time_point wall_ = Clock::now();
    std::clock_t processor_ = std::clock();
};

class Nowhere final : public DispatcherEnv {
  public:
    Clock::time_point now() override { return Clock::now(); }
    void note(const std::string&) override {}
    bool has_ended(const std::string&, std::int64_t) override { return true; }
    CheckpointPlan plan_checkpoints(const AttemptId&, std::vector<StoredCheckpoint>) override { return {}; }
    void keep_checkpoints(const AttemptId&, const std::vector<StoredCheckpoint>&) override {}
    void remove_checkpoints(orchestrate::JobId) override {}
    std::vector<orchestrate::JobId> jobs_with_checkpoints() override { return {}; }
    std::string allocation_state(const std::string&) override { return ""; }
};

std::size_t bytes_in_use() {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

std::vector<Variant> variants_of(int jobs) {
    std::vector<Variant> variants(static_cast<std::size_t>(jobs) / 10);
    for (std::size_t i = 0; i < variants.size(); ++i) {
        Variant& variant = variants[i];
        variant.name = "head width " + std::to_string(i + 1);
        variant.config.model.head_width = static_cast<std::int64_t>(i) + 1;
        variant.config.data.features = {"danceability", "energy", "loudness", "speechiness", "valence"};
        for (int seed = 0; seed < 10; ++seed) {
            variant.runs.push_back({{static_cast<std::uint64_t>(seed), 0}, 0, 0, seed});
        }
    }
    return variants;
}

}  // namespace

int main(int argc, char** argv) {
    const std::filesystem::path file = std::filesystem::path(argc > 1 ? argv[1] : ".") / "store-scale.db";
    const int job_count = argc > 2 ? std::stoi(argv[2]) : 100'000;
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::filesystem::remove(file.string() + suffix);
    }
    const auto variants = variants_of(job_count);
    Study study;
    study.name = "large";
    study.file = "/study.toml";
    Stage stage;
    stage.name = "ablation";
    const StoreOptions options{true, {}, {}, true};
    {
        JobStore store(file, options);
        const auto row = store.begin_study(study);
        std::vector<JobId> jobs;
        const Stopwatch watch;
        jobs = store.sync_stage(row, 0, stage, variants, {});
        watch.print("committing the jobs");
        const WorkerRecord worker{0, "here-1", "host", 1, 1, "cpu", "/logs/here-1.log"};
        for (std::size_t i = 0; i < jobs.size() / 2; ++i) {
            const auto begun = store.begin_attempt(jobs[i], worker, "/logs");
            store.end_attempt({begun.id, Cause::succeeded, "", AttemptResult{}, ""});
            if (i % 512 == 0) {
                store.commit();
            }
        }
        store.commit();
    }
    const Stopwatch watch;
    JobStore store(file, options);
    Nowhere nowhere;
    Dispatcher dispatcher(
        {}, store, nowhere,
        std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_st>()));
    const auto row = store.begin_study(study);
    const std::size_t before = bytes_in_use();
    {
        const auto jobs = store.sync_stage(row, 0, stage, variants, {});
        dispatcher.add_jobs(jobs, {row, 0});
        dispatcher.recover();
        dispatcher.schedule(jobs);
    }
    watch.print("starting again, half of them done");
    std::printf("%zu bytes a job in memory, half of them waiting\n",
                (bytes_in_use() - before) / static_cast<std::size_t>(job_count));
    const Stopwatch reading;
    constexpr int kRead = 10'000;
    for (int i = 0; i < kRead; ++i) {
        store.terms(JobId(1 + i % job_count));
    }
    reading.print("reading what a worker needs, 10,000 times");
    for (const char* suffix : {"", "-wal", "-shm"}) {
        std::filesystem::remove(file.string() + suffix);
    }
    return 0;
}
