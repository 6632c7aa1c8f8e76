// A dispatcher with a job store in memory, jobs of a training and of a command, and workers that a test speaks for.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/sinks/null_sink.h>
#include <sqlite3.h>

#include "common/base/visit.h"
#include "common/protocol/message_codec.h"
#include "coordinator/dispatch/dispatcher.h"
#include "coordinator/dispatch/idle_env.h"
#include "results/schema.h"
#include "tests/coordinator/simulation/small_life.h"

namespace orchestrate::test {

// One connection, as the coordinator sees it.
class Wire final : public Peer {
  public:
    void answer(const HelloReply& reply) override { replies.push_back(reply); }
    void send(const CoordinatorToWorker& message) override { messages.push_back(message); }
    void close() override { closed = true; }

    // The newest message of a type; null: there is none.
    template <class Content>
    const Content* last() const {
        if constexpr (kIsAlternative<Content, HelloReply>) {
            return last_in<Content>(replies);
        } else {
            return last_in<Content>(messages);
        }
    }

    std::vector<HelloReply> replies;
    std::vector<CoordinatorToWorker> messages;
    bool closed = false;

  private:
    template <class Content, class Message>
    static const Content* last_in(const std::vector<Message>& sent) {
        for (auto message = sent.rbegin(); message != sent.rend(); ++message) {
            if (const auto* content = std::get_if<Content>(&*message)) {
                return content;
            }
        }
        return nullptr;
    }
};

class IdleSite final : public Site {
  public:
    // Both must outlive it; what is put into `exits` is reported once.
    IdleSite(std::vector<std::string>& events, std::vector<SiteWorkerExit>& exits)
        : events_(events), exits_(exits) {}
    void start(const std::string& worker, const WorkerShape& shape) override {
        events_.push_back("start " + worker + " " + std::to_string(shape.ranks) +
                          (shape.is_one_process ? " in one process" : ""));
    }
    void stop(const std::string& worker, std::chrono::milliseconds /*grace*/) override {
        events_.push_back("stop " + worker);
    }
    std::vector<SiteWorkerExit> take_exits() override { return std::exchange(exits_, {}); }
    bool has_processes() const override { return false; }
    std::chrono::seconds start_limit() const override { return std::chrono::seconds(120); }

  private:
    std::vector<std::string>& events_;
    std::vector<SiteWorkerExit>& exits_;
};

class PeersWorld final : public IdleEnv {
  public:
    static constexpr const char* kModels = "/db.d/models";

    // Half of the jobs are trainings (ids 1 to `jobs`), half commands that report the metric "v".
    explicit PeersWorld(int jobs = 4)
        : database_("file:peers-" + std::to_string(++made()) + "?mode=memory&cache=shared", kOpen),
          store_(prepared(), {.grouped = true, .vfs = {}, .network_file_system = {}, .sync = true}),
          dispatcher_(
              {"1", std::chrono::milliseconds(4000), {}, "/logs", kModels}, store_, *this,
              std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_st>())) {
        Study study;
        study.name = "s";
        study.file = "/s.toml";
        const auto row = store_.begin_study(study);
        std::vector<std::uint64_t> seeds;
        for (int seed = 1; seed <= jobs; ++seed) {
            seeds.push_back(static_cast<std::uint64_t>(seed));
        }
        Variant command = variant_of("command", JobConfig{}.model.head_width, seeds);
        command.config.command.emplace();
        command.config.command->run = {"true"};
        command.resources.metrics = {"test v"};
        Stage stage;
        stage.name = "ablation";
        jobs_ = store_.sync_stage(row, 0, stage, {variant_of("training", 8, seeds), command}, {});
        dispatcher_.add_jobs(jobs_, {row, 0});
        dispatcher_.add_site("local", std::make_unique<IdleSite>(site_events, site_exits), 2);
    }

    std::chrono::steady_clock::time_point now() override { return clock; }
    void note(const std::string& line) override { notes.push_back(line); }

    Dispatcher& dispatcher() { return dispatcher_; }
    JobStore& store() { return store_; }
    // The same database, for what a test wants to see or to spoil.
    SQLite::Database& database() { return database_; }

    static Hello hello(const std::string& name, std::int64_t process = 1) {
        Hello hello;
        hello.role = Role::worker;
        hello.name = name;
        hello.host = "host";
        hello.process_id = process;
        hello.device = "cpu";
        hello.log_folder = "/logs";
        return hello;
    }

    // Whether the worker is taken.
    bool connect(const std::shared_ptr<Wire>& wire, const Hello& hello) {
        const bool taken = dispatcher_.worker_connected(wire, hello);
        dispatcher_.commit();
        return taken;
    }
    std::shared_ptr<Wire> connect(const std::string& name) {
        auto wire = std::make_shared<Wire>();
        connect(wire, hello(name));
        return wire;
    }
    // Through the wire, as the coordinator reads it. False for a file that the worker may not transfer.
    bool say(const std::string& worker, const std::shared_ptr<Wire>& wire,
             const WorkerToCoordinator& message) {
        const auto frame = encode_frame(message);
        bool taken = true;
        try {
            match(
                split<WorkerReport, TransferRequest>(
                    decode_body<WorkerToCoordinator>(std::span(frame).subspan(4))),
                [&](const WorkerReport& report) { dispatcher_.worker_said(worker, wire, report); },
                [&](const TransferRequest& request) {
                    taken = dispatcher_.may_transfer(worker, wire, request);
                });
        } catch (const InvalidMessage& error) {
            dispatcher_.worker_sent_invalid(worker, wire, error);
            taken = false;
        }
        dispatcher_.commit();
        return taken;
    }
    // Lets the jobs from..to wait (positions: trainings first).
    void schedule(std::size_t from, std::size_t to) {
        dispatcher_.schedule(std::span<const JobId>(jobs_).subspan(from, to - from));
        dispatcher_.commit();
    }
    std::string text(const std::string& sql) { return database_.execAndGet(sql).getString(); }
    std::string state(JobId job) { return text("SELECT state FROM jobs WHERE id = " + to_string(job)); }
    std::string end_of(const AttemptId& attempt) {
        return text("SELECT coalesce(cause, 'open') || ': ' || message FROM attempts WHERE job_id = " +
                    to_string(attempt.job) + " AND number = " + std::to_string(attempt.number));
    }
    std::string identity(JobId job) { return text("SELECT identity FROM jobs WHERE id = " + to_string(job)); }
    bool said(const std::string& part) const {
        return std::any_of(notes.begin(), notes.end(),
                           [&](const std::string& line) { return line.find(part) != std::string::npos; });
    }
    const std::vector<JobId>& jobs() const { return jobs_; }

    std::chrono::steady_clock::time_point clock{std::chrono::hours(1)};
    std::vector<std::string> notes;
    std::vector<std::string> site_events;
    std::vector<SiteWorkerExit> site_exits;

  private:
    static constexpr int kOpen = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
    static int& made() {
        static int count = 0;
        return count;
    }
    SQLite::Database prepared() {
        prepare_schema(database_);
        return {"file:peers-" + std::to_string(made()) + "?mode=memory&cache=shared", kOpen};
    }

    SQLite::Database database_;
    JobStore store_;
    Dispatcher dispatcher_;
    std::vector<JobId> jobs_;
};

}  // namespace orchestrate::test
