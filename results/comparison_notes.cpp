#include "results/comparison_notes.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "common/base/counted.h"

namespace orchestrate {
namespace {

constexpr int kJobsListed = 5;

void for_each_row(SQLite::Database& database, const char* sql, std::int64_t id,
                  const std::function<void(SQLite::Statement&)>& visit) {
    SQLite::Statement query(database, sql);
    query.bind(1, id);
    while (query.executeStep()) {
        visit(query);
    }
}

// "3 of 14 jobs are not done: 2 waiting, 1 running."
void note_unfinished(const StageRows& stage, std::vector<std::string>& notes) {
    std::vector<std::string> parts;
    std::int64_t unfinished = 0;
    for (const char* state : {"waiting", "running", "cancelled"}) {
        const auto count = std::count_if(stage.jobs.begin(), stage.jobs.end(),
                                         [&](const StageJob& job) { return job.state == state; });
        if (count > 0) {
            parts.push_back(fmt::format("{} {}", count, state));
            unfinished += count;
        }
    }
    if (unfinished > 0) {
        notes.push_back(fmt::format("{} of {} {} not done: {}.", unfinished,
                                    counted(std::ssize(stage.jobs), "job"), unfinished == 1 ? "is" : "are",
                                    fmt::join(parts, ", ")));
    }
}

// "5 of 6 jobs were stopped early: 4 after 1 epoch, 1 after 3 epochs; 16 of 54 epochs were trained."
void note_paused(SQLite::Database& database, std::int64_t stage_id, const StageRows& stage,
                 std::vector<std::string>& notes) {
    if (std::none_of(stage.jobs.begin(), stage.jobs.end(),
                     [](const StageJob& job) { return job.state == "paused"; })) {
        return;
    }
    std::vector<std::string> parts;
    std::int64_t paused = 0;
    for_each_row(
        database,
        "SELECT reached, count(*) FROM (SELECT job, (SELECT count(*) FROM epochs WHERE job_id = job) "
        "AS reached FROM seed_result WHERE stage_id = ? AND state = 'paused' GROUP BY job) "
        "GROUP BY reached ORDER BY reached",
        stage_id, [&](SQLite::Statement& row) {
            paused += row.getColumn(1).getInt64();
            parts.push_back(fmt::format("{} after {}", row.getColumn(1).getInt64(),
                                        counted(row.getColumn(0).getInt64(), "epoch")));
        });
    for_each_row(database,
                 "SELECT count(*), sum((SELECT count(*) FROM epochs WHERE job_id = job)), "
                 "sum((SELECT json_extract(config, '$.train.epochs') FROM jobs WHERE id = job)) "
                 "FROM (SELECT DISTINCT job FROM seed_result WHERE stage_id = ? AND is_ensemble = 0)",
                 stage_id, [&](SQLite::Statement& row) {
                     notes.push_back(fmt::format(
                         "{} of {} {} stopped early: {}; {} of {} epochs were trained.", paused,
                         counted(row.getColumn(0).getInt64(), "job"), paused == 1 ? "was" : "were",
                         fmt::join(parts, ", "), row.getColumn(1).getInt64(), row.getColumn(2).getInt64()));
                 });
}

// An ensemble has a job for each result that could be computed; `config` says how many there should be.
void note_ensembles(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    for_each_row(database,
                 "SELECT name, json_extract(config, '$.runs') AS runs, json_extract(config, '$.missing'), "
                 "(SELECT count(*) FROM variant_jobs WHERE variant_id = variants.id) AS made FROM variants "
                 "WHERE stage_id = ? AND is_ensemble = 1 AND hidden = 0 AND (made < runs OR runs = 0) "
                 "ORDER BY position",
                 stage_id, [&](SQLite::Statement& row) {
                     const auto runs = row.getColumn(1).getInt64();
                     const auto name = row.getColumn(0).getString();
                     const auto why = row.getColumn(2).getString();
                     notes.push_back(runs == 0 ? fmt::format("Ensemble {} has no result: {}.", name, why)
                                               : fmt::format("Ensemble {} lacks {} of {}: {}.", name,
                                                             runs - row.getColumn(3).getInt64(),
                                                             counted(runs, "result"), why));
                 });
}

// Of the newest attempt: "out_of_memory, needed 20 GiB", on one line.
std::string how_it_failed(SQLite::Database& database, std::int64_t job) {
    std::string text = "unknown";
    for_each_row(database,
                 "SELECT coalesce(cause, 'unknown'), message FROM attempts WHERE job_id = ? "
                 "ORDER BY number DESC LIMIT 1",
                 job, [&](SQLite::Statement& row) {
                     std::string message = row.getColumn(1).getString();
                     message.erase(std::min(message.find('\n'), message.size()));
                     text = row.getColumn(0).getString() + (message.empty() ? "" : ", ") + message;
                 });
    return text;
}

void note_failed(SQLite::Database& database, const StageRows& stage, std::vector<std::string>& notes) {
    int failed = 0;
    for (const auto& job : stage.jobs) {
        if ((job.state != "failed" && job.state != "quarantined") || ++failed > kJobsListed) {
            continue;
        }
        notes.push_back(fmt::format(
            "Job {} ({}, seed {}) {}: {}; see: orchestrate logs {}", job.job, job.variant, job.seed,
            job.state == "failed" ? "failed" : "is quarantined", how_it_failed(database, job.job), job.job));
    }
    if (failed > kJobsListed) {
        notes.push_back(
            fmt::format("{} more failed; see: orchestrate query \"select job, variant, cause, message from "
                        "job_overview where state in ('failed', 'quarantined')\"",
                        counted(failed - kJobsListed, "job")));
    }
}

// Some of a stage's jobs, the first of them in words.
struct ListedJobs {
    std::int64_t count = 0;
    std::vector<std::string> names;  // at most kJobsListed
};

template <class Predicate>
ListedJobs list_jobs(const StageRows& stage, Predicate is_meant) {
    ListedJobs listed;
    for (const auto& job : stage.jobs) {
        if (is_meant(job) && ++listed.count <= kJobsListed) {
            listed.names.push_back(fmt::format("job {} ({}, seed {})", job.job, job.variant, job.seed));
        }
    }
    return listed;
}

void note_cancelled(const StageRows& stage, std::vector<std::string>& notes) {
    const auto [count, names] = list_jobs(stage, [](const auto& job) { return job.state == "cancelled"; });
    if (count > 0) {
        notes.push_back(
            fmt::format("Cancelled: {}{}; run again by: orchestrate retry JOB", fmt::join(names, ", "),
                        count > kJobsListed ? " and " + counted(count - kJobsListed, "other job") : ""));
    }
}

void note_collapsed(const StageRows& stage, std::vector<std::string>& notes) {
    const auto [count, names] = list_jobs(stage, [](const auto& job) { return job.collapsed; });
    if (count > 0) {
        notes.push_back(fmt::format(
            "{} collapsed (nearly one class for all test rows, though the labels differ, or a loss no better "
            "than "
            "guessing): {}{}.",
            counted(count, "run"), fmt::join(names, ", "), count > kJobsListed ? ", ..." : ""));
    }
}

void note_device_classes(const StageRows& stage, std::vector<std::string>& notes) {
    std::map<std::string, std::int64_t> counts;
    for (const auto& job : stage.jobs) {
        if (job.device_class >= 0 && !job.is_ensemble) {
            ++counts[stage.device_classes[static_cast<std::size_t>(job.device_class)]];
        }
    }
    if (counts.size() < 2) {
        return;
    }
    std::vector<std::pair<std::string, std::int64_t>> classes(counts.begin(), counts.end());
    std::stable_sort(classes.begin(), classes.end(),
                     [](const auto& left, const auto& right) { return left.second > right.second; });
    std::vector<std::string> texts;
    texts.reserve(counts.size());
    for (const auto& [name, count] : classes) {
        texts.push_back(fmt::format("{} ({})", name, counted(count, "job")));
    }
    notes.push_back(fmt::format("Mixed devices: {}. Small differences may come from their arithmetic.",
                                fmt::join(texts, ", ")));
}

void note_different_data(const StageRows& stage, std::vector<std::string>& notes) {
    if (stage.data_hashes.size() > 1) {
        notes.push_back(
            fmt::format("The jobs were trained on {} different data files: their numbers "
                        "cannot be compared.",
                        stage.data_hashes.size()));
    }
}

std::string leak_in_words(const std::string& kind) {
    if (kind == "group") {
        return "share their group with a training row";
    }
    if (kind == "features") {
        return "have the features of a training row";
    }
    if (kind == "text") {
        return "read the same as a training row";
    }
    return fmt::format("are also found in the training part ({})", kind);
}

struct Leak {
    std::int64_t jobs = 0;
    double least = std::numeric_limits<double>::infinity();  // shares
    double most = 0;
    std::int64_t rows = 0;  // at most
};
using Leaks = std::map<std::pair<std::string, std::string>, Leak>;  // by part and kind

// The leaks that a report of the data lists, for so many jobs. False if it is no JSON.
bool add_leaks(const std::string& report, std::int64_t jobs, Leaks& leaks) {
    const auto json = nlohmann::json::parse(report, nullptr, false);
    if (json.is_discarded()) {
        return false;
    }
    const auto listed = json.is_object() ? json.find("leaks") : json.end();
    if (listed == json.end() || !listed->is_array()) {
        return true;
    }
    std::set<std::pair<std::string, std::string>> seen;
    for (const auto& entry : *listed) {
        const std::pair key(entry.value("part", ""), entry.value("kind", ""));
        Leak& leak = leaks[key];
        leak.jobs += seen.insert(key).second ? jobs : 0;
        leak.least = std::min(leak.least, entry.value("share", 0.0));
        leak.most = std::max(leak.most, entry.value("share", 0.0));
        leak.rows = std::max(leak.rows, entry.value("rows", std::int64_t{0}));
    }
    return true;
}

// How many jobs have each of the stage's data reports.
std::vector<std::int64_t> jobs_of_reports(const StageRows& stage) {
    std::vector<std::int64_t> jobs(stage.data_reports.size(), 0);
    for (const auto& job : stage.jobs) {
        if (job.data_report >= 0) {
            ++jobs[static_cast<std::size_t>(job.data_report)];
        }
    }
    return jobs;
}

// A job that does not list a kind of leak has none of it, so the smallest share is then 0.
void note_leaks(const StageRows& stage, std::vector<std::string>& notes) {
    const auto jobs_of_report = jobs_of_reports(stage);
    Leaks leaks;
    std::int64_t jobs = 0;
    for (std::size_t i = 0; i < stage.data_reports.size(); ++i) {
        jobs += add_leaks(stage.data_reports[i], jobs_of_report[i], leaks) ? jobs_of_report[i] : 0;
    }
    for (const auto& [key, leak] : leaks) {
        if (leak.rows == 0) {
            continue;
        }
        const std::string least = fmt::format("{:.1f}", leak.jobs < jobs ? 0 : 100 * leak.least);
        const std::string most = fmt::format("{:.1f}", 100 * leak.most);
        notes.push_back(fmt::format("Leak: {}{} % of the {} rows ({}{}) {}.",
                                    least == most ? "" : least + " to ", most, key.first,
                                    least == most ? "" : "at most ", leak.rows, leak_in_words(key.second)));
    }
}

// What the jobs that lack classes in a part have in common: of the one that lacks the most, their names.
struct Absent {
    std::int64_t jobs = 0;
    std::vector<std::string> names;
};

// "2 classes have no test row: 'a', 'b'; they count as 0 in the macro averages."
void note_absent_classes(const StageRows& stage, std::vector<std::string>& notes) {
    constexpr std::size_t kNamesShown = 6;
    std::map<std::string, Absent> absent;  // by part
    const auto jobs_of_report = jobs_of_reports(stage);
    std::int64_t all_jobs = 0;
    for (std::size_t i = 0; i < stage.data_reports.size(); ++i) {
        all_jobs += jobs_of_report[i];
        const auto report = nlohmann::json::parse(stage.data_reports[i], nullptr, false);
        const auto listed = report.is_object() ? report.find("absent_classes") : report.end();
        if (listed == report.end() || !listed->is_array()) {
            continue;
        }
        for (const auto& entry : *listed) {
            Absent& found = absent[entry.value("part", "")];
            const auto names = entry.value("classes", std::vector<std::string>());
            found.jobs += jobs_of_report[i];
            found.names = names.size() > found.names.size() ? names : found.names;
        }
    }
    for (const std::string part : {"validation", "test"}) {
        const auto found = absent.find(part);
        if (found == absent.end()) {
            continue;
        }
        auto& names = found->second.names;
        const std::size_t count = names.size();
        names.resize(std::min(count, kNamesShown));
        const bool everywhere = found->second.jobs == all_jobs;
        notes.push_back(fmt::format(
            "{}{} {} no {} row{}: '{}'{}; {}.", everywhere ? "" : "Up to ", count,
            count == 1 ? "class has" : "classes have", part,
            everywhere ? "" : fmt::format(" (in {} of {})", found->second.jobs, counted(all_jobs, "job")),
            fmt::join(names, "', '"),
            count > kNamesShown ? fmt::format(" and {} more", count - kNamesShown) : "",
            part == "validation" ? "epochs and the best of a search were chosen without them"
                                 : "each counts as 0 in the macro averages"));
    }
}

void note_shared(const StageRows& stage, std::vector<std::string>& notes) {
    const auto shared = std::count_if(stage.jobs.begin(), stage.jobs.end(),
                                      [](const StageJob& job) { return job.is_shared && !job.is_ensemble; });
    if (shared > 0) {
        notes.push_back(fmt::format("{} {} shared with other variants and trained once.",
                                    counted(shared, "job"), shared == 1 ? "is" : "are"));
    }
}

void note_hidden(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    for_each_row(database, "SELECT count(*) FROM variants WHERE stage_id = ? AND hidden = 1", stage_id,
                 [&](SQLite::Statement& row) {
                     if (const std::int64_t hidden = row.getColumn(0).getInt64(); hidden > 0) {
                         notes.push_back(fmt::format("Not shown: {} no longer in the study's file.",
                                                     counted(hidden, "variant")));
                     }
                 });
}

}  // namespace

std::vector<std::string> comparison_notes(SQLite::Database& database, std::int64_t stage_id,
                                          const StageRows& stage) {
    std::vector<std::string> notes;
    note_unfinished(stage, notes);
    note_paused(database, stage_id, stage, notes);
    note_failed(database, stage, notes);
    note_cancelled(stage, notes);
    note_collapsed(stage, notes);
    note_different_data(stage, notes);
    note_device_classes(stage, notes);
    note_leaks(stage, notes);
    note_absent_classes(stage, notes);
    note_shared(stage, notes);
    note_ensembles(database, stage_id, notes);
    note_hidden(database, stage_id, notes);
    return notes;
}

}  // namespace orchestrate
