#include "worker/agent/metric_lines.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include <fmt/format.h>

#include "common/base/nearest_name.h"
#include "common/base/printable.h"
#include "common/base/strict_json.h"

namespace orchestrate {
namespace {

constexpr std::size_t kLongestName = 100;  // bytes
constexpr std::size_t kMaxFound = 80;      // bytes of a value in a message
constexpr const char* kName = "a line of metrics";
// Begins a string that stands for a number which JSON cannot write; what was written follows.
constexpr char kNotFinite = '\0';

const std::vector<std::string>& known_keys() {
    static const std::vector<std::string> kKeys = {"step", "steps",   "epoch", "epochs",
                                                   "loss", "metrics", "part",  "phase"};
    return kKeys;
}

std::string with_suggestion(const std::string& text, const std::string& found,
                            const std::vector<std::string>& valid) {
    const auto nearest = nearest_name(found, valid);
    return nearest ? text + "; did you mean '" + *nearest + "'?" : text;
}

bool is_not_finite(const Json& value) {
    return value.is_string() && value.get_ref<const std::string&>().starts_with(kNotFinite);
}

// The value for a message.
std::string found_text(const Json& value) {
    if (is_not_finite(value)) {
        return value.get_ref<const std::string&>().substr(1);
    }
    std::string text = printable(value.dump());
    if (text.size() > kMaxFound) {
        text = printable(text.substr(0, kMaxFound)) + "...";
    }
    return text;
}

// NaN, infinities and numbers beyond the largest double become strings that begin with kNotFinite.
std::string with_marked_numbers(std::string_view text) {
    constexpr std::string_view kOfWord = "+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] == '"') {
            std::size_t end = at + 1;
            while (end < text.size() && text[end] != '"') {
                end += text[end] == '\\' ? 2 : 1;
            }
            end = std::min(end + 1, text.size());
            result += text.substr(at, end - at);
            at = end;
            continue;
        }
        const std::size_t end = std::min(text.find_first_not_of(kOfWord, at), text.size());
        if (end == at) {
            result += text[at++];
            continue;
        }
        const std::string word(text.substr(at, end - at));
        char* rest = nullptr;
        const double value = std::strtod(word.c_str(), &rest);
        const bool is_number = rest == word.c_str() + word.size();
        result += is_number && !std::isfinite(value) ? "\"\\u0000" + word + "\"" : word;
        at = end;
    }
    return result;
}

[[noreturn]] void refuse(const std::string& message, bool may_hold_metrics) {
    throw MetricLineError(message, may_hold_metrics);
}

// A line of these keys alone says nothing about metrics, whatever its values are.
bool is_of_progress_only(const Json& line) {
    for (const auto& [key, value] : line.items()) {
        if (key == "metrics" || key == "part" ||
            std::find(known_keys().begin(), known_keys().end(), key) == known_keys().end()) {
            return false;
        }
    }
    return true;
}

std::int64_t count_of(const Json& line, const std::string& key, std::int64_t least) {
    const auto found = line.find(key);
    if (found == line.end()) {
        return 0;
    }
    const bool is_count = found->is_number_unsigned()
                              ? found->get<std::uint64_t>() <=
                                    static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
                              : found->is_number_integer();
    if (!is_count || found->get<std::int64_t>() < least) {
        refuse(fmt::format("{}: '{}' is {}, expected an integer of at least {}", kName, key,
                           found_text(*found), least),
               !is_of_progress_only(line));
    }
    return found->get<std::int64_t>();
}

std::string string_of(const Json& line, const std::string& key) {
    const auto found = line.find(key);
    if (found == line.end()) {
        return {};
    }
    if (!found->is_string() || is_not_finite(*found)) {
        refuse(fmt::format("{}: '{}' is {}, expected a string", kName, key, found_text(*found)),
               !is_of_progress_only(line));
    }
    return found->get<std::string>();
}

MetricPart part_of(const Json& line, bool is_epoch) {
    if (!line.contains("part")) {
        return is_epoch ? MetricPart::validation : MetricPart::test;
    }
    const std::string name = string_of(line, "part");
    const auto part = enum_from_name<MetricPart>(name);
    if (!part) {
        refuse(with_suggestion(
                   fmt::format("{}: part is '{}', expected validation or test", kName, printable(name)), name,
                   enum_names<MetricPart>()),
               true);
    }
    return *part;
}

void add_metrics(const Json& line, MetricPart part, std::vector<MetricValue>& metrics,
                 std::vector<RefusedMetric>& refused) {
    const Json& found = line.at("metrics");
    if (!found.is_object() || found.empty()) {
        refuse(std::string(kName) + ": 'metrics' is " + found_text(found) +
                   R"(, expected numbers by name, e.g. {"accuracy": 0.9})",
               true);
    }
    for (const auto& [name, value] : found.items()) {
        if (name.empty() || name.size() > kLongestName) {
            refuse(fmt::format("{}: a metric's name has {} bytes, expected 1 to {}", kName, name.size(),
                               kLongestName),
                   true);
        }
        if (printable(name) != name) {
            refuse(fmt::format("{}: the metric's name '{}' has control characters", kName, printable(name)),
                   true);
        }
        if (value.is_number()) {
            metrics.push_back({part, name, value.get<double>()});
        } else {
            refused.push_back({part, name, found_text(value), is_not_finite(value)});
        }
    }
}

// "step", "loss" and the like. A loss that is not finite is left out: it is for display.
std::optional<TrainingProgress> progress_of(const Json& line, bool has_metrics_of_epoch) {
    if (!line.contains("step") && !line.contains("loss") && !line.contains("phase") &&
        (!line.contains("epoch") || has_metrics_of_epoch)) {
        return std::nullopt;
    }
    TrainingProgress progress;
    progress.epoch = count_of(line, "epoch", 0);
    progress.epochs = count_of(line, "epochs", 0);
    progress.step = count_of(line, "step", 0);
    progress.steps = count_of(line, "steps", 0);
    progress.phase = line.contains("phase") ? printable(string_of(line, "phase")) : "running";
    if (const auto loss = line.find("loss"); loss != line.end() && !is_not_finite(*loss)) {
        if (!loss->is_number()) {
            refuse(fmt::format("{}: 'loss' is {}, expected a number", kName, found_text(*loss)),
                   !is_of_progress_only(line));
        }
        progress.loss = loss->get<double>();
    }
    return progress;
}

Json parse(std::string_view text) {
    if (text.size() >= kMaxMetricLineBytes) {
        refuse(fmt::format("{} has {} bytes or more, expected fewer", kName, kMaxMetricLineBytes), true);
    }
    try {
        return parse_strict_json(with_marked_numbers(text), kName, 4);
    } catch (const UserError& error) {
        refuse(error.what(), true);
    }
}

}  // namespace

MetricLine read_metric_line(std::string_view text) {
    const Json line = parse(text);
    for (const auto& [key, value] : line.items()) {
        if (std::find(known_keys().begin(), known_keys().end(), key) == known_keys().end()) {
            refuse(
                with_suggestion(fmt::format("{} has the unknown key '{}'; expected {}", kName, printable(key),
                                            "step, steps, epoch, epochs, loss, metrics, part or phase"),
                                key, known_keys()),
                true);
        }
    }
    MetricLine result;
    result.is_of_epoch = line.contains("epoch");
    if (line.contains("metrics")) {
        std::vector<MetricValue> metrics;
        add_metrics(line, part_of(line, result.is_of_epoch), metrics, result.refused);
        if (!result.is_of_epoch) {
            result.result = std::move(metrics);
        } else if (const std::int64_t number = count_of(line, "epoch", 1); !metrics.empty()) {
            result.epoch.emplace();
            result.epoch->epoch = number;
            result.epoch->of_command = true;
            result.epoch->metrics = std::move(metrics);
        }
    } else if (line.contains("part")) {
        refuse(std::string(kName) + " has 'part' without 'metrics'", true);
    }
    result.progress = progress_of(line, line.contains("metrics"));
    if (!result.progress && !line.contains("metrics")) {
        refuse(std::string(kName) + " says nothing: it is " + found_text(line) +
                   ", expected step, epoch or metrics",
               !is_of_progress_only(line));
    }
    return result;
}

std::vector<std::string> LineSplitter::add(std::string_view bytes) {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < bytes.size();) {
        const std::size_t end = bytes.find('\n', begin);
        const std::string_view piece = bytes.substr(begin, end - begin);
        line_.append(piece.substr(0, max_bytes_ - std::min(max_bytes_, line_.size())));
        if (end == std::string_view::npos) {
            // A progress bar that is drawn over and over must not fill the memory.
            if (const std::size_t last = line_.rfind('\r');
                last != std::string::npos && last + 1 < line_.size()) {
                line_.erase(0, last + 1);
            }
            break;
        }
        lines.push_back(rest());
        begin = end + 1;
    }
    return lines;
}

std::string LineSplitter::rest() {
    std::string line = std::move(line_);
    line_.clear();
    while (!line.empty() && line.back() == '\r') {
        line.pop_back();
    }
    if (const std::size_t overwritten = line.rfind('\r'); overwritten != std::string::npos) {
        line.erase(0, overwritten + 1);
    }
    return line;
}

}  // namespace orchestrate
