// Trains one job without a coordinator and prints what it reports as JSON lines: for measuring text forms and
// hyper-parameters, and for tests under mpirun.
//   train_job CONFIG.json [--data FILE] [--vocabulary FOLDER] [--threads N] [--mpi SHARED_OBJECT] [--texts
//   FILE]
//             [--repeat N] [--set /json/pointer=value]...
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>
#include <dlfcn.h>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/data/pretrained_config.h"
#include "common/data/vocabulary.h"
#include "worker/single_rank.h"
#include "worker/training_api.h"

namespace {

using namespace orchestrate;

class PrintingObserver final : public AttemptObserver {
  public:
    void on_progress(const TrainingProgress&) override {}
    void on_epoch(const EpochMetrics& metrics) override {
        std::cout << Json{{"epoch", metrics}} << std::endl;
    }
    void on_log(const std::string& line) override { std::cerr << line << '\n'; }
};

void* open_library(const std::string& path) {
    void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        throw UserError(dlerror());
    }
    return library;
}

// "/train/epochs=3": the value is JSON, or a string if it is not.
void apply(Json& config, const std::string& assignment) {
    const auto at = assignment.find('=');
    if (at == std::string::npos) {
        throw UserError("--set wants /json/pointer=value, found '" + assignment + "'");
    }
    const std::string text = assignment.substr(at + 1);
    Json value = Json::parse(text, nullptr, false);
    config[Json::json_pointer(assignment.substr(0, at))] = value.is_discarded() ? Json(text) : value;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Trains one job without a coordinator");
    std::string config_file;
    std::string data;
    std::string vocabulary;
    std::string pretrained;
    std::string models;
    std::string mpi;
    std::string texts;
    std::string trace;
    // Beside this program, wherever both have been carried.
    std::string library_folder =
        std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib";
    std::vector<std::string> assignments;
    int threads = 1;
    int repeat = 1;
    bool cuda = false;
    bool brief = false;
    app.add_option("config", config_file)->required()->check(CLI::ExistingFile);
    app.add_option("--data", data)->required();
    app.add_option("--vocabulary", vocabulary);
    app.add_option("--pretrained", pretrained, "folder with config.json and weights to start from");
    app.add_option("--models", models, "save the trained model in a folder of its own there");
    app.add_option("--threads", threads);
    app.add_option("--mpi", mpi, "shared object of an MPI library");
    app.add_option("--texts", texts, "write what the model reads to this CSV file and end");
    app.add_option("--trace", trace,
                   "write where the time of the first steps goes (a Chrome trace per rank)");
    app.add_option("--set", assignments);
    app.add_option("--repeat", repeat, "train the same job several times in one process");
    app.add_option("--library-folder", library_folder);
    app.add_flag("--cuda", cuda);
    app.add_flag("--brief", brief, "print no predictions");
    CLI11_PARSE(app, argc, argv);
    try {
        Json json = Json::parse(std::ifstream(config_file));
        for (const auto& assignment : assignments) {
            apply(json, assignment);
        }
        AttemptRequest request;
        request.config = json.get<JobConfig>();
        request.paths = {data, vocabulary, pretrained};
        request.threads = threads;
        request.models_folder = models;
        request.resources.save_model = !models.empty();
        request.trace_file = trace;
        if (!pretrained.empty()) {
            request.config.model.pretrained_sha256 = sha256_hex_of_pretrained(pretrained);
        }
        request.config.data.sha256 = sha256_hex_of_content(data);
        if (!vocabulary.empty()) {
            request.config.tokenizer.kind = vocabulary_kind(vocabulary);
            request.config.tokenizer.vocabulary_sha256 = sha256_hex_of_vocabulary(vocabulary);
        }
        const auto open_engine = reinterpret_cast<OpenTrainingEngine>(
            dlsym(open_library(library_folder + "/liborchestrate_training.so"), kOpenTrainingEngineSymbol));
        const std::unique_ptr<TrainingEngine> engine(
            open_engine(cuda ? DeviceKind::cuda : DeviceKind::cpu, library_folder.c_str()));
        if (!texts.empty()) {
            engine->write_texts(request.config, request.paths, texts);
            return 0;
        }
        std::unique_ptr<Collective> collective;
        if (mpi.empty()) {
            collective = std::make_unique<SingleRank>();
        } else {
            collective.reset(
                reinterpret_cast<OpenCollective>(dlsym(open_library(mpi), kOpenCollectiveSymbol))({}));
        }
        PrintingObserver observer;
        const std::atomic<bool> stop{false};
        for (int i = 0; i < repeat; ++i) {
            AttemptOutcome outcome = engine->run(request, *collective, observer, stop);
            if (collective->rank() != 0) {
                continue;
            }
            if (outcome.cause != Cause::succeeded) {
                std::cerr << to_string(outcome.cause) << ": " << outcome.message << '\n';
                return 1;
            }
            if (brief) {
                outcome.result.test_predictions = {};
                outcome.result.test_confusion.clear();
                outcome.result.test_classes.clear();
            }
            std::cout << Json{{"result", outcome.result}} << std::endl;
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
    return 0;
}
