// One attempt of a small job that writes checkpoints or goes on from them, and what must be equal in all that end.
#pragma once

#include <atomic>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/worker/training/synthetic_data.h"
#include "worker/training/support/checkpoint_file.h"

namespace orchestrate::test {

inline constexpr std::int64_t kTestSteps = 18;  // of 16, 16 and 2 examples in turn

inline JobConfig test_job() {
    JobConfig config = synthetic_job();
    config.train.epochs = 6;
    return config;
}

class RecordingObserver final : public AttemptObserver {
  public:
    void on_progress(const TrainingProgress&) override {}
    void on_epoch(const EpochMetrics& metrics) override { epochs.push_back(metrics); }
    void on_log(const std::string& line) override { log += line + "\n"; }
    void on_checkpoint(const StoredCheckpoint& checkpoint) override { checkpoints.push_back(checkpoint); }
    void on_resume(const ResumePoint& point) override {
        resumed_at = point.step;
        resumed_from = {point.attempt, point.step, point.file, point.sha256, point.bytes};
    }

    std::vector<EpochMetrics> epochs;
    std::string log;
    std::vector<StoredCheckpoint> checkpoints;
    std::int64_t resumed_at = 0;
    StoredCheckpoint resumed_from;
};

// Everything that must be equal, nothing that is measured with a clock.
inline Json comparable(const AttemptOutcome& outcome, const std::vector<EpochMetrics>& epochs) {
    Json json{{"cause", outcome.cause}, {"result", outcome.result}, {"epochs", epochs}};
    for (const char* measured : {"train_seconds", "total_seconds", "peak_memory_bytes"}) {
        json["result"].erase(measured);
    }
    for (auto& epoch : json["epochs"]) {
        epoch.erase("seconds");
        epoch.erase("tokens_per_second");
    }
    return json;
}

struct Attempt {
    AttemptOutcome outcome;
    RecordingObserver observer;
    Json comparable() const { return test::comparable(outcome, observer.epochs); }
};

// Trains the synthetic job; every step is a checkpoint. `after_step` may stop it or end the process. With `change_device`
// LibTorch's operations train on the device that it makes of the CPU.
inline Attempt train_attempt(const std::filesystem::path& folder, std::vector<StoredCheckpoint> resume_from,
                             DurableFiles& files, Collective& collective,
                             const std::function<void(std::int64_t, std::atomic<bool>&)>& after_step,
                             const JobConfig& config, double interval_seconds = 0,
                             std::int64_t pause_after_epoch = 0,
                             const std::function<void(TrainingDevice&)>& change_device = {}) {
    const PreparedData data = synthetic_data(kTrainRows);
    TrainingDevice device = cpu_device();
    if (change_device) {
        change_device(device);
    }
    std::atomic<bool> stop{false};
    Attempt attempt;
    TrainerInputs inputs{config, data, device, collective, attempt.observer, stop};
    inputs.checkpoints = {1, folder.string(), interval_seconds, std::move(resume_from)};
    inputs.files = &files;
    inputs.pause_after_epoch = pause_after_epoch;
    inputs.use_libtorch_kernels = static_cast<bool>(change_device);
    inputs.on_step = [&](std::int64_t step, double) { after_step(step, stop); };
    attempt.outcome = train(inputs);
    return attempt;
}

inline void no_stop(std::int64_t, std::atomic<bool>&) {}

// Those in a folder, the newest first.
inline std::vector<StoredCheckpoint> checkpoints_in(const std::filesystem::path& folder) {
    std::vector<StoredCheckpoint> found;
    for (const auto& name : make_system_files()->list(folder)) {
        if (name.ends_with(".safetensors")) {
            found.insert(found.begin(), StoredCheckpoint{1, 0, (folder / name).string(), "", 0});
        }
    }
    return found;
}

// What follows the header of the newest one: weights, moments, kept weights.
inline std::vector<std::byte> newest_tensors(const std::filesystem::path& folder) {
    const auto bytes = make_system_files()->read(checkpoints_in(folder).at(0).file);
    std::uint64_t header_size = 0;
    std::memcpy(&header_size, bytes.data(), sizeof header_size);
    return {bytes.begin() + static_cast<std::ptrdiff_t>(sizeof header_size + header_size), bytes.end() - 64};
}

}  // namespace orchestrate::test
