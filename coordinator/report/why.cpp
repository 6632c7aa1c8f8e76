#include "coordinator/report/why.h"

#include <fmt/format.h>

#include "common/base/counted.h"
#include "results/job_list.h"

namespace orchestrate {
namespace {

std::string last_message(const JobDetails& job) {
    if (job.attempts.empty()) {
        return "";
    }
    const auto& last = job.attempts.back();
    return fmt::format("{}{}{}", last.cause, last.message.empty() ? "" : ": ", last.message);
}

std::string why_running(const WhyFacts& facts) {
    const auto& attempt = facts.job.attempts.empty() ? AttemptDetails{} : facts.job.attempts.back();
    if (!facts.coordinator_lives) {
        return fmt::format(
            "it was running on {} when the coordinator ended; orchestrate resume {} goes on with it",
            attempt.worker, facts.study);
    }
    if (facts.worker_is_away) {
        return fmt::format(
            "its worker {} does not answer at the moment; the job goes elsewhere if it stays away",
            attempt.worker);
    }
    std::string text = fmt::format("it runs: attempt {} on {}", attempt.number, attempt.worker);
    if (facts.progress && facts.progress->epoch > 0) {
        text += fmt::format(", epoch {} of {}", facts.progress->epoch, facts.progress->epochs);
    }
    return text;
}

std::string why_waiting(const WhyFacts& facts) {
    if (facts.study.empty()) {
        return "no study names it any more";
    }
    if (facts.study_paused) {
        return fmt::format("its study is paused; orchestrate resume {} lets it go on", facts.study);
    }
    if (!facts.coordinator_lives || facts.study_state != "running") {
        return fmt::format(
            "its study {} does not run ({}); orchestrate resume {} goes on with it", facts.study,
            facts.coordinator_lives ? facts.study_state : "no coordinator has the database", facts.study);
    }
    if (!facts.stage_has_begun) {
        return fmt::format("its stage {} begins when stage {} has ended", facts.job.row.stage,
                           facts.current_stage);
    }
    if (!facts.dispatch_paused.empty()) {
        return "nothing is handed out at the moment: " + facts.dispatch_paused;
    }
    return facts.scheduler.empty() ? "it is about to be scheduled" : facts.scheduler;
}

}  // namespace

WhyFacts stored_facts(SQLite::Database& database, const std::string& typed) {
    WhyFacts facts;
    facts.job = describe_job(database, typed);
    SQLite::Statement by_user(database, "SELECT cancelled_by_user FROM jobs WHERE id = ?");
    by_user.bind(1, facts.job.row.job.value());
    facts.cancelled_by_user = by_user.executeStep() && by_user.getColumn(0).getInt() != 0;
    // The study that would run it: one that runs, else one that is unfinished, else the first.
    for (const auto& name : studies_of_job(database, facts.job.row.job)) {
        SQLite::Statement query(database, "SELECT state, paused FROM studies WHERE name = ?");
        query.bind(1, name);
        if (!query.executeStep()) {
            continue;
        }
        const std::string state = query.getColumn(0).getString();
        const bool better =
            facts.study.empty() || (state == "running" && facts.study_state != "running") ||
            (state == "interrupted" && facts.study_state != "running" && facts.study_state != "interrupted");
        if (better) {
            facts.study = name;
            facts.study_state = state;
            facts.study_paused = query.getColumn(1).getInt() != 0;
        }
    }
    return facts;
}

std::string why(const WhyFacts& facts) {
    const auto& row = facts.job.row;
    const std::string retry = fmt::format("orchestrate retry {} tries it again", row.job);
    if (row.state == "waiting") {
        return why_waiting(facts);
    }
    if (row.state == "running") {
        return why_running(facts);
    }
    if (row.state == "succeeded") {
        return fmt::format("it is done: attempt {} succeeded on {}",
                           facts.job.attempts.empty() ? 0 : facts.job.attempts.back().number, row.worker);
    }
    if (row.state == "quarantined") {
        return fmt::format("it is quarantined: it took down {}, at last by {}; {}",
                           counted(facts.job.failures, "worker"), last_message(facts.job), retry);
    }
    if (row.state == "failed") {
        return fmt::format("it has failed {}, at last by {}; {}",
                           facts.job.failures == 1 ? "once" : fmt::format("{} times", facts.job.failures),
                           last_message(facts.job), retry);
    }
    if (row.state == "cancelled") {
        return facts.cancelled_by_user ? "it was cancelled by a user; " + retry
                                       : "it was cancelled when no study named it any more";
    }
    if (row.state == "paused") {
        return "it is trained as far as its search has asked for; it goes on if it is among the best";
    }
    return "it is " + row.state;
}

std::string why_text(const WhyFacts& facts) {
    return fmt::format("job {} ({}): {}", facts.job.row.job, facts.job.row.title, why(facts));
}

}  // namespace orchestrate
