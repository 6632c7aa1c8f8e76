#include "worker/agent/reported_metrics.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/nearest_name.h"

namespace orchestrate {
namespace {

constexpr std::size_t kMaxNamesSaid = 20;

std::string key_of(MetricPart part, const std::string& name) {
    return to_string(MetricKey{part, name});
}

}  // namespace

void ReportedMetrics::take(std::string_view text) {
    ++lines_;
    if (text.empty()) {
        return;
    }
    try {
        MetricLine line = read_metric_line(text);
        if (line.progress) {
            observer_.on_progress(*line.progress);
        }
        if (line.epoch) {
            take_epoch(*std::move(line.epoch));
        }
        take_result(line);
        take_refused(line);
    } catch (const MetricLineError& error) {
        observer_.on_log(fmt::format("not understood: line {} of the metrics: {}", lines_, error.what()));
        if (first_error_.empty()) {
            first_error_ = fmt::format("line {}: {}", lines_, error.what());
        }
        if (error.may_hold_metrics()) {
            doubtful_line_ = lines_;
            doubt_ = error.what();
        }
    }
}

void ReportedMetrics::take_epoch(EpochMetrics epoch) {
    if (epoch.epoch < newest_epoch_) {
        observer_.on_log(
            fmt::format("not taken: line {} of the metrics is of epoch {}, after epoch {}; expected "
                        "epochs in ascending order",
                        lines_, epoch.epoch, newest_epoch_));
        return;
    }
    if (epoch_values_ + epoch.metrics.size() > kMaxEpochValues) {
        if (!std::exchange(said_too_many_, true)) {
            observer_.on_log(
                fmt::format("not taken: line {} of the metrics and all later epochs; an attempt may "
                            "report at most {} values of epochs",
                            lines_, kMaxEpochValues));
        }
        return;
    }
    epoch_values_ += epoch.metrics.size();
    newest_epoch_ = epoch.epoch;
    observer_.on_epoch(epoch);
}

bool ReportedMetrics::has_room_for(const std::string& key) {
    if (reports_.contains(key) || place_of(key) < declared_.size()) {
        return true;
    }
    if (undeclared_ + declared_.size() < kMaxReportedMetrics) {
        ++undeclared_;
        return true;
    }
    if (!std::exchange(said_no_room_, true)) {
        observer_.on_log(
            fmt::format("not taken: '{}' and all later ones that the study does not declare; an attempt may "
                        "report at most {} metrics",
                        key, kMaxReportedMetrics));
    }
    return false;
}

std::size_t ReportedMetrics::place_of(const std::string& key) const {
    return static_cast<std::size_t>(std::find(declared_.begin(), declared_.end(), key) - declared_.begin());
}

void ReportedMetrics::take_result(const MetricLine& line) {
    for (const auto& metric : line.result) {
        const std::string key = key_of(metric.part, metric.name);
        if (has_room_for(key)) {
            reports_[key] = {lines_, metric.value, std::nullopt};
            keys_[key] = {metric.part, metric.name};
            observer_.on_log(fmt::format("{}: {}", key, metric.value));
        }
    }
}

void ReportedMetrics::take_refused(const MetricLine& line) {
    for (const auto& metric : line.refused) {
        const std::string key = key_of(metric.part, metric.name);
        observer_.on_log(
            fmt::format("not taken: line {} of the metrics: {}{} is {}, expected a finite number", lines_,
                        line.is_of_epoch ? "epoch's " : "", key, metric.found));
        if (!line.is_of_epoch && has_room_for(key)) {
            reports_[key] = {lines_, 0, metric};
            keys_[key] = {metric.part, metric.name};
        }
    }
}

std::vector<MetricValue> ReportedMetrics::values() const {
    std::vector<std::pair<std::pair<std::size_t, std::int64_t>, MetricValue>> found;
    for (const auto& [key, report] : reports_) {
        if (holds(report)) {
            const auto& [part, name] = keys_.at(key);
            found.push_back({{place_of(key), report.line}, {part, name, report.value}});
        }
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<MetricValue> values;
    values.reserve(found.size());
    for (auto& [place, metric] : found) {
        values.push_back(std::move(metric));
    }
    return values;
}

std::optional<ReportedMetrics::Fault> ReportedMetrics::divergence(
    const std::vector<std::string>& expected) const {
    for (const auto& key : expected) {
        const auto found = reports_.find(key);
        if (found != reports_.end() && found->second.refused && found->second.refused->is_not_finite) {
            return Fault{Cause::diverged, fmt::format("the last {} is {} (line {} of the metrics)", key,
                                                      found->second.refused->found, found->second.line)};
        }
    }
    return std::nullopt;
}

std::optional<ReportedMetrics::Fault> ReportedMetrics::fault(const std::vector<std::string>& expected) const {
    if (auto diverged = divergence(expected)) {
        return diverged;
    }
    for (const auto& key : expected) {
        const auto found = reports_.find(key);
        if (found == reports_.end()) {
            return Fault{Cause::user_error, missing_message(key)};
        }
        const Report& report = found->second;
        if (report.refused) {
            return Fault{Cause::user_error,
                         fmt::format("the last {} is {} (line {} of the metrics), expected a finite number",
                                     key, report.refused->found, report.line)};
        }
        if (!holds(report)) {
            return Fault{
                Cause::user_error,
                fmt::format("line {} of the metrics is not understood, so that the {} before it (line "
                            "{}) may be out of date: {}",
                            doubtful_line_, key, report.line, doubt_)};
        }
    }
    return std::nullopt;
}

std::string ReportedMetrics::reported_names() const {
    std::string names;
    std::size_t said = 0;
    for (const auto& [key, report] : reports_) {
        if (++said > kMaxNamesSaid) {
            return names + fmt::format(" and {} others", reports_.size() - kMaxNamesSaid);
        }
        names += (names.empty() ? "" : ", ") + key;
    }
    return names.empty() ? "none" : names;
}

std::string ReportedMetrics::missing_message(const std::string& expected) const {
    std::vector<std::string> reported;
    for (const auto& [key, report] : reports_) {
        reported.push_back(key);
    }
    const auto nearest = nearest_name(expected, reported);
    return fmt::format("the metric '{}' was not reported; reported: {}{}{}", expected, reported_names(),
                       nearest ? "; is '" + *nearest + "' meant?" : "",
                       first_error_.empty() ? "" : "; not understood: " + first_error_);
}

}  // namespace orchestrate
