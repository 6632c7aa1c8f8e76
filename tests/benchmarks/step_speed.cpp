// Times the optimiser steps of one training on the CPU and, in between, the matrix products of such a step alone:
// prints one line of JSON. With --ids it writes the token ids and labels of the training rows instead, for other
// trainers to read.
//   step_speed --data FILE --vocabulary FOLDER --layers 4 --hidden 256 --threads 1 --steps 20
#include <chrono>
#include <fstream>
#include <iostream>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <CLI/CLI.hpp>
#include <malloc.h>
#include <time.h>

#include "common/base/error.h"
#include "tests/worker/training/synthetic_data.h"
#include "worker/training/operations/matrix_product.h"

namespace {

using namespace orchestrate;

// What was spent, by the clock and by all threads of this process.
struct Spent {
    double seconds = 0;
    double processor_seconds = 0;

    Spent& operator+=(const Spent& other) {
        seconds += other.seconds;
        processor_seconds += other.processor_seconds;
        return *this;
    }
};

class Stopwatch {
  public:
    Stopwatch() { restart(); }
    void restart() { begin_ = now(); }
    Spent spent() const {
        const Spent end = now();
        return {end.seconds - begin_.seconds, end.processor_seconds - begin_.processor_seconds};
    }

  private:
    static double read(clockid_t clock) {
        timespec time{};
        clock_gettime(clock, &time);
        return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
    }
    static Spent now() { return {read(CLOCK_MONOTONIC), read(CLOCK_PROCESS_CPUTIME_ID)}; }
    Spent begin_;
};

// The matrix products of one step's forward and backward passes, as the engine needs them: the last layer beyond its keys
// and values, and the head, for the first token of each text alone. Attention's, which are small ones of each text, are
// done here for all texts of one head together, which is quicker.
class StepProducts {
  public:
    StepProducts(const ModelConfig& model, std::int64_t tokens, std::int64_t texts) {
        const std::int64_t hidden = model.hidden_size;
        const std::int64_t inner = model.intermediate_size;
        for (std::int64_t layer = 0; layer < model.num_hidden_layers; ++layer) {
            const bool last = layer + 1 == model.num_hidden_layers;
            const std::int64_t rows = last ? texts : tokens;
            if (last) {
                add(texts, hidden, hidden);
                add(tokens, hidden, 2 * hidden);
            } else {
                add(tokens, hidden, 3 * hidden);
            }
            for (std::int64_t head = 0; head < model.num_attention_heads; ++head) {
                const std::int64_t size = hidden / model.num_attention_heads;
                add(rows, size, tokens / texts);  // queries by keys
                add(rows, tokens / texts, size);  // probabilities by values
            }
            add(rows, hidden, hidden);
            add(rows, hidden, inner);
            add(rows, inner, hidden);
        }
        add(texts, hidden, model.head_width);
    }

    using Multiply = void (*)(const at::Tensor& result, const ProductSide& left, const ProductSide& right);

    void run(Multiply multiply) const {
        for (const Projection& one : projections_) {
            multiply(one.output, {one.input, false}, {one.weight, true});
        }
        for (const Projection& one : projections_) {
            multiply(one.weight, {one.output, true}, {one.input, false});
            multiply(one.input, {one.output, false}, {one.weight, false});
        }
    }

    double floating_point_operations() const {
        double sum = 0;
        for (const Projection& one : projections_) {
            sum += 6.0 * static_cast<double>(one.input.numel()) * static_cast<double>(one.output.size(1));
        }
        return sum;
    }

  private:
    struct Projection {
        at::Tensor input, weight, output;
    };
    void add(std::int64_t rows, std::int64_t inputs, std::int64_t outputs) {
        projections_.push_back({at::zeros({rows, inputs}, at::kFloat),
                                at::zeros({outputs, inputs}, at::kFloat),
                                at::zeros({rows, outputs}, at::kFloat)});
    }
    std::vector<Projection> projections_;
};

void multiply_by_libtorch(const at::Tensor& result, const ProductSide& left, const ProductSide& right) {
    at::Tensor target = result;
    at::mm_out(target, left.transposed ? left.matrix.t() : left.matrix,
               right.transposed ? right.matrix.t() : right.matrix);
}

void multiply_by_engine(const at::Tensor& result, const ProductSide& left, const ProductSide& right) {
    multiply_into(result, left, right, Precision::fp32);
}

// Ten audio features, key, time signature and duration, as raw numbers: about 72 tokens of RoBERTa's vocabulary.
JobConfig job_of(std::int64_t layers, std::int64_t hidden, std::int64_t rows) {
    JobConfig config;
    config.data.label = "track_genre";
    config.data.features = {"popularity",   "danceability",     "energy",      "loudness", "speechiness",
                            "acousticness", "instrumentalness", "liveness",    "valence",  "tempo",
                            "key",          "time_signature",   "duration_ms", "mode"};
    config.data.max_rows = rows;
    config.data.text.form = TextForm::rounded;
    config.data.split.train = 1.0;
    config.data.split.validation = 0.0;
    config.data.split.test = 0.0;
    config.model.hidden_size = hidden;
    config.model.num_hidden_layers = layers;
    config.model.num_attention_heads = std::max<std::int64_t>(1, hidden / 64);
    config.model.intermediate_size = 4 * hidden;
    config.model.head_width = hidden;
    config.train.epochs = 1;
    config.train.batch_size = 16;
    config.train.learning_rate = 1e-4;
    config.train.epoch_selection = EpochSelection::last;
    config.seed = {1, 1};
    return config;
}

void write_ids(const PreparedData& data, const std::string& path) {
    Json ids = Json::array();
    for (std::int64_t row = 0; row < data.train.rows(); ++row) {
        const auto tokens = data.train.tokens(row);
        ids.push_back(std::vector<std::int32_t>(tokens.begin(), tokens.end()));
    }
    std::ofstream file(path);
    file << Json{{"ids", ids}, {"labels", data.train.label}, {"classes", data.classes.size()}};
    if (!file.flush()) {
        throw UserError("cannot write " + path);
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Times the steps of a training and its matrix products alone");
    JobPaths paths;
    std::int64_t layers = 4;
    std::int64_t hidden = 256;
    std::int64_t steps = 20;
    std::int64_t warm_up = 5;
    int threads = 1;
    std::string precision = "fp32";
    std::string ids;
    bool no_products = false;
    app.add_option("--data", paths.data)->required()->check(CLI::ExistingFile);
    app.add_option("--vocabulary", paths.vocabulary)->required()->check(CLI::ExistingDirectory);
    app.add_option("--layers", layers);
    app.add_option("--hidden", hidden);
    app.add_option("--steps", steps, "timed");
    app.add_option("--warm-up", warm_up, "steps before those");
    app.add_option("--threads", threads);
    app.add_option("--precision", precision)->check(CLI::IsMember({"fp32", "bf16"}));
    app.add_option("--ids", ids, "write token ids and labels to this file and end");
    app.add_flag("--no-products", no_products, "time no products between the steps");
    CLI11_PARSE(app, argc, argv);
    try {
        // As the engine's shared object does.
        mallopt(M_MMAP_THRESHOLD, 1 << 30);
        mallopt(M_TRIM_THRESHOLD, 1 << 30);
        at::set_num_threads(threads);
        JobConfig config = job_of(layers, hidden, 16 * (steps + warm_up));
        config.train.precision = *enum_from_name<Precision>(precision);
        const PreparedData data = prepare_data(config.data, config.tokenizer, paths, threads);
        if (!ids.empty()) {
            write_ids(data, ids);
            return 0;
        }
        const double tokens_per_text =
            static_cast<double>(data.train.token_ids.size()) / static_cast<double>(data.train.rows());
        const StepProducts products(config.model, static_cast<std::int64_t>(16 * tokens_per_text + 0.5), 16);
        Spent in_steps;
        Spent in_libtorch;
        Spent in_engine;
        Stopwatch watch;
        const TrainingDevice device = cpu_device();
        SingleRank alone;
        test::SilentObserver observer;
        const std::atomic<bool> stop{false};
        TrainerInputs inputs{config, data, device, alone, observer, stop};
        double last_loss = 0;
        inputs.on_step = [&](std::int64_t step, double loss) {
            if (step > warm_up) {
                in_steps += watch.spent();
            }
            last_loss = loss;
            if (!no_products) {
                const at::NoGradGuard no_gradients;
                watch.restart();
                products.run(multiply_by_libtorch);
                const Spent libtorch = watch.spent();
                watch.restart();
                products.run(multiply_by_engine);
                if (step > warm_up) {
                    in_libtorch += libtorch;
                    in_engine += watch.spent();
                }
            }
            watch.restart();
        };
        const AttemptOutcome outcome = train(inputs);
        if (outcome.cause != Cause::succeeded) {
            throw UserError(outcome.message);
        }
        const auto count = static_cast<double>(steps);
        const auto per_step = [&](const Spent& spent) {
            return Json{{"seconds", spent.seconds / count},
                        {"processor_seconds", spent.processor_seconds / count}};
        };
        std::cout << Json{{"layers", layers},
                          {"hidden", hidden},
                          {"threads", threads},
                          {"precision", precision},
                          {"device", device.device_class},
                          {"tokens_per_text", tokens_per_text},
                          {"loss", last_loss},
                          {"step", per_step(in_steps)},
                          {"libtorch_products", per_step(in_libtorch)},
                          {"engine_products", per_step(in_engine)},
                          {"product_gflop", products.floating_point_operations() / 1e9}}
                  << std::endl;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
    return 0;
}
