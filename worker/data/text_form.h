// Rows become texts: what a language model reads instead of numbers. Short, since every token costs time:
// names are made of words that RoBERTa's vocabulary knows, values of one or two.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/data/dataset.h"
#include "common/data/split.h"
#include "worker/data/scaler.h"

namespace orchestrate {

// Names as they stand in texts: without a unit at the end ("duration_ms" is "duration"), underscores as
// spaces; a unit stays where two names would become equal.
std::vector<std::string> readable_names(const std::vector<std::string>& columns);

// The words for `quantiles` bins from the lowest to the highest: adjectives up to 7 ("very low" .. "very
// high"), the numbers 1, 2, ... above that.
std::vector<std::string> quantile_words(std::int64_t quantiles);

// Writes the rows of a dataset as texts: "<name> <value>" per feature, joined by ", ". A truth value is "yes"
// or "no", a string is written as it is, a number as TextConfig::form says; in the form `rounded`, a column of
// whole numbers has no decimals. A missing value is the word "missing"; with MissingValues::median, a missing number
// is the median of the values of the training rows. Everything it needs to know of the numbers is learned from the
// values of the training rows alone, the missing ones left aside. Immutable after construction: any number of threads
// may use one. The dataset must outlive it.
class TextWriter {
  public:
    // Throws UserError if the configuration is out of range, or a numeric column has no value in any training row.
    // There is at least one training row.
    TextWriter(const Dataset& dataset, const std::vector<DataPart>& parts, const TextConfig& config,
               MissingValues missing = MissingValues::refuse);

    std::string text(std::size_t row) const;

    // text() of every row, by `threads` threads; their number does not change the result.
    std::vector<std::string> all_texts(int threads) const;

  private:
    struct Number {
        Standardization standardization;  // of the form `standardized`; else value - 0
        int decimals = 0;
    };
    struct Words {
        QuantileBins bins;
        std::vector<std::string> words;
    };
    struct Feature {
        std::string name;
        const FeatureColumn* column = nullptr;
        std::optional<double> if_missing;                  // a number that stands for missing ones
        std::variant<std::monostate, Number, Words> form;  // monostate: a truth value or a string
    };

    static void append_number(std::string& text, const Feature& feature, double value);

    const Dataset& dataset_;
    std::vector<Feature> features_;
};

}  // namespace orchestrate
