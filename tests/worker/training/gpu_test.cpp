// The engine on a GPU, opened as the agent opens it: the same job as on the CPU, to the tolerance of the two
// devices.
#include <filesystem>
#include <fstream>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "tests/worker/training/synthetic_data.h"

namespace orchestrate::test {
namespace {

bool has_gpu() {
    return dlopen("libcuda.so.1", RTLD_LAZY) != nullptr && std::filesystem::exists("/dev/nvidia0");
}

std::filesystem::path write_data() {
    const std::filesystem::path path = testing::TempDir() + "orchestrate_gpu_test.csv";
    std::ofstream file(path);
    file << "kind,size,weight\n";
    for (int row = 0; row < 300; ++row) {
        file << (row % 3 == 0 ? "a" : "b") << ',' << row % 3 * 10 + row % 7 << ',' << row % 11 << '\n';
    }
    return path;
}

TEST(GpuTest, TheSameJobAsOnTheCpu) {
    if (!has_gpu()) {
        GTEST_SKIP() << "skipped: no GPU";
    }
    void* const library =
        dlopen(ORCHESTRATE_BINARY_DIR "/lib/liborchestrate_training.so", RTLD_NOW | RTLD_GLOBAL);
    ASSERT_NE(library, nullptr) << dlerror();
    const auto open = reinterpret_cast<OpenTrainingEngine>(dlsym(library, kOpenTrainingEngineSymbol));
    AttemptRequest request;
    request.config = synthetic_job();
    request.config.data.label = "kind";
    request.config.data.features = {"size", "weight"};
    request.config.tokenizer.max_length = 30;
    request.config.train.epochs = 3;
    request.paths.data = write_data();
    std::vector<std::vector<EpochMetrics>> epochs;
    for (const DeviceKind kind : {DeviceKind::cpu, DeviceKind::cuda}) {
        const std::unique_ptr<TrainingEngine> engine(open(kind, ORCHESTRATE_BINARY_DIR "/lib"));
        SingleRank alone;
        SilentObserver observer;
        const std::atomic<bool> stop{false};
        const AttemptOutcome outcome = engine->run(request, alone, observer, stop);
        ASSERT_EQ(outcome.cause, Cause::succeeded) << outcome.message;
        EXPECT_EQ(outcome.result.device_class.substr(0, 3), kind == DeviceKind::cpu ? "cpu" : "cud");
        epochs.push_back(observer.epochs);
    }
    for (std::size_t i = 0; i < epochs[0].size(); ++i) {
        EXPECT_NEAR(epochs[0][i].train_loss, epochs[1][i].train_loss, 1e-3);
    }
}

}  // namespace
}  // namespace orchestrate::test
