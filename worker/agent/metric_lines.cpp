#include "worker/agent/metric_lines.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/error.h"
#include "common/nearest_name.h"
#include "common/strict_json.h"

namespace orchestrate {
namespace {

constexpr std::size_t kLongestName = 100;  // bytes
constexpr const char* kName = "a line of metrics";

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

std::int64_t count_of(const Json& line, const std::string& key, std::int64_t least) {
    const auto found = line.find(key);
    if (found == line.end()) {
        return 0;
    }
    if (!found->is_number_integer() || found->get<std::int64_t>() < least) {
        throw UserError(fmt::format("{}: '{}' is {}, expected an integer of at least {}", kName, key,
                                    found->dump(), least));
    }
    return found->get<std::int64_t>();
}

std::string text_of(const Json& line, const std::string& key) {
    const auto found = line.find(key);
    if (found == line.end()) {
        return {};
    }
    if (!found->is_string()) {
        throw UserError(fmt::format("{}: '{}' is {}, expected a text", kName, key, found->dump()));
    }
    return found->get<std::string>();
}

std::string part_of(const Json& line, bool is_epoch) {
    const std::string part = line.contains("part") ? text_of(line, "part") : is_epoch ? "validation" : "test";
    const std::vector<std::string> valid = {"validation", "test"};
    if (std::find(valid.begin(), valid.end(), part) == valid.end()) {
        throw UserError(with_suggestion(
            fmt::format("{}: part is '{}', expected validation or test", kName, part), part, valid));
    }
    return part;
}

std::vector<NamedMetric> metrics_of(const Json& line, const std::string& part) {
    const Json& metrics = line.at("metrics");
    if (!metrics.is_object() || metrics.empty()) {
        throw UserError(std::string(kName) + ": 'metrics' is " + metrics.dump() +
                        R"(, expected numbers by name, e.g. {"accuracy": 0.9})");
    }
    std::vector<NamedMetric> result;
    for (const auto& [name, value] : metrics.items()) {
        if (name.empty() || name.size() > kLongestName) {
            throw UserError(fmt::format("{}: a metric's name has {} bytes, expected 1 to {}", kName,
                                        name.size(), kLongestName));
        }
        if (!value.is_number() || !std::isfinite(value.get<double>())) {
            throw UserError(
                fmt::format("{}: metric '{}' is {}, expected a finite number", kName, name, value.dump()));
        }
        result.push_back({part, name, value.get<double>()});
    }
    return result;
}

}  // namespace

MetricLine read_metric_line(std::string_view text) {
    const Json line = parse_strict_json(text, kName, 4);
    for (const auto& [key, value] : line.items()) {
        if (std::find(known_keys().begin(), known_keys().end(), key) == known_keys().end()) {
            throw UserError(
                with_suggestion(fmt::format("{} has the unknown key '{}'; expected {}", kName, key,
                                            "step, steps, epoch, epochs, loss, metrics, part or phase"),
                                key, known_keys()));
        }
    }
    const bool has_epoch = line.contains("epoch");
    MetricLine result;
    if (line.contains("metrics")) {
        auto metrics = metrics_of(line, part_of(line, has_epoch));
        if (has_epoch) {
            EpochMetrics epoch;
            epoch.epoch = count_of(line, "epoch", 1);
            epoch.named = std::move(metrics);
            result.epoch = std::move(epoch);
        } else {
            result.result = std::move(metrics);
        }
    } else if (line.contains("part")) {
        throw UserError(std::string(kName) + " has 'part' without 'metrics'");
    }
    if (line.contains("step") || line.contains("loss") || line.contains("phase") ||
        (has_epoch && !result.epoch)) {
        TrainingProgress progress;
        progress.epoch = count_of(line, "epoch", 0);
        progress.epochs = count_of(line, "epochs", 0);
        progress.step = count_of(line, "step", 0);
        progress.steps = count_of(line, "steps", 0);
        progress.phase = line.contains("phase") ? text_of(line, "phase") : "running";
        if (const auto loss = line.find("loss"); loss != line.end()) {
            if (!loss->is_number()) {
                throw UserError(fmt::format("{}: 'loss' is {}, expected a number", kName, loss->dump()));
            }
            progress.loss = loss->get<double>();
        }
        result.progress = std::move(progress);
    }
    if (!result.progress && !result.epoch && result.result.empty()) {
        throw UserError(std::string(kName) + " says nothing: it is " + line.dump() +
                        ", expected step, epoch or metrics");
    }
    return result;
}

std::vector<std::string> LineSplitter::add(std::string_view bytes) {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < bytes.size();) {
        const std::size_t end = bytes.find('\n', begin);
        const std::string_view piece = bytes.substr(begin, end - begin);
        line_.append(piece.substr(0, most_bytes_ - std::min(most_bytes_, line_.size())));
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
