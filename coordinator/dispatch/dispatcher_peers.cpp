// What a dispatcher does about peers that send what they may not: a hello that does not fit, messages about others'
// attempts, values out of range. The peer is told, its own attempt ends in words, nothing else changes; one that repeats
// it is cut off.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "common/base/visit.h"
#include "coordinator/artifacts/checkpoint_folders.h"
#include "coordinator/dispatch/dispatcher.h"

namespace orchestrate {

namespace {

constexpr int kMaxRefusals = 3;                    // of one worker; then it is cut off
constexpr std::size_t kMaxRememberedNames = 1024;  // of workers that were cut off
constexpr std::size_t kMaxWorkers = 65'536;        // connected, or away for a short time

std::optional<std::int64_t> number_of(const std::string& worker) {
    const char* const begin = worker.data() + worker.find_last_of('-') + 1;
    const char* const end = worker.data() + worker.size();
    std::int64_t number = 0;
    const auto [rest, error] = std::from_chars(begin, end, number);
    return error == std::errc() && rest == end && begin != end ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<std::string> Dispatcher::refusal_of(const Hello& hello) const {
    const std::string& name = hello.name;
    if (cut_off_.contains(name)) {
        return "worker " + name +
               " was cut off, since its messages were refused again and again; start it anew "
               "under another name";
    }
    if (given_up_.contains(name)) {
        return "worker " + name + " was killed, since it was silent; start it anew under another name";
    }
    const WorkerShape shape(hello.ranks, hello.is_one_process);
    const auto of_other_shape = [&](const WorkerShape& started) -> std::optional<std::string> {
        if (started == shape) {
            return std::nullopt;
        }
        return started.ranks == shape.ranks
                   ? fmt::format("worker {} was started as {}, this one is {}", name,
                                 started.is_one_process ? "one process" : "several ranks",
                                 shape.is_one_process ? "one process" : "several ranks")
                   : fmt::format("worker {} was started with {} rank(s), this one says {}", name,
                                 started.ranks, shape.ranks);
    };
    const auto launched = launched_.find(name);
    if (launched != launched_.end() && launched->second != shape) {
        return of_other_shape(launched->second);
    }
    if (const auto known = workers_.find(name); known != workers_.end()) {
        const WorkerRecord& record = known->second.record;
        const bool same_process = record.process_id == hello.process_id && record.host == hello.host;
        if (known->second.connection && !same_process) {
            return fmt::format("a worker {} is connected already: process {} on {}", name, record.process_id,
                               record.host);
        }
        return of_other_shape({record.ranks, record.is_one_process});
    }
    if (launched != launched_.end()) {
        return std::nullopt;
    }
    return refusal_of_stranger(hello);
}

// Names SITE-NUMBER of a site that is here are those of the workers that coordinators of this database started there.
std::optional<std::string> Dispatcher::refusal_of_stranger(const Hello& hello) const {
    if (workers_.size() >= kMaxWorkers) {
        return fmt::format("there are {} workers already", workers_.size());
    }
    const std::string site = site_of(hello.name);
    if (!sites_.contains(site)) {
        return std::nullopt;  // started by hand, or its pilot is not here yet
    }
    const auto number = number_of(hello.name);
    if (!number || *number > earlier_workers_) {
        return fmt::format("no worker {} was started at site {}; start it under another name", hello.name,
                           site);
    }
    if (const int slots = site_slots_.at(site); hello.ranks > slots) {
        return fmt::format("site {} has {} slot(s), worker {} says that it has {} rank(s)", site, slots,
                           hello.name, hello.ranks);
    }
    return std::nullopt;
}

bool Dispatcher::holds(const Worker& worker, const AttemptId& attempt) const {
    return worker.running == attempt ||
           std::find(worker.queued.begin(), worker.queued.end(), attempt) != worker.queued.end();
}

// Nobody: the attempt is not current, or the worker it was given to is away.
const Dispatcher::Worker* Dispatcher::connected_holder(const AttemptId& attempt) const {
    const auto known = assignments_.find(attempt.job);
    if (known == assignments_.end() || known->second.attempt != attempt) {
        return nullptr;
    }
    const auto holder = workers_.find(known->second.worker);
    return holder != workers_.end() && holder->second.connection && holds(holder->second, attempt)
               ? &holder->second
               : nullptr;
}

std::optional<Refusal> Dispatcher::refusal_of(const AttemptEnded& ended) {
    if (auto refusal = store_.refusal_of(ended)) {
        return refusal;
    }
    const bool has_model = ended.cause == Cause::succeeded && ended.result->model;
    return has_model ? validate_model(*ended.result->model, options_.models_folder) : std::nullopt;
}

// Of a message about an attempt that the worker holds.
std::optional<Refusal> Dispatcher::refusal_of_report(const WorkerReport& message) {
    using Found = std::optional<Refusal>;
    const auto not_a_checkpoint = [](const std::string& file) {
        return !is_checkpoint_name(std::filesystem::path(file).filename().string());
    };
    return match(
        message,
        [&](const AttemptEnded& ended) -> Found {
            if (ended.cause == Cause::cancelled && connected_holder(ended.attempt) != nullptr) {
                return Refusal{"cause", "is 'cancelled', though the attempt was not cancelled"};
            }
            return refusal_of(ended);
        },
        [&](const AttemptEpoch& epoch) -> Found { return store_.refusal_of(epoch); },
        [&](const CheckpointWritten& written) -> Found {
            return not_a_checkpoint(written.checkpoint.file)
                       ? Found(Refusal{"checkpoint.file", "is not a checkpoint's name"})
                       : std::nullopt;
        },
        [&](const AttemptResumed& resumed) -> Found {
            return !resumed.point.file.empty() && not_a_checkpoint(resumed.point.file)
                       ? Found(Refusal{"point.file", "is not a checkpoint's name"})
                       : std::nullopt;
        },
        [](const AttemptProgress&) -> Found { return std::nullopt; },
        [](const Heartbeat&) -> Found { return std::nullopt; },
        [](const Goodbye&) -> Found { return std::nullopt; },
        [](const WorkerNote&) -> Found { return std::nullopt; });
}

// Of a message about an attempt that the worker does not hold. Nothing: it is stale.
std::optional<Refusal> Dispatcher::refusal_of_other(const AttemptId& attempt) const {
    const Worker* holder = connected_holder(attempt);
    if (holder == nullptr) {
        return std::nullopt;
    }
    return Refusal{"attempt", fmt::format("{} of job {} was given to worker {}", attempt.number, attempt.job,
                                          holder->record.name)};
}

std::optional<Refusal> Dispatcher::refusal_of(const Worker& worker, const WorkerReport& message) {
    const auto attempt = attempt_of(message);
    if (!attempt) {
        return std::nullopt;
    }
    if (holds(worker, *attempt)) {
        return refusal_of_report(message);
    }
    if (const auto* ended = std::get_if<AttemptEnded>(&message);
        ended != nullptr && !ended->job_identity.empty()) {
        return std::nullopt;  // it may have been found on disk, where another worker left it
    }
    return refusal_of_other(*attempt);
}

void Dispatcher::take_report(Worker& worker, const WorkerReport& message) {
    if (const auto refusal = refusal_of(worker, message)) {
        refuse(worker, type_of(message), attempt_of(message), *refusal);
    } else {
        on_worker_message(worker, message);
    }
}

bool Dispatcher::worker_sent_invalid(const std::string& name, const std::shared_ptr<Peer>& connection,
                                     const InvalidMessage& message) {
    return take_message(name, connection, message.type(), [&](Worker& worker) {
        const auto& attempt = message.attempt();
        if (message.type() == AttemptEnded::kType && attempt && !holds(worker, *attempt)) {
            // The end of an attempt that is over is acknowledged, whatever it says.
            if (const AttemptEnded ended = end_by_refusal(message); !validate(ended)) {
                take_report(worker, ended);
                return;
            }
        }
        refuse(worker, message.type(), attempt, message.refusal());
    });
}

bool Dispatcher::accept_leftover(AttemptEnded ended) {
    if (ended.job_identity.empty()) {
        return false;  // of which job it is cannot be checked
    }
    if (const auto refusal = refusal_of(ended)) {
        ended.cause = Cause::worker_crashed;
        ended.message = "the result that a worker left on disk was refused: " + refusal->text();
        ended.result.reset();
        ended.epochs.clear();
    }
    ended.message = cleaned(ended.message, kMaxMessageBytes, Lines::several);
    return end_attempt(std::move(ended), "");
}

// A result that the worker found on disk, where another one left it; or one of an attempt that is over.
void Dispatcher::deliver(Worker& worker, const AttemptEnded& ended) {
    const auto known = assignments_.find(ended.attempt.job);
    const bool current = known != assignments_.end() && known->second.attempt == ended.attempt;
    if (current && connected_holder(ended.attempt) != nullptr) {
        return;  // whoever holds it delivers it
    }
    const bool accepted = current && accept_leftover(ended);
    if (!accepted && worker.log_lines.take(env_.now())) {
        log_->warn("job {}, attempt {}: '{}' from {} is stale", ended.attempt.job, ended.attempt.number,
                   to_string(ended.cause), worker.record.name);
    }
    send(worker, Acknowledged{ended.attempt, !accepted});
}

void Dispatcher::refuse(Worker& worker, const std::string& type, const std::optional<AttemptId>& attempt,
                        const Refusal& refusal) {
    const std::string why = fmt::format("its message '{}' was refused: {}", type, refusal.text());
    const std::string name = worker.record.name;
    log_->warn("worker {}: {}", name, why);
    ++worker.refusals;
    if (!attempt || !holds(worker, *attempt)) {
        note("worker " + name + ": " + why);
    } else {
        end_attempt({*attempt, Cause::worker_crashed, "worker " + name + ": " + why, {}}, name);
        if (type == AttemptEnded::kType) {
            send(worker, Acknowledged{*attempt, false});
            let_go(worker, *attempt);
        } else {
            send(worker, StopAttempt{*attempt});  // it keeps its place until it says that it has stopped
        }
    }
    if (worker.refusals >= kMaxRefusals) {
        cut_off(name, fmt::format("{} of its messages were refused", worker.refusals));
    }
    act();
}

bool Dispatcher::may_transfer(const std::string& name, const std::shared_ptr<Peer>& connection,
                              const TransferRequest& request) {
    const auto found = workers_.find(name);
    if (found == workers_.end() || found->second.connection != connection) {
        return false;
    }
    const auto attempt = attempt_of(request);
    if (attempt && !holds(found->second, *attempt)) {
        if (const auto refusal = refusal_of_other(*attempt)) {
            refuse(found->second, type_of(request), attempt, *refusal);
            return false;
        }
    }
    return attempt && connected_holder(*attempt) == &found->second;
}

void Dispatcher::cut_off(const std::string& name, const std::string& why) {
    const auto found = workers_.find(name);
    if (found == workers_.end()) {
        return;
    }
    if (cut_off_.size() == kMaxRememberedNames) {
        cut_off_.clear();
    }
    cut_off_.insert(name);
    log_->error("worker {} is cut off: {}", name, why);
    note("worker " + name + " is cut off and gets no more jobs: " + why);
    if (found->second.running) {
        end_attempt(
            {*found->second.running, Cause::worker_crashed, "worker " + name + " was cut off: " + why, {}},
            name);
        found->second.running.reset();
    }
    found->second.goodbye_reason = "it was cut off: " + why;
    kill_worker(name);
    lose_worker(name, {});
}

void Dispatcher::worker_failed(const std::string& name, const std::shared_ptr<Peer>& connection,
                               const std::string& what) {
    connection->close();
    const auto found = workers_.find(name);
    if (found == workers_.end() || found->second.connection != connection) {
        return;
    }
    log_->error("worker {}: {}", name, what);
    if (++found->second.refusals >= kMaxRefusals) {
        cut_off(name, what);
    } else {
        note("worker " + name + " is disconnected: " + what);
        worker_disconnected(name, connection);
    }
}

void Dispatcher::report_dropped_changes() {
    for (const auto& change : store_.take_dropped_changes()) {
        log_->error("a change that the database refuses was left out: {}", change.why);
        if (!change.ended) {
            note("a change that the database refuses was left out: " + change.why);
            continue;
        }
        const JobId id = change.ended->job;
        note_job(id, fmt::format("job {}: its result could not be stored, so that it has failed: {}", id,
                                 change.why));
    }
}

}  // namespace orchestrate
