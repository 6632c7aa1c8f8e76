// Checkpoint files: whole or passed over, whatever was cut, changed or mixed up.
#include "worker/training/support/checkpoint_file.h"

#include <array>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "tests/common/simulated_disk.h"

namespace orchestrate::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kJob = "0123abc";

// What a training of that job holds after so many steps.
struct Values {
    explicit Values(std::int64_t step) : weights(6), count{static_cast<float>(step)} {
        for (std::size_t i = 0; i < weights.size(); ++i) {
            weights[i] = static_cast<float>(step) + 0.1F * static_cast<float>(i);
        }
    }
    std::vector<CheckpointTensor> tensors() const {
        return {{"model.weight", "F32", {2, 3}, std::as_bytes(std::span(weights))},
                {"optimizer.steps", "F32", {}, std::as_bytes(std::span(count))}};
    }
    std::vector<float> weights;
    std::array<float, 1> count;
};

StoredCheckpoint write(DurableFiles& files, std::int64_t step, const std::string& folder = "/c",
                       const std::string& job = kJob) {
    return write_checkpoint(files, folder, job, step, {{"loss", 0.1 * static_cast<double>(step)}},
                            Values(step).tensors());
}

bool holds_values_of_its_step(const CheckpointContent& content) {
    const auto weights = content.values("model.weight", "F32", {2, 3});
    const Values expected(content.step());
    return weights.size() == 6 * sizeof(float) &&
           std::memcmp(weights.data(), expected.weights.data(), weights.size()) == 0 &&
           content.state().at("loss") == 0.1 * static_cast<double>(content.step());
}

// The step of the best of these, 0 if none can be read; `said` gets why others were passed over.
std::int64_t best_step(DurableFiles& files, const std::vector<StoredCheckpoint>& candidates,
                       std::string* said = nullptr) {
    const auto used = use_best_checkpoint(
        files, candidates, kJob,
        [&](const std::string& line) {
            if (said != nullptr) {
                *said += line + "\n";
            }
        },
        [](const CheckpointContent& content) { EXPECT_TRUE(holds_values_of_its_step(content)); });
    return used ? used->step : 0;
}

class CheckpointFileTest : public testing::Test {
  protected:
    CheckpointFileTest() { create_folders_durably(disk_, "/c"); }
    SimulatedDisk disk_;
};

TEST_F(CheckpointFileTest, GivesBackWhatWasWritten) {
    const auto stored = write(disk_, 120);
    EXPECT_EQ(stored.file, "/c/step-0000000120.safetensors");
    const CheckpointContent content(disk_, stored.file);
    EXPECT_EQ(content.step(), 120);
    EXPECT_EQ(content.sha256(), stored.sha256);
    EXPECT_EQ(content.bytes(), stored.bytes);
    EXPECT_TRUE(holds_values_of_its_step(content));
}

TEST_F(CheckpointFileTest, EveryFlippedBitIsNoticed) {
    const auto stored = write(disk_, 3);
    for (std::size_t bit = 0; bit < 8 * static_cast<std::size_t>(stored.bytes); bit += 5) {
        disk_.flip_bit(stored.file, bit);
        EXPECT_THROW(CheckpointContent(disk_, stored.file), UserError) << "bit " << bit;
        disk_.flip_bit(stored.file, bit);
    }
    EXPECT_NO_THROW(CheckpointContent(disk_, stored.file));
}

TEST_F(CheckpointFileTest, EveryCutIsNoticed) {
    const auto stored = write(disk_, 3);
    const auto whole = disk_.read(stored.file);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        disk_.create("/c/cut")->write(std::span(whole).first(size));
        EXPECT_THROW(CheckpointContent(disk_, "/c/cut"), UserError) << size << " bytes";
    }
}

TEST_F(CheckpointFileTest, AnotherJobsIsRefused) {
    const auto stored = write(disk_, 3, "/c", "feed");
    const CheckpointContent content(disk_, stored.file);
    try {
        content.expect_job(kJob);
        FAIL();
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("/c/step-0000000003.safetensors"),
                                        HasSubstr("job_identity"), HasSubstr("feed"), HasSubstr(kJob)));
    }
}

TEST_F(CheckpointFileTest, AnotherShapeIsRefused) {
    const CheckpointContent content(disk_, write(disk_, 3).file);
    try {
        content.values("model.weight", "F32", {3, 2});
        FAIL();
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(),
                    AllOf(HasSubstr("/c/step-0000000003.safetensors"), HasSubstr("'model.weight'"),
                          HasSubstr("F32 [2,3]"), HasSubstr("F32 [3,2]")));
    }
    EXPECT_THROW(content.values("model.bias", "F32", {3}), UserError);
    EXPECT_THROW(content.values("model.weight", "F64", {2, 3}), UserError);
}

TEST_F(CheckpointFileTest, WhatCannotBeUsedIsPassedOverAndTold) {
    std::vector<StoredCheckpoint> candidates{write(disk_, 9), write(disk_, 8), write(disk_, 7),
                                             write(disk_, 6, "/c", "feed"), write(disk_, 5)};
    candidates.front().file = "/c/gone";
    disk_.flip_bit(candidates[1].file, 1000);
    candidates[2].sha256 = "not this one";
    std::string said;
    EXPECT_EQ(best_step(disk_, candidates, &said), 5);
    EXPECT_THAT(said, AllOf(HasSubstr("/c/gone"), HasSubstr("cut or changed"), HasSubstr("not the one"),
                            HasSubstr("another job's")));
    candidates.pop_back();
    EXPECT_EQ(best_step(disk_, candidates), 0);
}

// Writes checkpoints one after another and keeps the newest two, as an attempt and its coordinator do. After a power
// cut the newest one that was reported is there.
int damages_of_checkpoints(Swallowed swallowed) {
    constexpr std::int64_t kSteps = 5;
    std::vector<StoredCheckpoint> reported;
    return damages_by_power_cuts(
        swallowed,
        [&](SimulatedDisk& disk) {
            reported.clear();
            create_folders_durably(disk, "/c");
            for (std::int64_t step = 1; step <= kSteps; ++step) {
                reported.insert(reported.begin(), write(disk, step));
                if (reported.size() > 2) {
                    disk.remove(reported.back().file);
                    reported.pop_back();
                }
            }
        },
        [&](SimulatedDisk& disk) {
            const std::int64_t newest = reported.empty() ? 0 : reported.front().step;
            return best_step(disk, reported) == newest;
        });
}

TEST(CheckpointPowerCut, TheNewestReportedCheckpointSurvivesAtEveryCall) {
    EXPECT_EQ(damages_of_checkpoints(Swallowed::nothing), 0);
}

TEST(CheckpointPowerCut, ItWouldBeLostWithoutTheSyncBeforeTheRename) {
    EXPECT_GT(damages_of_checkpoints(Swallowed::file_sync), 0);
}

TEST(CheckpointPowerCut, ItWouldBeLostWithoutTheSyncOfTheFolder) {
    EXPECT_GT(damages_of_checkpoints(Swallowed::folder_sync), 0);
}

}  // namespace
}  // namespace orchestrate::test
