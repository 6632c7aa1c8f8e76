// What a job costs on a warm worker besides its training and evaluation steps: the same process trains jobs one after
// another on the same data, and each is told to stop at its first step, which is one of a single example. So what is
// timed is everything before the steps, that step, and the end.
//   warm_start --data FILE --vocabulary FOLDER --threads 1 --repeat 15
#include <algorithm>
#include <atomic>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <memory>
#include <vector>

#include <CLI/CLI.hpp>
#include <dlfcn.h>
#include <time.h>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/data/vocabulary.h"
#include "worker/single_rank.h"
#include "worker/training_api.h"

namespace {

using namespace orchestrate;

class SilentObserver final : public AttemptObserver {
  public:
    void on_progress(const TrainingProgress&) override {}
    void on_epoch(const EpochMetrics&) override {}
    void on_log(const std::string&) override {}
};

double processor_seconds() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

JobConfig job_of(std::int64_t layers, std::int64_t hidden) {
    JobConfig config;
    config.data.label = "track_genre";
    config.data.features = {"popularity",   "danceability",     "energy",   "loudness", "speechiness",
                            "acousticness", "instrumentalness", "liveness", "valence",  "tempo"};
    config.data.text.form = TextForm::rounded;
    config.model.hidden_size = config.model.head_width = hidden;
    config.model.num_hidden_layers = layers;
    config.model.num_attention_heads = hidden / 64;
    config.model.intermediate_size = 4 * hidden;
    config.train.batch_size = 1;
    return config;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Times what a job costs on a warm worker besides its steps");
    AttemptRequest request;
    int repeat = 15;
    std::string library_folder = ORCHESTRATE_BINARY_DIR "/lib";
    app.add_option("--data", request.paths.data)->required()->check(CLI::ExistingFile);
    app.add_option("--vocabulary", request.paths.vocabulary)->required()->check(CLI::ExistingDirectory);
    app.add_option("--threads", request.threads);
    app.add_option("--repeat", repeat);
    app.add_option("--library-folder", library_folder);
    CLI11_PARSE(app, argc, argv);
    try {
        void* const library =
            dlopen((library_folder + "/liborchestrate_training.so").c_str(), RTLD_NOW | RTLD_GLOBAL);
        if (library == nullptr) {
            throw UserError(dlerror());
        }
        const auto open = reinterpret_cast<OpenTrainingEngine>(dlsym(library, kOpenTrainingEngineSymbol));
        const std::unique_ptr<TrainingEngine> engine(open(DeviceKind::cpu, library_folder.c_str()));
        const auto collective = std::make_unique<SingleRank>();
        SilentObserver observer;
        const std::atomic<bool> stop{true};
        const std::string data = sha256_hex_of_content(request.paths.data);
        const std::string vocabulary = sha256_hex_of_vocabulary(request.paths.vocabulary);
        std::cout << std::fixed << std::setprecision(1)
                  << "model      first job ms   next job ms   of processor ms   largest ms\n";
        for (const auto& [layers, hidden] : {std::pair(2, 64), std::pair(2, 128), std::pair(4, 256)}) {
            request.config = job_of(layers, hidden);
            request.config.data.sha256 = data;
            request.config.tokenizer.vocabulary_sha256 = vocabulary;
            std::vector<double> wall;
            std::vector<double> processor;
            for (int i = 0; i <= repeat; ++i) {
                request.config.seed.initialization = static_cast<std::uint64_t>(i);
                const auto start = std::chrono::steady_clock::now();
                const double processor_start = processor_seconds();
                const AttemptOutcome outcome = engine->run(request, *collective, observer, stop);
                wall.push_back(
                    std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                        .count());
                processor.push_back(1e3 * (processor_seconds() - processor_start));
                if (outcome.cause != Cause::preempted) {
                    throw std::runtime_error(to_string(outcome.cause) + ": " + outcome.message);
                }
            }
            const double first = wall.front();
            wall.erase(wall.begin());
            processor.erase(processor.begin());
            std::cout << layers << " x " << std::setw(3) << hidden << std::setw(16) << first << std::setw(14)
                      << median(wall) << std::setw(18) << median(processor) << std::setw(13)
                      << *std::max_element(wall.begin(), wall.end()) << std::endl;
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
    return 0;
}
