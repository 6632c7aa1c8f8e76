#include "coordinator/report/job_report.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/printable.h"
#include "common/base/time_text.h"
#include "results/display_width.h"
#include "results/metric_title.h"
#include "results/number_text.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

constexpr std::size_t kShownIdentity = 12;

std::string percent(const std::optional<double>& fraction) {
    return fraction ? fmt::format("{:.1f}", 100 * *fraction) : "";
}

std::string seconds_text(const std::optional<double>& seconds) {
    return seconds ? duration_text(std::chrono::duration<double>(*seconds)) : "";
}

// The metric that all jobs of the list have in common, or nothing if they have several.
std::string common_metric(const std::vector<JobRow>& jobs) {
    const std::string& first = jobs.front().metric;
    return std::ranges::all_of(jobs, [&](const JobRow& job) { return job.metric == first; })
               ? metric_title(first)
               : "";
}

std::string result_text(const JobRow& job, bool with_name) {
    const std::string value = job.unit == MetricUnit::fraction ? percent(job.value)
                              : job.value                      ? short_number(*job.value)
                                                               : "";
    return value.empty() || !with_name ? value : metric_title(job.metric) + " " + value;
}

// Of two lists, what one has and the other lacks: the rest is the same.
std::string difference_text(const FieldDifference& difference) {
    const Json job = Json::parse(difference.job, nullptr, false);
    const Json baseline = Json::parse(difference.baseline, nullptr, false);
    std::string text;
    if (job.is_array() && baseline.is_array()) {
        const auto add = [&](const char* word, const Json& of, const Json& lacking) {
            for (const auto& element : of) {
                if (std::find(lacking.begin(), lacking.end(), element) == lacking.end()) {
                    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", word, element.dump());
                }
            }
        };
        add("without", baseline, job);
        add("with", job, baseline);
    }
    if (text.empty()) {
        text = difference.job + " instead of " + difference.baseline;
    }
    return difference.field + ": " + printable(text);
}

std::string quoted(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) {
        return text;
    }
    std::string out = "\"";
    for (const char c : text) {
        out += c == '"' ? "\"\"" : std::string(1, c);
    }
    return out + "\"";
}

std::string jobs_csv(const JobsReply& jobs) {
    std::string text =
        "job,identity,study,stage,title,state,attempts,cause,worker,seconds,accuracy,macro_f1,metric,value\n";
    const auto number = [](const std::optional<double>& value) {
        return value ? fmt::format("{}", *value) : "";
    };
    for (const auto& job : jobs.jobs) {
        text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", job.job, job.identity,
                            quoted(job.study), quoted(job.stage), quoted(job.title), job.state, job.attempts,
                            job.cause, quoted(job.worker), number(job.seconds), number(job.accuracy),
                            number(job.macro_f1), quoted(job.metric), number(job.value));
    }
    return text;
}

// A row per metric, a column per part.
std::string metrics_table(const std::vector<MetricValue>& metrics, std::size_t max_width) {
    std::vector<std::vector<std::string>> rows;
    const auto parts = {MetricPart::validation, MetricPart::test};
    std::set<std::string> seen;
    for (const auto& metric : metrics) {
        if (!seen.insert(metric.name).second) {
            continue;
        }
        std::vector<std::string>& row = rows.emplace_back();
        row.push_back(metric.name);
        for (const MetricPart part : parts) {
            const auto value = find_metric(metrics, {part, metric.name});
            row.push_back(value ? fixed_number(*value, 4) : "-");
        }
    }
    return render_text_table({"metric", "validation", "test"}, rows, max_width);
}

// Lines "name  value", values aligned.
void add_line(std::string& text, const std::string& name, const std::string& value) {
    if (!value.empty()) {
        text += fmt::format("{:<10} {}\n", name, printable(value));
    }
}

std::string attempt_line(const AttemptDetails& attempt) {
    std::string line = fmt::format("  {}  {} on {} ({})", attempt.number, attempt.worker, attempt.host,
                                   attempt.device_class);
    line += attempt.cause.empty() ? ": runs since " + attempt.started_at
                                  : ": " + attempt.cause + " after " + seconds_text(attempt.seconds);
    if (attempt.resumed_step) {
        line += fmt::format(", from step {} of attempt {}", *attempt.resumed_step,
                            attempt.resumed_attempt.value_or(0));
    }
    return line + (attempt.message.empty() ? "" : ": " + printable(attempt.message));
}

}  // namespace

std::string render_jobs(const JobsReply& jobs, std::size_t max_width, OutputFormat format) {
    if (format == OutputFormat::json) {
        return Json(jobs.jobs).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    if (format == OutputFormat::csv) {
        return jobs_csv(jobs);
    }
    if (jobs.jobs.empty()) {
        return "no such jobs\n";
    }
    const bool several = std::any_of(jobs.jobs.begin(), jobs.jobs.end(),
                                     [&](const JobRow& job) { return job.study != jobs.jobs.front().study; });
    const std::string metric = common_metric(jobs.jobs);
    std::vector<std::string> header = {
        "job", "state", "what", "attempts", "worker", "time", metric.empty() ? "result" : metric};
    if (several) {
        header.insert(header.begin() + 2, "study");
    }
    std::vector<std::vector<std::string>> rows;
    for (const auto& job : jobs.jobs) {
        const bool says_cause = job.state != "succeeded" && job.state != "waiting" && !job.cause.empty();
        auto& row = rows.emplace_back();
        row = {to_string(job.job),
               job.state + (says_cause && job.cause != job.state ? " (" + job.cause + ")" : ""),
               job.title,
               std::to_string(job.attempts),
               job.worker,
               seconds_text(job.seconds),
               result_text(job, metric.empty())};
        if (several) {
            row.insert(row.begin() + 2, job.study);
        }
    }
    std::string text = render_text_table(header, rows, max_width);
    if (jobs.left_out > 0) {
        text += fmt::format("and {} more\n", jobs.left_out);
    }
    return text;
}

std::string render_job(const JobDetails& job, std::size_t max_width) {
    std::string text;
    add_line(text, "job", fmt::format("{} ({})", job.row.job, job.row.identity.substr(0, kShownIdentity)));
    add_line(text, "what", job.row.title);
    add_line(text, "state", job.row.state);
    add_line(text, "change", job.change);
    for (std::size_t i = 0; i < job.used_by.size(); ++i) {
        add_line(text, i == 0 ? "used by" : "", job.used_by[i]);
    }
    add_line(text, "made", job.created_at);
    add_line(text, "ended", job.finished_at);
    if (!job.differences.empty()) {
        text += "\ndiffers from its baseline in\n";
        for (const auto& difference : job.differences) {
            text += wrapped_note("  " + difference_text(difference), max_width);
        }
    }
    text += job.attempts.empty() ? "\nno attempt of it has begun\n" : "\nattempts\n";
    for (const auto& attempt : job.attempts) {
        text += wrapped_note(attempt_line(attempt), max_width);
        if (!attempt.log_file.empty()) {
            text += "     " + attempt.log_file + "\n";
        }
    }
    if (!job.metrics.empty()) {
        text += "\n" + metrics_table(job.metrics, max_width);
    }
    return text;
}

std::string table_text(SQLite::Database& database, const TableRequest& wanted) {
    const auto names = study_names(database);
    if (names.empty()) {
        throw UserError("the database holds no study yet");
    }
    return render_comparison(database, wanted.study.empty() ? names.front() : wanted.study,
                             wanted.stage.empty() ? std::nullopt : std::optional(wanted.stage),
                             static_cast<std::size_t>(std::max<std::int64_t>(0, wanted.width)),
                             enum_from_name<OutputFormat>(wanted.format).value_or(OutputFormat::table),
                             wanted.metrics);
}

}  // namespace orchestrate
