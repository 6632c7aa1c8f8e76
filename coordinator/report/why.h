// Why a job does not run, or what became of it: one sentence from what is known. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/protocol/client_messages.h"

namespace orchestrate {

// What the sentence depends on.
struct WhyFacts {
    JobDetails job;
    bool cancelled_by_user = false;
    bool coordinator_lives = false;
    std::string study;        // that would run it; empty: none shows it
    std::string study_state;  // "running", "interrupted", ...
    bool study_paused = false;
    bool stage_has_begun = true;  // of that study's current run, the job's stage
    std::string current_stage;    // the one that runs
    std::string dispatch_paused;  // why nothing is dispatched; empty: it is
    std::string scheduler;        // what the scheduler says of a job that waits; empty: it does not know it
    std::optional<TrainingProgress> progress;  // of a job that runs
    bool worker_is_away = false;               // of a job that runs
};

// What the database has of them. Throws UserError if there is no such job.
WhyFacts stored_facts(SQLite::Database& database, const std::string& typed);

// Without a final full stop. Names the command that would change it, where there is one.
std::string why(const WhyFacts& facts);

// "job 17 (without energy, seed 2): it is done ...".
std::string why_text(const WhyFacts& facts);

}  // namespace orchestrate
