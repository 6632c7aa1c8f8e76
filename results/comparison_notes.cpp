#include "results/comparison_notes.h"

#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace orchestrate {
namespace {

constexpr int kJobsListed = 5;

void for_each_row(SQLite::Database& database, const char* sql, std::int64_t stage_id,
                  const std::function<void(SQLite::Statement&)>& visit) {
    SQLite::Statement query(database, sql);
    query.bind(1, stage_id);
    while (query.executeStep()) {
        visit(query);
    }
}

std::string counted(std::int64_t count, const char* noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// "3 of 14 jobs are not done: 2 waiting, 1 running."
void note_unfinished(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    for_each_row(database,
                 "SELECT count(*), coalesce(sum(state = 'waiting'), 0), coalesce(sum(state = 'running'), 0), "
                 "coalesce(sum(state = 'cancelled'), 0) "
                 "FROM (SELECT DISTINCT job, state FROM seed_result WHERE stage_id = ?)",
                 stage_id, [&](SQLite::Statement& row) {
                     std::vector<std::string> parts;
                     std::int64_t unfinished = 0;
                     const char* const states[] = {"waiting", "running", "cancelled"};
                     for (int i = 0; i < 3; ++i) {
                         if (const std::int64_t count = row.getColumn(i + 1).getInt64(); count > 0) {
                             parts.push_back(fmt::format("{} {}", count, states[i]));
                             unfinished += count;
                         }
                     }
                     if (unfinished > 0) {
                         notes.push_back(fmt::format("{} of {} {} not done: {}.", unfinished,
                                                     counted(row.getColumn(0).getInt64(), "job"),
                                                     unfinished == 1 ? "is" : "are", fmt::join(parts, ", ")));
                     }
                 });
}

// "5 of 6 jobs were stopped early: 4 after 1 epoch, 1 after 3 epochs; 16 of 54 epochs were trained."
void note_paused(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
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
    if (paused == 0) {
        return;
    }
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
                     notes.push_back(
                         fmt::format("Ensemble {} lacks {} of {} results: {}.", row.getColumn(0).getString(),
                                     runs - row.getColumn(3).getInt64(), runs, row.getColumn(2).getString()));
                 });
}

void note_failed(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    int failed = 0;
    for_each_row(database,
                 "SELECT seeds.job, min(seeds.variant), min(seeds.initialization_seed), "
                 "coalesce(attempts.cause, 'unknown'), "
                 "coalesce(attempts.message, ''), max(seeds.state) "
                 "FROM seed_result AS seeds "
                 "LEFT JOIN attempts ON attempts.job_id = seeds.job AND attempts.number = "
                 "(SELECT max(number) FROM attempts WHERE job_id = seeds.job) "
                 "WHERE seeds.stage_id = ? AND seeds.state IN ('failed', 'quarantined') GROUP BY seeds.job "
                 "ORDER BY seeds.job",
                 stage_id, [&](SQLite::Statement& row) {
                     if (++failed > kJobsListed) {
                         return;
                     }
                     const auto job = row.getColumn(0).getInt64();
                     std::string message = row.getColumn(4).getString();
                     message.erase(std::min(message.find('\n'), message.size()));
                     notes.push_back(fmt::format(
                         "Job {} ({}, seed {}) {}: {}{}{}; see: orchestrate logs {}", job,
                         row.getColumn(1).getString(), row.getColumn(2).getInt64(),
                         row.getColumn(5).getString() == "failed" ? "failed" : "is quarantined",
                         row.getColumn(3).getString(), message.empty() ? "" : ", ", message, job));
                 });
    if (failed > kJobsListed) {
        notes.push_back(
            fmt::format("{} more failed; see: orchestrate query \"select job, variant, cause, message from "
                        "job_overview where state in ('failed', 'quarantined')\"",
                        counted(failed - kJobsListed, "job")));
    }
}

void note_collapsed(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    std::vector<std::string> jobs;
    std::int64_t collapsed = 0;
    for_each_row(
        database,
        "SELECT seeds.job, min(seeds.variant), min(seeds.initialization_seed) FROM seed_result AS seeds "
        "JOIN results ON results.job_id = seeds.job AND seeds.state = 'succeeded' "
        "WHERE seeds.stage_id = ? AND results.collapsed = 1 GROUP BY seeds.job ORDER BY seeds.job",
        stage_id, [&](SQLite::Statement& row) {
            if (++collapsed <= kJobsListed) {
                jobs.push_back(fmt::format("job {} ({}, seed {})", row.getColumn(0).getInt64(),
                                           row.getColumn(1).getString(), row.getColumn(2).getInt64()));
            }
        });
    if (collapsed > 0) {
        notes.push_back(fmt::format(
            "{} collapsed (one class for over 90 % of the test rows, or a loss no better than guessing): "
            "{}{}.",
            counted(collapsed, "run"), fmt::join(jobs, ", "), collapsed > kJobsListed ? ", ..." : ""));
    }
}

void note_device_classes(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    std::vector<std::string> classes;
    for_each_row(
        database,
        "SELECT results.device_class, count(DISTINCT seeds.job) FROM seed_result AS seeds "
        "JOIN results ON results.job_id = seeds.job AND seeds.state = 'succeeded' "
        "WHERE seeds.stage_id = ? AND seeds.is_ensemble = 0 GROUP BY results.device_class ORDER BY 2 DESC, 1",
        stage_id, [&](SQLite::Statement& row) {
            classes.push_back(fmt::format("{} ({})", row.getColumn(0).getString(),
                                          counted(row.getColumn(1).getInt64(), "job")));
        });
    if (classes.size() > 1) {
        notes.push_back(fmt::format("Mixed devices: {}. Small differences may come from their arithmetic.",
                                    fmt::join(classes, ", ")));
    }
}

void note_different_data(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    for_each_row(
        database,
        "SELECT count(DISTINCT results.data_sha256) FROM seed_result AS seeds "
        "JOIN results ON results.job_id = seeds.job AND seeds.state = 'succeeded' WHERE seeds.stage_id = ?",
        stage_id, [&](SQLite::Statement& row) {
            if (row.getColumn(0).getInt64() > 1) {
                notes.push_back(
                    fmt::format("The jobs were trained on {} different data files: their numbers "
                                "cannot be compared.",
                                row.getColumn(0).getInt64()));
            }
        });
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

// A job that does not list a kind of leak has none of it, so the smallest share is then 0.
void note_leaks(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    for_each_row(
        database,
        "WITH reports AS ("
        "  SELECT DISTINCT results.job_id, results.data_report FROM seed_result AS seeds "
        "  JOIN results ON results.job_id = seeds.job AND seeds.state = 'succeeded' "
        "  WHERE seeds.stage_id = ? AND json_valid(results.data_report)), "
        "leaks AS ("
        "  SELECT reports.job_id, json_extract(leak.value, '$.part') AS part, "
        "    json_extract(leak.value, '$.kind') AS kind, json_extract(leak.value, '$.rows') AS rows, "
        "    json_extract(leak.value, '$.share') AS share "
        "  FROM reports, json_each(reports.data_report, '$.leaks') AS leak) "
        "SELECT part, kind, "
        "  CASE WHEN count(DISTINCT job_id) < (SELECT count(*) FROM reports) THEN 0 ELSE min(share) END, "
        "  max(share), max(rows) "
        "FROM leaks GROUP BY part, kind HAVING max(rows) > 0 ORDER BY part, kind",
        stage_id, [&](SQLite::Statement& row) {
            const std::string least = fmt::format("{:.1f}", 100 * row.getColumn(2).getDouble());
            const std::string most = fmt::format("{:.1f}", 100 * row.getColumn(3).getDouble());
            notes.push_back(
                fmt::format("Leak: {}{} % of the {} rows ({}{}) {}.", least == most ? "" : least + " to ",
                            most, row.getColumn(0).getString(), least == most ? "" : "at most ",
                            row.getColumn(4).getInt64(), leak_in_words(row.getColumn(1).getString())));
        });
}

void note_shared(SQLite::Database& database, std::int64_t stage_id, std::vector<std::string>& notes) {
    for_each_row(database,
                 "SELECT count(DISTINCT job) FROM seed_result WHERE stage_id = ? AND is_ensemble = 0 "
                 "AND (SELECT count(*) FROM variant_jobs WHERE job_id = job) > 1",
                 stage_id, [&](SQLite::Statement& row) {
                     if (const std::int64_t shared = row.getColumn(0).getInt64(); shared > 0) {
                         notes.push_back(fmt::format("{} {} shared with other variants and trained once.",
                                                     counted(shared, "job"), shared == 1 ? "is" : "are"));
                     }
                 });
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

std::vector<std::string> comparison_notes(SQLite::Database& database, std::int64_t stage_id) {
    std::vector<std::string> notes;
    note_unfinished(database, stage_id, notes);
    note_paused(database, stage_id, notes);
    note_failed(database, stage_id, notes);
    note_collapsed(database, stage_id, notes);
    note_different_data(database, stage_id, notes);
    note_device_classes(database, stage_id, notes);
    note_leaks(database, stage_id, notes);
    note_shared(database, stage_id, notes);
    note_ensembles(database, stage_id, notes);
    note_hidden(database, stage_id, notes);
    return notes;
}

}  // namespace orchestrate
