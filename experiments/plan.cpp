#include "experiments/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "experiments/expansion/search_rungs.h"
#include "experiments/expansion/study.h"
#include "experiments/expansion/study_plan.h"
#include "experiments/syntax/escaped_text.h"

namespace orchestrate {
namespace {

constexpr std::size_t kWidth = 80;
constexpr std::size_t kMaxRowsShown = 40;  // per stage

bool is_continuation_byte(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation_byte(c); }));
}

// Shortened with "..." where it is too long, padded where it is too short.
std::string fitted(const std::string& raw, std::size_t width) {
    const std::string text = escaped_text(raw);
    const std::size_t present = width_of(text);
    if (present <= width) {
        return text + std::string(width - present, ' ');
    }
    std::string result;
    std::size_t used = 0;
    for (const char c : text) {
        used += is_continuation_byte(c) ? 0 : 1;
        if (used + 3 > width) {
            break;
        }
        result += c;
    }
    return result + "...";
}

std::string join_words(const std::vector<std::string>& words) {
    std::string text;
    for (const auto& word : words) {
        text += (text.empty() ? "" : " ") + word;
    }
    return text;
}

// "a, b, c" broken into lines of at most kWidth, the further ones indented; the first begins behind `column` and a space.
std::string wrapped(const std::string& raw, std::size_t indent, std::size_t column = 0) {
    const std::string text = escaped_text(raw);
    std::string result(column, ' ');
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = std::min(text.find(' ', begin), text.size());
        const std::string word = text.substr(begin, end - begin);
        const std::size_t width = width_of(word);
        if (column > 0 && column + 1 + width > kWidth) {
            result += "\n" + std::string(indent, ' ');
            column = indent;
        } else if (column > 0) {
            result += ' ';
            ++column;
        }
        result += fitted(word, std::min(width, kWidth - column));
        column += width;
        begin = end + 1;
    }
    return result;
}

// "1, 2, 3"; "6 jobs" where the seeds alone do not say it.
std::string seeds_text(const std::vector<Run>& runs) {
    std::string text;
    for (const auto& run : runs) {
        text += (text.empty() ? "" : ", ") + fmt::format("{}", run.seed.initialization);
        if (run.fold > 0 || run.repeat > 0 || run.seed.initialization != run.seed.data_order ||
            width_of(text) > 12) {
            return counted(runs.size(), "job");
        }
    }
    return text;
}

std::string rows_text(const std::vector<Variant>& variants) {
    std::size_t name_width = 7;
    std::size_t seeds_width = 5;
    for (const auto& variant : variants) {
        name_width = std::max(name_width, width_of(variant.name));
        seeds_width = std::max(seeds_width, width_of(seeds_text(variant.runs)));
    }
    name_width = std::min<std::size_t>(name_width, 30);
    const std::size_t fixed = 2 + name_width + 2 + 2 + seeds_width + 2 + 5;
    const std::size_t change_width = kWidth - fixed;
    const auto line = [&](const std::string& name, const std::string& change, const std::string& seeds,
                          const std::string& ranks) {
        return fmt::format("  {}  {}  {}  {:>5}\n", fitted(name, name_width), fitted(change, change_width),
                           fitted(seeds, seeds_width), ranks);
    };
    std::string text = variants.empty() ? "" : line("variant", "change", "seeds", "ranks");
    for (std::size_t i = 0; i < std::min(variants.size(), kMaxRowsShown); ++i) {
        const auto& variant = variants[i];
        text += line(variant.name, variant.change, seeds_text(variant.runs),
                     fmt::format("{}", variant.resources.ranks));
    }
    if (variants.size() > kMaxRowsShown) {
        text += fmt::format("  ... and {} more\n", variants.size() - kMaxRowsShown);
    }
    return text;
}

// What successive halving saves, if of each rung just one in so many goes on.
std::string halving_text(const Study& study, const Stage& stage, const std::vector<Variant>& variants) {
    const auto& halving = stage.halving;
    if (halving.rungs.empty() || variants.empty()) {
        return "";
    }
    std::vector<std::string> rungs;
    for (const auto rung : halving.rungs) {
        rungs.push_back(fmt::format("{}", rung));
    }
    const auto expected =
        expected_epochs(halving, static_cast<std::int64_t>(variants.size()), study.base.train.epochs);
    const auto per_trial = static_cast<std::int64_t>(variants.front().runs.size());
    return wrapped(fmt::format("after epoch {} the best 1 in {} go on{}: {} of {} epochs are trained{}",
                               join_and(rungs), halving.reduction_factor,
                               halving.deterministic ? ", once all are there" : "",
                               expected.with_rungs * per_trial, expected.without * per_trial,
                               halving.deterministic ? "" : ", or somewhat more"),
                   4, 1) +
           "\n";
}

std::string ensembles_text(const Study& study, const Stage& stage) {
    std::string text;
    for (const auto& ensemble : study.ensembles) {
        if (ensemble.stage == stage.name) {
            text += wrapped("ensemble " + ensemble.name +
                                (ensemble.name == ensemble.change ? "" : ": " + ensemble.change) +
                                "; computed, no training",
                            4, 1) +
                    "\n";
        }
    }
    return text;
}

std::string kind_of(const ColumnSummary& column) {
    switch (column.kind) {
        case ColumnKind::numeric:
            return "number";
        case ColumnKind::boolean:
            return "boolean";
        case ColumnKind::text:
            break;
    }
    return column.is_category() ? "category" : "text";
}

// "number, over 1000 values, 12 % missing".
std::string column_text(const ColumnSummary& column) {
    std::string text = kind_of(column);
    if (column.kind != ColumnKind::boolean) {
        text += column.distinct > ColumnSummary::kMaxDistinct
                    ? fmt::format(", over {} values", ColumnSummary::kMaxDistinct)
                    : ", " + counted(static_cast<std::size_t>(column.distinct), "value");
    }
    if (column.missing > 0) {
        const double share = 100 * static_cast<double>(column.missing) / static_cast<double>(column.rows);
        text += share < 0.1 ? ", under 0.1 % missing" : fmt::format(", {:.1f} % missing", share);
    }
    return text;
}

// What the columns were taken for, each with its values; of many columns the first ones, those with missing cells
// before the others.
std::string columns_text(const Study& study) {
    constexpr std::size_t kMaxShown = 12;
    std::vector<const ColumnSummary*> columns;
    for (const auto& column : study.plan->data.columns) {
        columns.push_back(&column);
    }
    std::map<std::string, std::size_t> others;
    if (columns.size() > kMaxShown) {
        std::stable_partition(columns.begin(), columns.end(),
                              [](const ColumnSummary* column) { return column->missing > 0; });
    }
    std::string text;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (i < kMaxShown) {
            text += (text.empty() ? "" : "; ") +
                    fmt::format("{} ({})", columns[i]->name, column_text(*columns[i]));
        } else {
            ++others[kind_of(*columns[i])];
        }
    }
    if (!others.empty()) {
        std::vector<std::string> kinds;
        for (const auto& [kind, count] : others) {
            kinds.push_back(counted(count, "column") + " of kind " + kind);
        }
        text += "; and " + join_and(kinds);
    }
    return text.empty() ? text : "\n" + wrapped("columns: " + text, 9);
}

std::string missing_text(const Study& study) {
    const auto dropped = study.plan->data.dropped_rows;
    const auto missing = study.base.data.missing.value_or(MissingValues::refuse);
    switch (missing) {
        case MissingValues::drop:
            return "\n" + wrapped(fmt::format("missing: {} with a missing cell left out",
                                              counted(static_cast<std::size_t>(dropped), "row")),
                                  9);
        case MissingValues::word:
            return "\nmissing: written as the word \"missing\"";
        case MissingValues::median:
            return "\n" +
                   wrapped(
                       "missing: numbers as the median of the training part, others as the word \"missing\"",
                       9);
        case MissingValues::refuse:
            break;
    }
    return "";
}

// What is trained, on what.
std::string training_text(const Study& study) {
    const auto& data = study.base.data;
    std::string text =
        "\n" + wrapped(fmt::format("data: {}, {}, {} classes, {}: {}",
                                   std::filesystem::path(study.paths.data).filename().string(),
                                   counted(study.plan->data.rows, "row"), study.plan->data.classes,
                                   counted(data.features.size(), "feature"), join_and(data.features)),
                       6);
    text += columns_text(study) + missing_text(study);
    text += "\n" +
            wrapped(fmt::format("model: {} x {}, {}, head {}; {}, batch {}, {}",
                                counted(study.base.model.num_hidden_layers, "layer"),
                                study.base.model.hidden_size,
                                counted(study.base.model.num_attention_heads, "head"),
                                find_field("model.head_width")->show(study.plan->settings),
                                counted(study.base.train.epochs, "epoch"), study.base.train.batch_size,
                                to_string(study.base.train.precision)),
                    7) +
            "\n";
    return text;
}

// What is run, with what.
std::string command_text(const Study& study) {
    const auto& settings = study.plan->settings;
    std::string text = "\n" + wrapped("command: " + join_words(settings.command.run), 9);
    std::string parameters;
    for (const auto& field : study.plan->parameters) {
        parameters += (parameters.empty() ? "" : ", ") + field.words + " " + field.show(settings);
    }
    text += "\n" + wrapped("parameters: " + (parameters.empty() ? "none" : parameters), 12);
    std::string metrics;
    for (const auto& metric : settings.command.metrics) {
        metrics +=
            (metrics.empty() ? "" : ", ") + metric.name + (metric.goal == MetricGoal::min ? " (low)" : "");
    }
    return text + "\n" + wrapped("metrics: " + metrics, 9) + "\n";
}

// What the stage starts from: by which rule, and what that has chosen.
std::string start_text(const Stage& stage, const PlannedStage& planned) {
    std::string text;
    if (!stage.baseline_stage.empty()) {
        const bool is_least = stage.goal_of(stage.select_by.name) == MetricGoal::min;
        text += fmt::format("; starts from the best of {}\n  ({} {}, mean over seeds)", stage.baseline_stage,
                            is_least ? "lowest" : "highest", to_string(stage.select_by));
    }
    if (!stage.rows_stage.empty()) {
        text += fmt::format("\n  goes on with the {} rows of {} by {}",
                            stage.rows_rule == VariantFilter::top ? fmt::format("top {}", stage.max_rows)
                                                                  : std::string("significant"),
                            stage.rows_stage, to_string(stage.rows_by));
        text += planned.start.empty() ? "; shown: the first that these could be" : "";
    }
    for (const auto& choice : planned.start) {
        text += "\n" + wrapped((planned.is_certain ? "" : "so far ") + choice, 4, 1);
    }
    return text;
}

}  // namespace

std::string render_plan(const Study& study) {
    std::vector<PlannedStage> beside_base;
    for (const auto& stage : study.stages) {
        beside_base.push_back({study.expand(stage, study.base), stage.baseline_stage.empty()});
    }
    return render_plan(study, beside_base);
}

std::string render_plan(const Study& study, const std::vector<PlannedStage>& planned) {
    std::string text = fitted("study " + study.name, kWidth);
    text.erase(text.find_last_not_of(' ') + 1);
    text += study.is_of_command() ? command_text(study) : training_text(study);

    std::size_t all_jobs = 0;
    std::set<std::string> different_jobs;
    for (std::size_t place = 0; place < study.stages.size(); ++place) {
        const Stage& stage = study.stages[place];
        const PlannedStage& here = planned.at(place);
        std::size_t jobs = 0;
        for (const auto& variant : here.variants) {
            jobs += variant.runs.size();
            for (const auto& run : variant.runs) {
                // Which trial wins may not be known yet: such ablations of a search cannot share its jobs here.
                const std::string beside = here.is_certain ? "" : stage.baseline_stage + " ";
                different_jobs.insert(beside + job_identity(job_of(variant, run)));
            }
        }
        all_jobs += jobs;
        text += fmt::format("\nstage {}: {}, {}", stage.name, counted(here.variants.size(), "variant"),
                            counted(jobs, "job"));
        text += start_text(stage, here) + "\n" + rows_text(here.variants) +
                halving_text(study, stage, here.variants) + ensembles_text(study, stage);
    }
    text += "\n" + counted(all_jobs, "job") + " in all";
    if (different_jobs.size() < all_jobs) {
        text += fmt::format(", {} of them different", different_jobs.size());
    }
    return text + "\n";
}

}  // namespace orchestrate
