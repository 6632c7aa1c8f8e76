#include "coordinator/studies/dry_run.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <spdlog/sinks/null_sink.h>

#include "coordinator/dispatch/idle_env.h"
#include "coordinator/studies/stored_study.h"
#include "coordinator/studies/study_run.h"
#include "results/schema.h"

namespace orchestrate {
namespace {

// Without workers nothing happens that would have to be said or done.
class NoWorkers final : public IdleEnv, public StudyHost {
  public:
    void note_study(const std::string& /*study*/, const std::string& /*line*/) override {}
    void need_workers(const Study& /*study*/) override {}
};

std::vector<std::string> columns_of(SQLite::Database& database, const std::string& table) {
    SQLite::Statement query(database, "SELECT name FROM pragma_table_info(?)");
    query.bind(1, table);
    std::vector<std::string> columns;
    while (query.executeStep()) {
        columns.push_back(query.getColumn(0).getString());
    }
    return columns;
}

void bind_column(SQLite::Statement& statement, int index, const SQLite::Column& value) {
    if (value.isInteger()) {
        statement.bind(index, value.getInt64());
    } else if (value.isFloat()) {
        statement.bind(index, value.getDouble());
    } else if (value.isNull()) {
        statement.bind(index);
    } else if (value.isBlob()) {
        statement.bind(index, value.getBlob(), value.getBytes());
    } else {
        statement.bind(index, value.getString());
    }
}

// `emptied`: columns whose long texts nothing here needs.
void copy_table(SQLite::Database& from, SQLite::Database& to, const std::string& table,
                const std::vector<std::string>& emptied = {}) {
    std::string selected;
    std::string inserted;
    std::string places;
    for (const auto& column : columns_of(from, table)) {
        const bool is_emptied = std::find(emptied.begin(), emptied.end(), column) != emptied.end();
        selected += (selected.empty() ? "" : ", ") + (is_emptied ? "''" : column);
        inserted += (inserted.empty() ? "" : ", ") + column;
        places += places.empty() ? "?" : ", ?";
    }
    SQLite::Statement query(from, "SELECT " + selected + " FROM " + table);
    SQLite::Statement insert(to, "INSERT INTO " + table + " (" + inserted + ") VALUES (" + places + ")");
    while (query.executeStep()) {
        for (int i = 0; i < query.getColumnCount(); ++i) {
            bind_column(insert, i + 1, query.getColumn(i));
        }
        insert.exec();
        insert.reset();
    }
}

// Of predictions, logs and attempts nothing: no choice depends on them.
SQLite::Database copy_in_memory(SQLite::Database& database, const Study& study) {
    SQLite::Database copy(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    prepare_schema(copy);
    copy.exec("PRAGMA foreign_keys = OFF");
    SQLite::Transaction moment(database);  // all tables of one moment
    SQLite::Transaction transaction(copy);
    for (const char* table :
         {"studies", "stages", "variants", "variant_jobs", "stage_metrics", "job_metrics"}) {
        copy_table(database, copy, table);
    }
    copy_table(database, copy, "jobs", {"config"});
    copy_table(database, copy, "results", {"data", "classes"});
    if (std::any_of(study.stages.begin(), study.stages.end(),
                    [](const Stage& stage) { return !stage.halving.rungs.empty(); })) {
        copy_table(database, copy, "epochs");
        copy_table(database, copy, "epoch_metrics");
    }
    transaction.commit();
    return copy;
}

class Rehearsal {
  public:
    Rehearsal(const Study& study, SQLite::Database copy)
        : study_(study),
          store_(std::move(copy), {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = false}),
          dispatcher_(
              {}, store_, world_,
              std::make_shared<spdlog::logger>("plan", std::make_shared<spdlog::sinks::null_sink_mt>())) {}

    DryRun run() {
        begin();
        DryRun result;
        for (std::size_t i = 0; i < study_.stages.size(); ++i) {
            result.stages.push_back(stage_at(i));
        }
        store_.commit();
        result.states = store_.read([](SQLite::Database& database) { return job_states(database); });
        return result;
    }

  private:
    void begin() {
        const auto stored = store_.studies();
        const bool was_killed = std::any_of(stored.begin(), stored.end(), [&](const StoredStudy& known) {
            return known.name == study_.name && known.state == StudyState::running;
        });
        old_failures_ = was_killed ? OldFailures::keep : OldFailures::ask_again;
        Study without_ensembles = study_;  // which need predictions, and change no choice
        without_ensembles.ensembles.clear();
        row_ = store_.begin_study(study_, old_failures_);
        StudyRun run(std::move(without_ensembles), row_, old_failures_, store_, dispatcher_, world_,
                     world_.now());
        do {
            run.advance();
            dispatcher_.commit();
        } while (run.writing());  // a stage of many jobs is begun in slices
        if (run.failure()) {
            std::rethrow_exception(run.failure());
        }
        ended_ = run.has_ended();
        begun_ = run.variants_of_stages();
        notes_ = run.starts_of_stages();
    }

    PlannedStage stage_at(std::size_t place) {
        const Stage& stage = study_.stages[place];
        PlannedStage planned;
        if (const auto found = begun_.find(stage.name); found != begun_.end()) {
            planned.variants = found->second;
            planned.start = notes_[stage.name];
            return planned;
        }
        planned.is_certain = false;
        StageStart start = start_of_stage(study_, stage, row_, begun_, store_);
        auto variants = variants_of_stage(study_, stage, start);
        if (variants.empty() && ended_) {
            planned.start = std::move(start.notes);  // why it never begins
            begun_[stage.name];
            return planned;
        }
        if (variants.empty()) {
            variants = study_.expand(stage, study_.base);
        } else {
            planned.start = std::move(start.notes);
        }
        store_.sync_stage(row_, static_cast<int>(place), stage, variants, study_.paths, old_failures_);
        planned.variants = begun_[stage.name] = std::move(variants);
        return planned;
    }

    const Study& study_;
    NoWorkers world_;
    JobStore store_;
    Dispatcher dispatcher_;
    StudyId row_;
    OldFailures old_failures_ = OldFailures::ask_again;
    bool ended_ = false;  // with what is stored already, the study ends before its last stage
    VariantsOfStages begun_;
    std::map<std::string, std::vector<std::string>> notes_;
};

}  // namespace

DryRun dry_run(const Study& study, SQLite::Database& database) {
    DryRun result = Rehearsal(study, copy_in_memory(database, study)).run();
    for (const auto& [identity, state] : job_states(database)) {
        result.known.insert(identity);
    }
    return result;
}

}  // namespace orchestrate
