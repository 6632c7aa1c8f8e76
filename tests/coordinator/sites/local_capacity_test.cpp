// Ranks at a time by cores, GPUs, jobs per GPU and memory.
#include "coordinator/sites/local_capacity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/cli/plan_space.h"
#include "coordinator/sites/sites.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(LocalCapacityTest, IsOneRankPerCoreWithoutGpus) {
    const auto capacity = local_capacity({}, 0, {8, 0, 16000});
    EXPECT_EQ(capacity.device, "cpu");
    EXPECT_EQ(capacity.slots, 8);
    EXPECT_EQ(capacity.threads_per_rank, 1);
    EXPECT_THAT(capacity.gpu_places, IsEmpty());
}

TEST(LocalCapacityTest, JobsShareGpusEvenly) {
    ClusterConfig cluster;
    cluster.jobs_per_gpu = 3;
    const auto capacity = local_capacity(cluster, 0, {12, 2, 0});
    EXPECT_EQ(capacity.device, "cuda");
    EXPECT_EQ(capacity.slots, 6);
    EXPECT_EQ(capacity.threads_per_rank, 2);
    EXPECT_THAT(capacity.gpu_places, ElementsAre("0", "1", "0", "1", "0", "1"));
}

TEST(LocalCapacityTest, WhatThePersonAsksForGoesBeforeTheStudyAndThatBeforeTheMachine) {
    ClusterConfig cluster;
    cluster.slots = 3;
    EXPECT_EQ(local_capacity(cluster, 0, {8, 0, 0}).slots, 3);
    EXPECT_EQ(local_capacity(cluster, 5, {8, 0, 0}).slots, 5);
}

TEST(LocalCapacityTest, MemoryBoundsTheRanksIfTheStudySaysWhatOneNeeds) {
    ClusterConfig cluster;
    cluster.memory_mib_per_rank = 3000;
    const auto capacity = local_capacity(cluster, 0, {8, 0, 10000});
    EXPECT_EQ(capacity.slots, 3);
    EXPECT_EQ(capacity.threads_per_rank, 2);
    EXPECT_THAT(capacity.limited_by_memory, HasSubstr("3 of 8 ranks at a time"));
    cluster.memory_mib_per_rank = 100000;
    EXPECT_EQ(local_capacity(cluster, 0, {8, 0, 10000}).slots, 1) << "one always may try";
    cluster.memory_mib_per_rank = 10;
    EXPECT_THAT(local_capacity(cluster, 0, {8, 0, 10000}).limited_by_memory, IsEmpty());
}

// Keeps what it is told to start.
class RecordingLauncher final : public Launcher {
  public:
    explicit RecordingLauncher(std::vector<WorkerSpec>& started) : started_(started) {}
    void start(const WorkerSpec& spec) override { started_.push_back(spec); }
    void stop(const std::string& name, std::chrono::milliseconds) override { exits_.push_back({name, 0, 0}); }
    std::vector<WorkerExit> poll() override { return std::exchange(exits_, {}); }
    std::vector<std::string> running() const override { return {}; }

  private:
    std::vector<WorkerSpec>& started_;
    std::vector<WorkerExit> exits_;
};

TEST(LocalCapacityTest, WorkersGetPlacesOnGpusAndAWideOneDifferentGpus) {
    std::vector<WorkerSpec> started;
    SiteOptions options;
    options.device = "cuda";
    options.slots = 4;
    options.gpu_places = {"0", "1", "0", "1"};
    LauncherSite site(std::make_unique<RecordingLauncher>(started), options);
    site.start("a", 1);
    site.start("b", 2);
    site.start("c", 1);
    EXPECT_THAT(started[0].cuda_devices, ElementsAre("0"));
    EXPECT_THAT(started[1].cuda_devices, ElementsAre("1", "0"));
    EXPECT_THAT(started[2].cuda_devices, ElementsAre("1"));
    site.stop("a", {});
    EXPECT_EQ(site.take_exits().size(), 1U);
    site.start("d", 1);
    EXPECT_THAT(started[3].cuda_devices, ElementsAre("0"));
}

TEST(PlanSpaceTest, FollowsFromTheConfigurations) {
    PlannedJob job;  // 2 layers x 64, inner 256, head 64, 514 positions
    const std::int64_t layer = 4 * 65 * 64 + 65 * 256 + 257 * 64 + 4 * 64;
    const std::int64_t parameters = (512 + 514 + 1) * 64 + 2 * 64 + 2 * layer + 65 * 64 + 65 * 8;
    job.config.train.epoch_selection = EpochSelection::last;
    auto space = space_needed({job, job, job}, 512, 8, 2, 0, true);
    EXPECT_EQ(space.parameters, parameters);
    EXPECT_EQ(space.checkpoint_bytes, 3 * 4 * parameters);
    EXPECT_EQ(space.checkpoints, 4);
    EXPECT_EQ(space.model_bytes, 3 * 4 * parameters);
    EXPECT_EQ(space.memory_per_rank, 4 * 4 * parameters);
    job.config.train.epoch_selection = EpochSelection::best_validation_loss;  // keeps its weights too
    space = space_needed({job, job, job}, 512, 8, 2, 3, false);
    EXPECT_EQ(space.checkpoint_bytes, 4 * 4 * parameters);
    EXPECT_EQ(space.checkpoints, 6);
    EXPECT_EQ(space.models, 0);
    EXPECT_EQ(render_space(space),
              "disk: at most 16.4 MB of checkpoints at a time (6 of 2.7 MB)\n"
              "memory: 3.4 MB a rank for 0.17 million parameters; activations not counted\n");
}

}  // namespace
}  // namespace orchestrate
