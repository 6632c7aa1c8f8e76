#include "coordinator/artifacts/model_retention.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "common/base/durable_files.h"
#include "common/base/folder_size.h"
#include "common/data/pretrained_config.h"
#include "common/protocol/message_checks.h"
#include "coordinator/store/stage_metrics.h"
#include "experiments/expansion/study.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

// One stage of a study that keeps the best.
struct Stage {
    std::int64_t id = 0;
    StudyId study;
    std::string name;
    std::string select_by;
    MetricGoal goal = MetricGoal::max;
    std::int64_t best = 0;
};

bool is_over(SQLite::Database& database, const Stage& stage) {
    SQLite::Statement query(
        database,
        "SELECT 1 FROM variants v JOIN variant_jobs vj ON vj.variant_id = v.id JOIN jobs j ON j.id = "
        "vj.job_id "
        "WHERE v.stage_id = ? AND v.hidden = 0 AND j.state IN ('waiting', 'running', 'paused') LIMIT 1");
    query.bind(1, stage.id);
    return !query.executeStep();
}

// Variants of a stage whose models are kept.
std::set<std::int64_t> kept_variants(SQLite::Database& database, const Stage& stage) {
    std::vector<std::int64_t> variants;
    std::set<std::int64_t> kept;
    SQLite::Statement query(
        database,
        "SELECT id, is_baseline FROM variants WHERE stage_id = ? AND hidden = 0 AND is_ensemble = 0 "
        "ORDER BY position");
    query.bind(1, stage.id);
    while (query.executeStep()) {
        variants.push_back(query.getColumn(0).getInt64());
        if (query.getColumn(1).getInt() != 0) {
            kept.insert(variants.back());
        }
    }
    if (!is_over(database, stage)) {
        return {variants.begin(), variants.end()};
    }
    auto means = mean_metric(database, stage.study, stage.name, {MetricPart::validation, stage.select_by});
    for (std::size_t i = 0; i < means.size(); ++i) {
        if (kept.contains(variants.at(i))) {
            means[i].reset();  // kept anyway
        }
    }
    for (const std::size_t place : best_variants(means, static_cast<std::size_t>(stage.best), stage.goal)) {
        kept.insert(variants[place]);
    }
    return kept;
}

std::set<JobId> jobs_given(SQLite::Statement query) {
    std::set<JobId> jobs;
    while (query.executeStep()) {
        jobs.emplace(query.getColumn(0).getInt64());
    }
    return jobs;
}

std::set<JobId> kept_jobs(SQLite::Database& database) {
    std::set<JobId> jobs = jobs_given(SQLite::Statement(
        database,
        "SELECT vj.job_id FROM variant_jobs vj JOIN variants v ON v.id = vj.variant_id JOIN stages s ON s.id "
        "= "
        "v.stage_id JOIN studies st ON st.id = s.study_id WHERE v.hidden = 0 AND st.save_models = 'all'"));
    std::vector<Stage> stages;
    SQLite::Statement query(
        database,
        "SELECT s.id, st.id, s.name, s.select_by, coalesce(m.goal, 'max'), st.best_models FROM stages s "
        "JOIN studies st ON st.id = s.study_id "
        "LEFT JOIN stage_metrics m ON m.stage_id = s.id AND m.name = s.select_by WHERE st.save_models = "
        "'best'");
    while (query.executeStep()) {
        stages.push_back(
            {query.getColumn(0).getInt64(), StudyId(query.getColumn(1).getInt64()),
             query.getColumn(2).getString(), query.getColumn(3).getString(),
             enum_from_name<MetricGoal>(query.getColumn(4).getString()).value_or(MetricGoal::max),
             query.getColumn(5).getInt64()});
    }
    for (const Stage& stage : stages) {
        for (const std::int64_t variant : kept_variants(database, stage)) {
            SQLite::Statement of_variant(database, "SELECT job_id FROM variant_jobs WHERE variant_id = ?");
            of_variant.bind(1, variant);
            jobs.merge(jobs_given(std::move(of_variant)));
        }
    }
    return jobs;
}

// The name of a model that a worker writes, or that comes over its connection.
bool is_unfinished(const std::string& name) {
    return (name.starts_with("writing-") || name.starts_with("receiving-job-")) &&
           name.ends_with(kUnfinishedSuffix);
}

bool is_real_directory(const fs::path& path) {
    std::error_code ignored;
    return fs::is_directory(fs::symlink_status(path, ignored));
}

// Why the directory must not be removed as that model; empty: it may, or is not there.
std::string removal_obstacle(const fs::path& folder, const std::string& sha256) {
    const std::string left = "'" + folder.string() + "' was left: ";
    std::error_code ignored;
    if (!is_sha256(sha256)) {
        return "'" + sha256 + "' is not the hash of a model; nothing was removed for it";
    }
    if (!fs::exists(fs::symlink_status(folder, ignored))) {
        return "";
    }
    if (!is_real_directory(folder)) {
        return left + "it is not a directory of this database but a link or a file";
    }
    try {
        const std::string found = sha256_hex_of_pretrained(folder);
        return found == sha256 ? "" : left + "its content has the SHA-256 " + found + ", so it was changed";
    } catch (const std::exception& error) {
        return left + "its content cannot be checked: " + error.what();
    }
}

}  // namespace

std::vector<RetainedModel> judge_models(SQLite::Database& database) {
    const std::set<JobId> kept = kept_jobs(database);
    std::vector<RetainedModel> models;
    SQLite::Statement query(database,
                            "SELECT m.job_id, m.sha256, m.bytes, (SELECT v.name || ', seed ' || "
                            "(vj.seed_index + 1) FROM "
                            "variant_jobs vj JOIN variants v ON v.id = vj.variant_id WHERE vj.job_id = "
                            "m.job_id ORDER BY v.hidden, "
                            "v.id LIMIT 1) FROM models m ORDER BY m.job_id");
    while (query.executeStep()) {
        RetainedModel model;
        model.job = JobId(query.getColumn(0).getInt64());
        model.sha256 = query.getColumn(1).getString();
        model.bytes = query.getColumn(2).getInt64();
        model.title = query.getColumn(3).isNull() ? "of no study" : query.getColumn(3).getString();
        model.kept = kept.contains(model.job);
        models.push_back(std::move(model));
    }
    return models;
}

std::vector<UnnamedFolder> unnamed_folders(SQLite::Database& database, const fs::path& models,
                                           std::chrono::seconds age) {
    std::set<std::string> named;
    SQLite::Statement query(database, "SELECT sha256 FROM models");
    while (query.executeStep()) {
        named.insert(query.getColumn(0).getString());
    }
    std::vector<UnnamedFolder> found;
    std::error_code error;
    for (fs::directory_iterator entry(models, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        const bool is_ours = (is_sha256(name) || is_unfinished(name)) && is_real_directory(entry->path());
        std::error_code ignored;
        const auto changed = fs::last_write_time(entry->path(), ignored);
        if (is_ours && !ignored && !named.contains(name) &&
            fs::file_time_type::clock::now() - changed >= age) {
            found.push_back({entry->path(), bytes_in(entry->path())});
        }
    }
    std::sort(found.begin(), found.end(),
              [](const UnnamedFolder& a, const UnnamedFolder& b) { return a.folder < b.folder; });
    return found;
}

Removal remove_models(SQLite::Database& database, const fs::path& directory,
                      const std::vector<RetainedModel>& models, const std::vector<UnnamedFolder>& unnamed) {
    Removal removal;
    std::set<std::string> kept;
    for (const RetainedModel& model : models) {
        if (model.kept) {
            kept.insert(model.sha256);
        }
    }
    std::set<fs::path> removed;
    std::map<std::string, std::string> flaws;  // by hash
    SQLite::Transaction transaction(database);
    for (const RetainedModel& model : models) {
        if (model.kept) {
            continue;
        }
        const fs::path folder = directory / model.sha256;
        if (!kept.contains(model.sha256)) {  // equal models share a directory
            if (!flaws.contains(model.sha256)) {
                flaws[model.sha256] = removal_obstacle(folder, model.sha256);
            }
            if (const std::string& flaw = flaws[model.sha256]; !flaw.empty()) {
                removal.left.push_back("job " + to_string(model.job) + ": " + flaw);
                continue;
            }
            if (fs::exists(folder) && removed.insert(folder).second) {
                removal.model_bytes += model.bytes;
            }
        }
        ++removal.models;
        SQLite::Statement remove(database, "DELETE FROM models WHERE job_id = ?");
        remove.bind(1, model.job.value());
        remove.exec();
    }
    transaction.commit();
    for (const UnnamedFolder& folder : unnamed) {
        const std::string name = folder.folder.filename().string();
        const std::string flaw = is_unfinished(name) ? "" : removal_obstacle(directory / name, name);
        if (flaw.empty()) {
            removed.insert(directory / name);
            ++removal.unnamed_folders;
            removal.unnamed_bytes += folder.bytes;
        } else {
            removal.left.push_back(flaw);
        }
    }
    for (const fs::path& folder : removed) {
        fs::remove_all(folder);
    }
    return removal;
}

}  // namespace orchestrate
