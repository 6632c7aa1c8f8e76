// Whose the coordinator's database is, from the claim at its start to the release at its end.
#include "common/base/error.h"
#include "common/base/time_text.h"
#include "coordinator/server/coordinator.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

constexpr auto kLockHeartbeat = 5s;
constexpr auto kClaimHeartbeat = 10s;  // costs a transaction

}  // namespace

void Coordinator::beat_lock() {
    const auto now = std::chrono::steady_clock::now();
    lock_is_ours_ = false;
    lock_.verify(now);
    if (now - lock_beat_at_ > kLockHeartbeat) {
        lock_beat_at_ = now;
        lock_.heartbeat();
    }
    if (now - claim_renewed_at_ > kClaimHeartbeat && dispatcher_.commit()) {
        claim_renewed_at_ = now;
        renew_claim();
    }
    lock_is_ours_ = true;
}

void Coordinator::renew_claim() {
    try {
        const auto other = store_.write([&](SQLite::Database& database) {
            return orchestrate::renew_claim(database, claim_.token, utc_now_text())
                       ? std::optional<DatabaseOwner>()
                       : read_owner(database).value_or(DatabaseOwner{});
        });
        if (other) {
            throw UserError("the database '" + lock_.place().path + "' was taken over by process " +
                            std::to_string(other->process_id) + " on '" + other->host + "' since " +
                            other->started_at);
        }
    } catch (const StoreUnavailable& error) {
        log_->warn("the heartbeat in the database could not be renewed: {}", error.what());
    }
}

void Coordinator::release_claim() {
    if (!lock_is_ours_) {
        return;
    }
    try {
        store_.write([&](SQLite::Database& database) { orchestrate::release_claim(database, claim_.token); });
    } catch (const std::exception& error) {
        log_->warn("the database still names this coordinator as its owner: {}", error.what());
    }
}

void Coordinator::name_lost_database() {
    try {
        const auto now = std::chrono::steady_clock::now();
        lock_.verify(now);
        lock_.verify(now + DatabaseLock::kTruncationGrace);
    } catch (const DatabaseGone&) {
        lock_is_ours_ = false;
        failure_ = std::current_exception();
    }
}

}  // namespace orchestrate
