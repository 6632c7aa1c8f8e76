// A training that is stopped, or killed by SIGKILL at any moment, and goes on from its checkpoint ends with the bits of
// one that was left in peace: dropout on, uneven last batches. Killed trainings are processes of their own, this
// program with --child.
#include <csignal>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/temporary_folder.h"
#include "tests/worker/training/ablations.h"
#include "tests/worker/training/checkpointed_attempt.h"
#include "tests/worker/training/work_done_again.h"

namespace orchestrate::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Passes calls on; ends the process at one call of the write of one checkpoint, counted from 0.
class KillingFiles final : public DurableFiles {
  public:
    KillingFiles(std::string name, int call) : name_(std::move(name)), call_(call) {}

    int calls_of_last_write() const { return calls_; }

    std::unique_ptr<FileWriter> create(const fs::path& path) override {
        calls_ = 0;
        doomed_ = !name_.empty() && path.string().find(name_) != std::string::npos;
        before_call();
        return std::make_unique<Writer>(*this, files_->create(path));
    }
    std::vector<std::byte> read(const fs::path& path) override { return files_->read(path); }
    std::vector<std::string> list(const fs::path& folder) override { return files_->list(folder); }
    void rename(const fs::path& from, const fs::path& to) override {
        before_call();
        files_->rename(from, to);
    }
    void remove(const fs::path& path) override { files_->remove(path); }
    void create_folder(const fs::path& folder) override { files_->create_folder(folder); }
    void sync_folder(const fs::path& folder) override {
        before_call();
        files_->sync_folder(folder);
    }

  private:
    class Writer final : public FileWriter {
      public:
        Writer(KillingFiles& files, std::unique_ptr<FileWriter> writer)
            : files_(files), writer_(std::move(writer)) {}
        void write(std::span<const std::byte> bytes) override {
            writer_->write(bytes.first(bytes.size() / 2));
            files_.before_call();
            writer_->write(bytes.subspan(bytes.size() / 2));
        }
        void sync() override {
            files_.before_call();
            writer_->sync();
        }

      private:
        KillingFiles& files_;
        std::unique_ptr<FileWriter> writer_;
    };
    void before_call() {
        if (doomed_ && calls_ == call_) {
            raise(SIGKILL);
        }
        ++calls_;
    }

    std::unique_ptr<DurableFiles> files_ = make_system_files();
    std::string name_;
    int call_;
    int calls_ = 0;
    bool doomed_ = false;
};

// On one rank.
Attempt train_attempt(const fs::path& folder, std::vector<StoredCheckpoint> resume_from, DurableFiles& files,
                      const std::function<void(std::int64_t, std::atomic<bool>&)>& after_step,
                      const JobConfig& config = test_job(), double interval_seconds = 0,
                      std::int64_t pause_after_epoch = 0,
                      const std::function<void(TrainingDevice&)>& change_device = {}) {
    SingleRank alone;
    return test::train_attempt(folder, std::move(resume_from), files, alone, after_step, config,
                               interval_seconds, pause_after_epoch, change_device);
}

class CheckpointTest : public testing::Test {
  protected:
    fs::path subfolder(const std::string& name) {
        fs::create_directories(folder_ / name);
        return folder_ / name;
    }

    // Runs a training in a process of its own: how it ended, as waitpid says. `how`: "step N", "write N CALL" or
    // "end".
    static int run_child(const fs::path& folder, const std::string& how) {
        const pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "checkpoint_test", "--child", folder.c_str(), how.c_str(), nullptr);
            _exit(127);
        }
        int status = 0;
        waitpid(child, &status, 0);
        return status;
    }
    static void run_child_to_its_death(const fs::path& folder, const std::string& how) {
        const int status = run_child(folder, how);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << how << ": status " << status;
    }
    static Json run_child_to_its_end(const fs::path& folder) {
        const int status = run_child(folder, "end");
        EXPECT_EQ(status, 0);
        std::ifstream file(folder / "result.json");
        return status == 0 ? Json::parse(file) : Json();
    }

    TemporaryFolder temporary_;
    const fs::path folder_ = temporary_.path();
    std::unique_ptr<DurableFiles> files_ = make_system_files();
};

TEST_F(CheckpointTest, KilledAtAnyStepItGoesOnToTheSameBits) {
    const fs::path peace = subfolder("peace");
    const Json expected = run_child_to_its_end(peace);
    ASSERT_EQ(expected["resumed_at"], 0);
    const auto expected_tensors = newest_tensors(peace);
    std::mt19937 random(4);
    for (int round = 0; round < 5; ++round) {
        // Twice each, so that a checkpoint of a training that had gone on already is gone on from.
        const auto first = std::uniform_int_distribution<std::int64_t>(1, kTestSteps - 2)(random);
        const auto second = std::uniform_int_distribution<std::int64_t>(first + 1, kTestSteps - 1)(random);
        SCOPED_TRACE("killed after steps " + std::to_string(first) + " and " + std::to_string(second));
        const fs::path folder = subfolder("killed-" + std::to_string(round));
        run_child_to_its_death(folder, "step " + std::to_string(first));
        run_child_to_its_death(folder, "step " + std::to_string(second));
        const Json found = run_child_to_its_end(folder);
        // That of the step before may still have been being written.
        EXPECT_GE(found["resumed_at"], second - 2);
        EXPECT_LE(found["resumed_at"], second - 1);
        EXPECT_EQ(found["outcome"], expected["outcome"]);
        EXPECT_TRUE(newest_tensors(folder) == expected_tensors);
    }
}

TEST_F(CheckpointTest, KilledWhileACheckpointIsWrittenItGoesOnFromTheOneBefore) {
    const fs::path peace = subfolder("peace");
    const Json expected = run_child_to_its_end(peace);
    const auto expected_tensors = newest_tensors(peace);
    std::mt19937 random(5);
    constexpr std::int64_t kFirstStep = 4;  // from here on with the weights of a kept epoch
    KillingFiles counting("", 0);
    train_attempt(subfolder("counting"), {}, counting,
                  [](std::int64_t step, std::atomic<bool>& stop) { stop = step == kFirstStep; });
    const int calls = counting.calls_of_last_write();
    // create, header, a tensor, checksum, sync, rename, sync of the folder
    for (const int call : {0, 1, calls / 2, calls - 4, calls - 3, calls - 2, calls - 1}) {
        const auto step = std::uniform_int_distribution<std::int64_t>(kFirstStep, kTestSteps - 1)(random);
        SCOPED_TRACE("killed at call " + std::to_string(call) + " of " + std::to_string(calls) +
                     " of the write at step " + std::to_string(step));
        const fs::path folder = subfolder("call-" + std::to_string(call));
        run_child_to_its_death(folder, "write " + std::to_string(step) + " " + std::to_string(call));
        const Json found = run_child_to_its_end(folder);
        // A process that is killed loses nothing that it has renamed; a power cut may.
        EXPECT_EQ(found["resumed_at"], call == calls - 1 ? step : step - 1);
        EXPECT_EQ(found["outcome"], expected["outcome"]);
        EXPECT_TRUE(newest_tensors(folder) == expected_tensors);
    }
}

TEST_F(CheckpointTest, AStopAtAnyStepLeavesACheckpointThatGoesOnToTheSameBits) {
    JobConfig other = test_job();
    other.train.optimizer = Optimizer::adam;
    other.train.decay_biases_and_norms = true;
    other.train.class_weights = ClassWeighting::balanced;
    other.train.label_smoothing = 0.1;
    other.train.learning_rate_schedule = LearningRateSchedule::cosine;
    other.train.epoch_selection = EpochSelection::best_validation_loss;
    other.train.early_stopping_patience = 2;
    for (const JobConfig& config : {test_job(), other}) {
        const Attempt peace = train_attempt(subfolder("peace"), {}, *files_, no_stop, config);
        ASSERT_EQ(peace.outcome.cause, Cause::succeeded);
        const std::int64_t steps = 3 * std::ssize(peace.observer.epochs);
        for (std::int64_t step = 1; step <= steps; ++step) {
            SCOPED_TRACE("stopped at step " + std::to_string(step) + " of " + std::to_string(steps));
            const fs::path folder = subfolder("stopped");
            const Attempt stopped = train_attempt(
                folder, {}, *files_, [&](std::int64_t done, std::atomic<bool>& stop) { stop = done == step; },
                config, 3600);
            ASSERT_EQ(stopped.outcome.cause, Cause::preempted);
            EXPECT_THAT(stopped.outcome.message, HasSubstr("step " + std::to_string(step) + " of 18"));
            ASSERT_EQ(stopped.observer.checkpoints.size(), 1U);
            EXPECT_EQ(stopped.observer.checkpoints[0].step, step);
            const Attempt resumed =
                train_attempt(folder, stopped.observer.checkpoints, *files_, no_stop, config);
            EXPECT_EQ(resumed.observer.resumed_at, step);
            EXPECT_EQ(resumed.comparable(), peace.comparable());
        }
    }
}

TEST_F(CheckpointTest, PausedAtRungsItGoesOnToTheSameBits) {
    // No checkpoint is due but those at the rungs. The second is asked for twice, as after a lost answer.
    constexpr double kNever = 1e9;
    const auto files = make_system_files();
    std::vector<StoredCheckpoint> resume_from;
    int attempts = 0;
    for (const std::int64_t rung : {1, 3, 3}) {
        const fs::path folder = folder_ / ("rung-" + std::to_string(++attempts));
        fs::create_directories(folder);
        const auto paused = train_attempt(folder, resume_from, *files, no_stop, test_job(), kNever, rung);
        EXPECT_EQ(paused.outcome.cause, Cause::paused);
        EXPECT_EQ(paused.outcome.message, "after epoch " + std::to_string(rung) + " of 6");
        ASSERT_EQ(paused.observer.epochs.size(), static_cast<std::size_t>(rung));
        const auto written = checkpoints_in(folder);
        EXPECT_EQ(written.size(), attempts < 3 ? 1U : 0U);
        resume_from.insert(resume_from.begin(), written.begin(), written.end());
    }
    const auto whole = train_attempt(folder_, resume_from, *files, no_stop, test_job(), kNever, 6);
    EXPECT_EQ(whole.observer.resumed_at, kTestSteps / 2);
    const auto straight = train_attempt(subfolder("straight"), {}, *files, no_stop, test_job(), kNever);
    EXPECT_EQ(whole.comparable(), straight.comparable());
}

// What is frozen and what is masked stands in no checkpoint: both come from the initial weights again.
TEST_F(CheckpointTest, AnAblatedModelGoesOnToTheSameBits) {
    constexpr std::int64_t kStoppedAt = 4;
    for (const Ablation& ablation : ablations()) {
        SCOPED_TRACE(ablation.name);
        JobConfig config = test_job();
        ablation.apply(config);
        const Attempt peace = train_attempt(subfolder("peace"), {}, *files_, no_stop, config);
        ASSERT_EQ(peace.outcome.cause, Cause::succeeded);
        const fs::path folder = subfolder(ablation.name);
        const Attempt stopped = train_attempt(
            folder, {}, *files_,
            [](std::int64_t done, std::atomic<bool>& stop) { stop = done == kStoppedAt; }, config, 3600);
        ASSERT_EQ(stopped.outcome.cause, Cause::preempted);
        const Attempt resumed = train_attempt(folder, stopped.observer.checkpoints, *files_, no_stop, config);
        EXPECT_EQ(resumed.observer.resumed_at, kStoppedAt);
        EXPECT_EQ(resumed.comparable(), peace.comparable());
    }
}

// As GPUs train: several steps are under way when a stop is seen, and the updates are a recording of their own.
TEST_F(CheckpointTest, RecordedStepsGoOnToTheSameBits) {
    constexpr double kNever = 1e9;
    RecordedCounts counts;
    const auto recording = [&counts](TrainingDevice& device) { record_by_doing_again(device, counts); };
    const auto train = [&](const fs::path& folder, std::vector<StoredCheckpoint> resume_from,
                           std::int64_t stop_at) {
        return train_attempt(
            folder, std::move(resume_from), *files_,
            [&](std::int64_t done, std::atomic<bool>& stop) {
                if (done == stop_at) {
                    stop = true;
                }
            },
            test_job(), kNever, 0, recording);
    };
    const Attempt peace = train(subfolder("peace"), {}, 0);
    ASSERT_EQ(peace.outcome.cause, Cause::succeeded);
    ASSERT_GT(counts.replayed, kTestSteps);
    for (const std::int64_t step : {1, 2, 5, 9, 12, 16}) {
        SCOPED_TRACE("stopped after step " + std::to_string(step));
        const fs::path folder = subfolder("stopped-" + std::to_string(step));
        const Attempt stopped = train(folder, {}, step);
        ASSERT_EQ(stopped.outcome.cause, Cause::preempted);
        const Attempt resumed = train(folder, stopped.observer.checkpoints, 0);
        EXPECT_GE(resumed.observer.resumed_at, step);
        EXPECT_EQ(resumed.comparable(), peace.comparable());
    }
}

TEST_F(CheckpointTest, TheIntervalIsKept) {
    const Attempt attempt = train_attempt(subfolder("a"), {}, *files_, no_stop, test_job(), 3600);
    EXPECT_EQ(attempt.outcome.cause, Cause::succeeded);
    EXPECT_TRUE(attempt.observer.checkpoints.empty());
}

TEST_F(CheckpointTest, ACheckpointKnownByItsFileAloneIsToldWithSizeAndChecksum) {
    const auto stop_at_5 = [](std::int64_t done, std::atomic<bool>& stop) { stop = done == 5; };
    const Attempt first = train_attempt(subfolder("a"), {}, *files_, stop_at_5);
    ASSERT_FALSE(first.observer.checkpoints.empty());
    const StoredCheckpoint& last = first.observer.checkpoints.back();
    const StoredCheckpoint unreported{last.attempt, last.step, last.file, "", 0};
    EXPECT_EQ(train_attempt(subfolder("b"), {unreported}, *files_, no_stop).observer.resumed_from, last);
}

TEST_F(CheckpointTest, ADamagedOrForeignCheckpointIsPassedOverWithItsReason) {
    const fs::path folder = subfolder("a");
    const auto stop_at_5 = [](std::int64_t done, std::atomic<bool>& stop) { stop = done == 5; };
    Attempt first = train_attempt(folder, {}, *files_, stop_at_5);
    const Attempt peace = train_attempt(subfolder("peace"), {}, *files_, no_stop);
    auto checkpoints = first.observer.checkpoints;
    std::reverse(checkpoints.begin(), checkpoints.end());
    ASSERT_EQ(checkpoints.size(), 5U);
    {
        std::fstream file(checkpoints[0].file, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(checkpoints[0].bytes / 2);
        file.put('?');
    }
    fs::resize_file(checkpoints[1].file, 1000);
    const Attempt resumed = train_attempt(subfolder("b"), checkpoints, *files_, no_stop);
    EXPECT_EQ(resumed.observer.resumed_at, 3);
    EXPECT_THAT(resumed.observer.log, HasSubstr("cut or changed"));
    EXPECT_EQ(resumed.comparable(), peace.comparable());

    JobConfig other = test_job();
    other.model.head_width = 8;
    const Attempt refused = train_attempt(subfolder("c"), {checkpoints[2]}, *files_, no_stop, other);
    EXPECT_EQ(refused.outcome.cause, Cause::succeeded);
    EXPECT_EQ(refused.observer.resumed_at, 0);
    EXPECT_THAT(refused.observer.log, HasSubstr("another job's"));
    EXPECT_THAT(refused.observer.log, HasSubstr("begins at the first step"));
}

TEST_F(CheckpointTest, AFolderThatCannotBeWrittenCostsNoTraining) {
    std::ofstream(folder_ / "nowhere") << "a file";
    const Attempt attempt = train_attempt(folder_ / "nowhere", {}, *files_, no_stop);
    EXPECT_EQ(attempt.outcome.cause, Cause::succeeded);
    EXPECT_THAT(attempt.observer.log, HasSubstr("no checkpoint at step 1: "));
    EXPECT_THAT(attempt.observer.log, HasSubstr("nowhere"));
}

// Goes on from the newest checkpoint in the folder and writes result.json there, unless it dies first.
int run_as_child(const fs::path& folder, std::istringstream how) {
    std::string kind;
    std::int64_t step = 0;
    int call = 0;
    how >> kind >> step >> call;
    const std::string doomed = std::to_string(10'000'000'000 + step).substr(1) + ".safetensors";
    KillingFiles files(kind == "write" ? doomed : "", call);
    const Attempt attempt =
        train_attempt(folder, checkpoints_in(folder), files, [&](std::int64_t done, std::atomic<bool>&) {
            if (kind == "step" && done == step) {
                raise(SIGKILL);
            }
        });
    std::ofstream(folder / "result.json")
        << Json{{"outcome", attempt.comparable()}, {"resumed_at", attempt.observer.resumed_at}};
    return 0;
}

}  // namespace
}  // namespace orchestrate::test

int main(int argc, char** argv) {
    if (argc == 4 && std::string(argv[1]) == "--child") {
        return orchestrate::test::run_as_child(argv[2], std::istringstream(argv[3]));
    }
    testing::InitGoogleMock(&argc, argv);
    return RUN_ALL_TESTS();
}
