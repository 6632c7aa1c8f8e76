// What only a GPU can show: the same numbers as on the CPU, recorded and not, in fp32 and bf16; NCCL; determinism; a lack of
// memory; two workers on one GPU. Skipped without one.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <ATen/ATen.h>
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include "common/base/temporary_folder.h"
#include "losses.h"
#include "tests/worker/training/synthetic_data.h"
#include "worker/training/runtime/out_of_memory.h"

extern char** environ;

namespace orchestrate::test {
namespace {

using testing::HasSubstr;

// Where this program and its libraries lie: they may have been carried to a machine that has only PyTorch.
std::string library_folder() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib";
}

bool has_gpu() {
    return dlopen("libcuda.so.1", RTLD_LAZY) != nullptr && std::filesystem::exists("/dev/nvidia0");
}

std::filesystem::path write_data(const std::filesystem::path& folder) {
    const std::filesystem::path path = folder / "data.csv";
    std::ofstream file(path);
    file << "kind,size,weight\n";
    for (int row = 0; row < 300; ++row) {
        file << (row % 3 == 0 ? "a" : "b") << ',' << row % 3 * 10 + row % 7 << ',' << row % 11 << '\n';
    }
    return path;
}

class GpuTest : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (!has_gpu()) {
            return;
        }
        ASSERT_NE(dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL), nullptr) << dlerror();
        void* const library =
            dlopen((library_folder() + "/liborchestrate_cuda.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
        ASSERT_NE(library, nullptr) << dlerror();
        const auto open = reinterpret_cast<OpenCudaDevice>(dlsym(library, kOpenCudaDeviceSymbol));
        ASSERT_NE(open, nullptr);
        open(device_.emplace());
    }
    static void TearDownTestSuite() { device_.reset(); }
    void SetUp() override {
        if (!has_gpu()) {
            GTEST_SKIP() << "skipped: no GPU";
        }
        config_.train.deterministic = false;
    }

    RunOptions on_gpu(bool recorded = true) const {
        RunOptions options;
        options.change_device = [recorded](TrainingDevice& device) {
            device = *device_;
            if (!recorded) {
                device.make_captured_graph = nullptr;
            }
        };
        return options;
    }
    TrainingRun run(const RunOptions& options) { return run_job(config_, data_, alone_, options); }

    static void expect_recorded(const TrainingRun& run) {
        EXPECT_EQ(run.outcome.cause, Cause::succeeded) << run.outcome.message;
        EXPECT_EQ(run.losses.size(), static_cast<std::size_t>(kSteps));
        EXPECT_THAT(run.log, testing::Not(testing::Contains(HasSubstr("not recorded"))))
            << "went on without graphs";
        EXPECT_THAT(run.log, testing::Contains(HasSubstr("GPU memory")));
    }

    // Heads of 64 and wide rows, as flash attention and the kernels want them.
    void use_wide_model() {
        config_.model.hidden_size = 128;
        config_.model.intermediate_size = 256;
        config_.model.initializer_range = 0.05;
        config_.train.learning_rate = 5e-4;
    }

    static double mean_difference(const TrainingRun& a, const TrainingRun& b) {
        double total = 0;
        for (std::size_t i = 0; i < std::min(a.losses.size(), b.losses.size()); ++i) {
            total += std::abs(a.losses[i] - b.losses[i]);
        }
        return a.losses.size() == b.losses.size() ? total / static_cast<double>(a.losses.size()) : 1e9;
    }

    static inline std::optional<TrainingDevice> device_;
    PreparedData data_ = synthetic_data(kTrainRows);
    JobConfig config_ = synthetic_job();
    SingleRank alone_;
};

TEST_F(GpuTest, TheEngineTrainsTheSameJobAsOnTheCpu) {
    void* const library =
        dlopen((library_folder() + "/liborchestrate_training.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
    ASSERT_NE(library, nullptr) << dlerror();
    const auto open = reinterpret_cast<OpenTrainingEngine>(dlsym(library, kOpenTrainingEngineSymbol));
    AttemptRequest request;
    request.config = synthetic_job();
    request.config.model.max_position_embeddings = 80;
    request.config.data.label = "kind";
    request.config.data.features = {"size", "weight"};
    request.config.tokenizer.max_length = 30;
    request.config.train.epochs = 3;
    const TemporaryFolder folder;
    request.paths.data = write_data(folder.path());
    std::vector<std::vector<EpochMetrics>> epochs;
    for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::cuda, DeviceKind::cuda}) {
        const std::unique_ptr<TrainingEngine> engine(open(kind, library_folder().c_str()));
        SilentObserver observer;
        const std::atomic<bool> stop{false};
        const AttemptOutcome outcome = engine->run(request, alone_, observer, stop);
        ASSERT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
        EXPECT_EQ(outcome.result.device_class.substr(0, 3), kind == DeviceKind::cpu ? "cpu" : "cud");
        EXPECT_THAT(observer.log, testing::Not(testing::Contains(HasSubstr("not recorded"))));
        epochs.push_back(observer.epochs);
    }
    for (std::size_t i = 0; i < epochs[0].size(); ++i) {
        EXPECT_NEAR(epochs[0][i].train_loss, epochs[1][i].train_loss, 1e-3);
        EXPECT_EQ(epochs[1][i].train_loss,
                  epochs[2][i].train_loss);  // deterministic, the next job of a worker
    }
}

TEST_F(GpuTest, ItsKernelsGiveWhatLibTorchsOperationsGive) {
    EXPECT_THAT(device_->notes, testing::IsEmpty());
    EXPECT_TRUE(device_->kernels.flash_attention) << "this GPU has no flash attention";
}

TEST_F(GpuTest, Fp32GivesTheLossesOfTheCpuWithDropout) {
    const TrainingRun cpu = run({});
    const TrainingRun gpu = run(on_gpu());
    expect_recorded(gpu);
    const double difference = largest_difference(cpu.losses, gpu.losses);
    std::cout << "largest difference over " << kSteps << " steps in fp32: " << difference << '\n';
    EXPECT_LT(difference, 1e-4);
    EXPECT_NEAR(test_loss(cpu.outcome.result), test_loss(gpu.outcome.result), 1e-4);
}

TEST_F(GpuTest, Bf16StaysCloseToTheCpusFp32) {
    use_wide_model();
    for (const double attention_dropout : {0.0, 0.1}) {  // by flash attention, and without
        config_.model.attention_probs_dropout_prob = attention_dropout;
        config_.train.precision = Precision::fp32;
        const TrainingRun cpu = run({});
        config_.train.precision = Precision::bf16;
        const TrainingRun gpu = run(on_gpu());
        expect_recorded(gpu);
        const double difference = mean_difference(cpu, gpu);
        std::cout << "mean difference over " << kSteps << " steps, bf16, attention dropout "
                  << attention_dropout << ": " << difference << '\n';
        EXPECT_LT(difference, 0.02);
    }
}

TEST_F(GpuTest, RecordedAndNotGiveTheSameLosses) {
    use_wide_model();
    config_.model.attention_probs_dropout_prob = 0;
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
        config_.train.precision = precision;
        const TrainingRun recorded = run(on_gpu());
        expect_recorded(recorded);
        const double difference = largest_difference(recorded.losses, run(on_gpu(false)).losses);
        std::cout << "recorded and not, " << to_string(precision) << ": " << difference << '\n';
        EXPECT_LT(difference, precision == Precision::fp32 ? 1e-4 : 0.02);
    }
}

TEST_F(GpuTest, DeterministicGivesTheSameBits) {
    use_wide_model();
    config_.model.attention_probs_dropout_prob = 0;
    config_.train.deterministic = true;
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
        config_.train.precision = precision;
        const TrainingRun first = run(on_gpu());
        expect_recorded(first);
        const TrainingRun second = run(on_gpu());
        EXPECT_EQ(first.losses, second.losses);
        EXPECT_EQ(test_loss(first.outcome.result), test_loss(second.outcome.result));
    }
}

TEST_F(GpuTest, WithoutDeterminismFiveRunsStayClose) {
    use_wide_model();
    config_.model.attention_probs_dropout_prob = 0;
    config_.train.precision = Precision::bf16;
    std::vector<double> last;
    for (int i = 0; i < 5; ++i) {
        last.push_back(run(on_gpu()).losses.back());
    }
    const auto [lowest, highest] = std::minmax_element(last.begin(), last.end());
    std::cout << "loss of step " << kSteps << " over 5 runs: " << *lowest << " to " << *highest << ", spread "
              << *highest - *lowest << '\n';
    EXPECT_LT(*highest - *lowest, 0.05);
}

TEST_F(GpuTest, NcclSumsOverOneRank) {
    const auto reducer = device_->make_reducer(alone_, std::chrono::seconds(60));
    const at::Tensor values = at::arange(1000, at::TensorOptions(at::kFloat).device(device_->device));
    const at::Tensor expected = values.clone();
    for (int i = 0; i < 3; ++i) {
        reducer->add(values);
        EXPECT_EQ(reducer->finalize().size(), 1U);
    }
    EXPECT_TRUE(values.equal(expected));
}

// Bytes that are free on the GPU.
std::size_t free_memory() {
    void* const runtime = dlopen("libcudart.so.13", RTLD_NOW | RTLD_NOLOAD);
    const auto ask = reinterpret_cast<int (*)(std::size_t*, std::size_t*)>(dlsym(runtime, "cudaMemGetInfo"));
    std::size_t free = 0;
    std::size_t all = 0;
    EXPECT_EQ(ask(&free, &all), 0);
    return free;
}

TEST_F(GpuTest, ALackOfMemoryHalvesThePasses) {
    data_ = synthetic_data(8192);
    config_.model.hidden_size = 256;
    config_.model.num_hidden_layers = 4;
    config_.model.intermediate_size = 1024;
    config_.train.batch_size = 4096;
    config_.train.epochs = 2;
    RunOptions options = on_gpu();
    const TrainingRun unhindered = run(options);
    ASSERT_EQ(unhindered.outcome.cause, Cause::succeeded) << unhindered.outcome.message;
    device_->release_memory();
    constexpr std::size_t kLeft = 900UL << 20;
    const at::Tensor occupied = at::empty({static_cast<std::int64_t>(free_memory() - kLeft)},
                                          at::TensorOptions(at::kByte).device(device_->device));
    EXPECT_THROW(run(options), OutOfMemory);
    options.retry_out_of_memory = true;
    const TrainingRun result = run(options);
    ASSERT_EQ(result.outcome.cause, Cause::succeeded) << result.outcome.message;
    EXPECT_THAT(result.log, testing::Contains(HasSubstr("going on with 2048")));
    EXPECT_LT(largest_difference(unhindered.losses, result.losses), 1e-3);
}

TEST_F(GpuTest, TwoWorkersShareIt) {
    const std::string program = std::filesystem::read_symlink("/proc/self/exe");
    const std::string filter = "--gtest_filter=GpuTest.Fp32GivesTheLossesOfTheCpuWithDropout";
    std::vector<pid_t> workers(2);
    for (pid_t& worker : workers) {
        const char* const arguments[] = {program.c_str(), filter.c_str(), nullptr};
        ASSERT_EQ(
            posix_spawn(&worker, program.c_str(), nullptr, nullptr, const_cast<char**>(arguments), environ),
            0);
    }
    for (const pid_t worker : workers) {
        int status = -1;
        ASSERT_EQ(waitpid(worker, &status, 0), worker);
        EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    }
}

}  // namespace
}  // namespace orchestrate::test
