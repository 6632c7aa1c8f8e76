#include "worker/training/loop/evaluation.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include <ATen/ATen.h>

#include "worker/training/batches/batches.h"
#include "worker/training/runtime/all_ranks.h"
#include "worker/training/runtime/out_of_memory.h"

namespace orchestrate {

namespace {

constexpr std::int64_t kTextsPerPass = 64;
constexpr std::chrono::milliseconds kGatherDeadline{600000};

// What one rank found for one row.
struct RowResult {
    double loss = 0;
    std::int32_t predicted_class = 0;
    float probability = 0;
};

// What one rank found for its rows.
struct ShareResults {
    std::vector<RowResult> rows;
    std::vector<float> class_probability;  // as in Evaluation
};

// Appends the results of the rows [begin, end) of a part.
void append_results(const EncoderClassifier& model, const PreparedPart& part,
                    const CompactVocabulary& vocabulary, const TextWindows& windows, RowRange range,
                    ShareResults& results) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(range.end - range.begin));
    std::iota(rows.begin(), rows.end(), range.begin);
    const auto layout = std::make_shared<BatchLayout>(pack(part, rows, 0, vocabulary, windows));
    const at::Tensor log_probability =
        model.logits(layout, std::nullopt).log_softmax(1).to(at::kCPU, at::kDouble).contiguous();
    const auto values = log_probability.accessor<double, 2>();
    for (std::int64_t text = 0; text < values.size(0); ++text) {
        RowResult result;
        for (std::int64_t c = 1; c < values.size(1); ++c) {
            if (values[text][c] > values[text][result.predicted_class]) {
                result.predicted_class = static_cast<std::int32_t>(c);
            }
        }
        result.probability = static_cast<float>(std::exp(values[text][result.predicted_class]));
        result.loss = -values[text][layout->batch.label[static_cast<std::size_t>(text)]];
        results.rows.push_back(result);
        for (std::int64_t c = 0; c < values.size(1); ++c) {
            results.class_probability.push_back(static_cast<float>(std::exp(values[text][c])));
        }
    }
}

// In passes that become smaller where memory is short: how many texts one takes is this function's own choice.
ShareResults results_of_share(const EncoderClassifier& model, const PreparedPart& part,
                              const CompactVocabulary& vocabulary, const TextWindows& windows, RowRange share,
                              const std::function<void()>& on_advance) {
    ShareResults results;
    results.rows.reserve(static_cast<std::size_t>(share.end - share.begin));
    std::int64_t texts = kTextsPerPass;
    for (std::int64_t begin = share.begin; begin < share.end;) {
        const RowRange range{begin, std::min(share.end, begin + texts)};
        const auto shortage =
            memory_shortage_in([&] { append_results(model, part, vocabulary, windows, range, results); });
        if (!shortage) {
            begin = range.end;
            on_advance();
        } else if (texts == 1) {
            throw OutOfMemory("out of memory in the evaluation of a single text: " + *shortage);
        } else {
            texts /= 2;
        }
    }
    return results;
}

// The values of all ranks in their order, on rank 0; empty on the others.
template <class Value>
std::vector<Value> gathered(std::span<const Value> mine, Collective& collective) {
    std::vector<Value> all;
    for (const auto& bytes : collective.gather(std::as_bytes(mine), kGatherDeadline)) {
        const std::size_t before = all.size();
        all.resize(before + bytes.size() / sizeof(Value));
        if (!bytes.empty()) {
            std::memcpy(all.data() + before, bytes.data(), bytes.size());
        }
    }
    return all;
}

}  // namespace

Evaluation evaluate(const EncoderClassifier& model, const PreparedPart& part,
                    const CompactVocabulary& vocabulary, const TextWindows& windows, Collective& collective,
                    const std::function<void()>& on_advance) {
    const at::NoGradGuard no_gradients;
    const RowRange share = share_of(part.rows(), collective.rank(), collective.size());
    ShareResults mine;
    run_on_all_ranks(collective, kGatherDeadline,
                     [&] { mine = results_of_share(model, part, vocabulary, windows, share, on_advance); });
    Evaluation evaluation;
    double loss = 0;
    for (const RowResult& result : gathered(std::span<const RowResult>(mine.rows), collective)) {
        evaluation.predicted_class.push_back(result.predicted_class);
        evaluation.probability.push_back(result.probability);
        loss += result.loss;
    }
    evaluation.class_probability = gathered(std::span<const float>(mine.class_probability), collective);
    if (!evaluation.predicted_class.empty()) {
        evaluation.loss = loss / static_cast<double>(evaluation.predicted_class.size());
    }
    return evaluation;
}

ConfusionMatrix confusion_of(const Evaluation& evaluation, const PreparedPart& part, std::size_t classes) {
    ConfusionMatrix confusion(classes);
    confusion.add(part.label, evaluation.predicted_class);
    return confusion;
}

}  // namespace orchestrate
