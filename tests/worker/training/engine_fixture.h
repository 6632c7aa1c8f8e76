// The training engine through its door, as the agent uses it: opened by dlopen, with a small job.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "common/base/sha256.h"
#include "common/base/temporary_folder.h"
#include "tests/worker/training/synthetic_data.h"

namespace orchestrate::test {

class EngineTest : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        void* const library =
            dlopen(ORCHESTRATE_BINARY_DIR "/lib/liborchestrate_training.so", RTLD_NOW | RTLD_GLOBAL);
        ASSERT_NE(library, nullptr) << dlerror();
        open_ = reinterpret_cast<OpenTrainingEngine>(dlsym(library, kOpenTrainingEngineSymbol));
        ASSERT_NE(open_, nullptr);
    }
    void SetUp() override {
        engine_.reset(open_(DeviceKind::cpu, ORCHESTRATE_BINARY_DIR "/lib"));
        request_.config = synthetic_job();
        request_.config.model.max_position_embeddings = 80;
        request_.config.train.epochs = 3;
        request_.config.data.label = "kind";
        request_.config.data.features = {"size", "weight"};
        use_data(write_data("data.csv", 300));
    }

    std::string write_data(const std::string& name, int rows) {
        std::ofstream file(folder_ / name);
        file << "kind,size,weight\n";
        for (int row = 0; row < rows; ++row) {
            file << (row % 3 == 0 ? "a" : "b") << ',' << row % 3 * 10 + row % 7 << ',' << row % 11 << '\n';
        }
        return folder_ / name;
    }
    std::string write_file(const std::string& name, const std::string& content) {
        std::ofstream(folder_ / name) << content;
        return folder_ / name;
    }
    void use_data(const std::string& path) {
        request_.paths.data = path;
        request_.config.data.sha256 = sha256_hex_of_content(path);
    }
    AttemptOutcome run() {
        observer_.epochs.clear();
        observer_.log.clear();
        return engine_->run(request_, collective_, observer_, stop_);
    }

    inline static OpenTrainingEngine open_ = nullptr;
    TemporaryFolder parent_;
    std::filesystem::path folder_ = parent_.path();
    std::unique_ptr<TrainingEngine> engine_;
    AttemptRequest request_;
    SingleRank collective_;
    SilentObserver observer_;
    std::atomic<bool> stop_{false};
};

}  // namespace orchestrate::test
