#include "worker/data/text_form.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>
#include <thread>

#include "common/base/error.h"

namespace orchestrate {
namespace {

constexpr std::int64_t kMaxAdjectives = 7;
constexpr const char* kMissingWord = "missing";

std::string without_unit(const std::string& column) {
    constexpr std::array<std::string_view, 14> kUnits = {"_ms", "_sec", "_secs", "_seconds", "_min",
                                                         "_db", "_hz",  "_bpm",  "_kg",      "_cm",
                                                         "_mm", "_km",  "_pct",  "_percent"};
    for (const auto unit : kUnits) {
        if (column.size() > unit.size() && column.ends_with(unit)) {
            return column.substr(0, column.size() - unit.size());
        }
    }
    return column;
}

void append_fixed(std::string& text, double value, int decimals) {
    std::array<char, 400> buffer{};
    const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                            std::chars_format::fixed, decimals);
    std::string_view digits(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
    if (digits.starts_with('-') && digits.find_first_not_of("-0.") == std::string_view::npos) {
        digits.remove_prefix(1);  // what is rounded to -0.00 is 0.00
    }
    text += digits;
}

std::vector<double> training_values(const FeatureColumn& column, const std::vector<DataPart>& parts) {
    std::vector<double> values;
    for (std::size_t row = 0; row < parts.size(); ++row) {
        if (parts[row] == DataPart::train && !column.is_missing(row)) {
            values.push_back(column.numbers[row]);
        }
    }
    if (values.empty()) {
        throw UserError(
            "column '" + column.name +
            "' has no value in any row of the training part; leave it out of data.features, or use more "
            "rows");
    }
    return values;
}

// As numpy's: of an even number of values the mean of the two in the middle.
double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) {
        return *middle;
    }
    const double below = *std::max_element(values.begin(), middle);
    return below + (*middle - below) / 2;
}

void check_range(const char* name, std::int64_t value, std::int64_t low, std::int64_t high) {
    if (value < low || value > high) {
        throw UserError(std::string(name) + " is " + std::to_string(value) + ", expected " +
                        std::to_string(low) + " to " + std::to_string(high));
    }
}

}  // namespace

std::vector<std::string> readable_names(const std::vector<std::string>& columns) {
    std::map<std::string, int> uses;
    for (const auto& column : columns) {
        ++uses[without_unit(column)];
    }
    std::vector<std::string> names;
    for (const auto& column : columns) {
        const std::string shorter = without_unit(column);
        std::string name = uses[shorter] == 1 ? shorter : column;
        std::replace(name.begin(), name.end(), '_', ' ');
        names.push_back(std::move(name));
    }
    return names;
}

std::vector<std::string> quantile_words(std::int64_t quantiles) {
    switch (quantiles) {
        case 2:
            return {"low", "high"};
        case 3:
            return {"low", "medium", "high"};
        case 4:
            return {"very low", "low", "high", "very high"};
        case 5:
            return {"very low", "low", "medium", "high", "very high"};
        case 6:
            return {"very low", "low", "rather low", "rather high", "high", "very high"};
        case kMaxAdjectives:
            return {"very low", "low", "rather low", "medium", "rather high", "high", "very high"};
        default:
            break;
    }
    std::vector<std::string> words;
    for (std::int64_t k = 1; k <= quantiles; ++k) {
        words.push_back(std::to_string(k));
    }
    return words;
}

TextWriter::TextWriter(const Dataset& dataset, const std::vector<DataPart>& parts, const TextConfig& config,
                       MissingValues missing)
    : dataset_(dataset) {
    check_range("data.text.quantiles", config.quantiles, 2, 100);
    check_range("data.text.decimals", config.decimals, 0, 6);
    std::vector<std::string> columns;
    for (const auto& column : dataset.features) {
        columns.push_back(column.name);
    }
    const auto names = readable_names(columns);
    for (std::size_t i = 0; i < dataset.features.size(); ++i) {
        const FeatureColumn& column = dataset.features[i];
        Feature feature{names[i], &column, std::nullopt, {}};
        if (column.kind == ColumnKind::numeric) {
            const auto values = training_values(column, parts);
            if (missing == MissingValues::median && !column.missing.empty()) {
                feature.if_missing = median(values);
            }
            const bool whole =
                std::all_of(values.begin(), values.end(), [](double v) { return v == std::floor(v); });
            const int decimals = static_cast<int>(config.decimals);
            switch (config.form) {
                case TextForm::rounded:
                    feature.form = Number{Standardization{}, whole ? 0 : decimals};
                    break;
                case TextForm::standardized:
                    feature.form = Number{Standardization::fit(values), decimals};
                    break;
                case TextForm::quantile_words:
                    feature.form =
                        Words{QuantileBins::fit(values, static_cast<std::size_t>(config.quantiles)),
                              quantile_words(config.quantiles)};
                    break;
            }
        }
        features_.push_back(std::move(feature));
    }
}

void TextWriter::append_number(std::string& text, const Feature& feature, double value) {
    if (const auto* const number = std::get_if<Number>(&feature.form)) {
        append_fixed(text, number->standardization(value), number->decimals);
    } else if (const auto* const words = std::get_if<Words>(&feature.form)) {
        text += words->words[words->bins.bin_of(value)];
    }
}

std::string TextWriter::text(std::size_t row) const {
    std::string text;
    for (const auto& feature : features_) {
        const FeatureColumn& column = *feature.column;
        text += text.empty() ? "" : ", ";
        text += feature.name;
        text += ' ';
        if (column.is_missing(row)) {
            if (feature.if_missing) {
                append_number(text, feature, *feature.if_missing);
            } else {
                text += kMissingWord;
            }
        } else if (column.kind == ColumnKind::numeric) {
            append_number(text, feature, column.numbers[row]);
        } else if (column.kind == ColumnKind::boolean) {
            text += column.numbers[row] != 0 ? "yes" : "no";
        } else {
            text += column.texts[row];
        }
    }
    return text;
}

std::vector<std::string> TextWriter::all_texts(int threads) const {
    std::vector<std::string> texts(dataset_.rows());
    const auto write = [&](std::size_t begin, std::size_t end) {
        for (std::size_t row = begin; row < end; ++row) {
            texts[row] = text(row);
        }
    };
    const auto parts = static_cast<std::size_t>(std::max(1, threads));
    std::vector<std::jthread> workers;
    for (std::size_t part = 1; part < parts; ++part) {
        workers.emplace_back(write, texts.size() * part / parts, texts.size() * (part + 1) / parts);
    }
    write(0, texts.size() / parts);
    workers.clear();
    return texts;
}

}  // namespace orchestrate
