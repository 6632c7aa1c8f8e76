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
    std::vector<std::uint16_t> class_probability;  // as in Evaluation
};

// Appends the results of the rows [begin, end) of a part.
void append_results(const EncoderClassifier& model, const PreparedPart& part,
                    const CompactVocabulary& vocabulary, const TextWindows& windows, RowRange range,
                    bool keep_probabilities, ShareResults& results) {
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
        for (std::int64_t c = 0; keep_probabilities && c < values.size(1); ++c) {
            results.class_probability.push_back(fixed_point(std::exp(values[text][c])));
        }
    }
}

// In passes that become smaller where memory is short: how many texts one takes is this function's own choice.
ShareResults results_of_share(const EncoderClassifier& model, const PreparedPart& part,
                              const CompactVocabulary& vocabulary, const TextWindows& windows, RowRange share,
                              bool keep_probabilities, const std::function<void()>& on_advance) {
    ShareResults results;
    results.rows.reserve(static_cast<std::size_t>(share.end - share.begin));
    std::int64_t texts = kTextsPerPass;
    for (std::int64_t begin = share.begin; begin < share.end;) {
        const RowRange range{begin, std::min(share.end, begin + texts)};
        const auto shortage = memory_shortage_in(
            [&] { append_results(model, part, vocabulary, windows, range, keep_probabilities, results); });
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

}  // namespace

Evaluation evaluate(const EncoderClassifier& model, const PreparedPart& part,
                    const CompactVocabulary& vocabulary, const TextWindows& windows, Collective& collective,
                    const std::function<void()>& on_advance, bool keep_probabilities) {
    const at::NoGradGuard no_gradients;
    const RowRange share = share_of(part.rows(), collective.rank(), collective.size());
    ShareResults mine;
    run_on_all_ranks(collective, kGatherDeadline, [&] {
        mine = results_of_share(model, part, vocabulary, windows, share, keep_probabilities, on_advance);
    });
    Evaluation evaluation;
    double loss = 0;
    for (const auto& bytes : collective.gather(std::as_bytes(std::span(mine.rows)), kGatherDeadline)) {
        std::vector<RowResult> theirs(bytes.size() / sizeof(RowResult));
        if (!theirs.empty()) {
            std::memcpy(theirs.data(), bytes.data(), bytes.size());
        }
        for (const RowResult& result : theirs) {
            evaluation.predicted_class.push_back(result.predicted_class);
            evaluation.probability.push_back(result.probability);
            loss += result.loss;
        }
    }
    if (keep_probabilities) {
        const auto bytes_of_mine = std::as_bytes(std::span(mine.class_probability));
        for (const auto& bytes : collective.gather(bytes_of_mine, kGatherDeadline)) {
            const std::size_t before = evaluation.class_probability.size();
            evaluation.class_probability.resize(before + bytes.size() / sizeof(std::uint16_t));
            if (!bytes.empty()) {
                std::memcpy(evaluation.class_probability.data() + before, bytes.data(), bytes.size());
            }
        }
    }
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
