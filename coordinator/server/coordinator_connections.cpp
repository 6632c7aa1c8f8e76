// Connections of the coordinator: workers, pilots and people.
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/protocol/message_checks.h"
#include "coordinator/report/job_report.h"
#include "coordinator/server/coordinator.h"
#include "coordinator/sites/sites.h"
#include "results/job_list.h"
#include "results/job_logs.h"

namespace orchestrate {

namespace asio = boost::asio;

namespace {

// Of one worker, between its connection and the thread that writes files. It sends four chunks ahead.
constexpr int kMaxTransfersInFlight = 32;

class ConnectedPeer final : public Peer {
  public:
    explicit ConnectedPeer(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
    void send(const Message& message) override { connection_->send(message); }
    void close() override { connection_->close(); }

  private:
    std::shared_ptr<Connection> connection_;
};

}  // namespace

asio::awaitable<void> Coordinator::serve(std::shared_ptr<Connection> connection, Hello hello) {
    switch (hello.role) {
        case Role::worker:
            return serve_worker(std::move(connection), std::move(hello));
        case Role::pilot:
            return serve_pilot(std::move(connection), std::move(hello));
        case Role::person:
            break;
    }
    return serve_person(std::move(connection));
}

asio::awaitable<void> Coordinator::serve_worker(std::shared_ptr<Connection> connection, Hello hello) {
    const std::string name = hello.name;
    if (sites_run_commands_ && !hello.runs_commands) {
        connection->send(
            Refused{"this study runs commands, which orchestrate-worker " + hello.program_version +
                    " does not know of; use the coordinator's release, " + options_.program_version});
        connection->finish();
        co_return;
    }
    connection->limit_queue(Connection::kMaximumQueuedForWorkers);
    const auto peer = std::make_shared<ConnectedPeer>(connection);
    const auto transfers = std::make_shared<int>(0);
    try {
        if (!dispatcher_.worker_connected(peer, hello)) {
            connection->finish();
            co_return;
        }
        settle();
        while (true) {
            const Message message = co_await connection->read(Role::worker);
            if (carry_files(name, peer, connection, transfers, message)) {
                continue;
            }
            {
                const auto hold = watch_.hold("a message of worker", name);
                if (!dispatcher_.worker_said(name, peer, message)) {
                    co_return;
                }
            }
            settle();
        }
    } catch (const SQLite::Exception&) {
        fail(std::current_exception());  // the database is damaged: no fault of this worker's
        co_return;
    } catch (const ProtocolError& error) {
        dispatcher_.worker_failed(name, peer, std::string("protocol error: ") + error.what());
    } catch (const boost::system::system_error& error) {
        log_->info("worker {}: connection ended ({})", name, error.code().message());
    } catch (const StoreUnavailable& error) {
        dispatcher_.pause(error.what());
        connection->close();
    } catch (const std::exception& error) {
        dispatcher_.worker_failed(name, peer, error.what());
    }
    dispatcher_.worker_disconnected(name, peer);
    settle();
}

bool Coordinator::carry_files(const std::string& worker, const std::shared_ptr<Peer>& peer,
                              const std::shared_ptr<Connection>& connection, const Transfers& transfers,
                              const Message& message) {
    const auto* offer = std::get_if<ParcelOffer>(&message);
    const auto* chunk = std::get_if<ParcelChunk>(&message);
    const auto* request = std::get_if<CheckpointRequest>(&message);
    if (offer == nullptr && chunk == nullptr && request == nullptr) {
        return false;
    }
    if (!dispatcher_.may_transfer(worker, peer, message)) {
        if (offer != nullptr) {
            ParcelProgress refusal;
            refusal.parcel = offer->parcel;
            refusal.refused = "another attempt has taken over";
            connection->send(refusal);
        }
        return true;
    }
    if (*transfers >= kMaxTransfersInFlight) {
        throw ProtocolError("more than " + std::to_string(kMaxTransfersInFlight) +
                            " pieces of files wait for their answer");
    }
    ++*transfers;
    const auto answer = [this, connection, transfers](auto work) {
        asio::post(parcel_thread_, [this, connection, transfers, work] {
            const std::optional<Message> reply = work(parcels_);
            asio::post(io_, [connection, transfers, reply] {
                --*transfers;
                if (reply) {
                    connection->send(*reply);
                }
            });
        });
    };
    if (offer != nullptr) {
        if (workers_with_parcels_.insert(worker).second) {
            display_.note("worker " + worker + " does not see '" + state_folder(options_.database).string() +
                          "': its checkpoints and models come over its connection");
        }
        answer([offer = *offer](ParcelStore& parcels) -> std::optional<Message> {
            return parcels.offer(offer);
        });
    } else if (chunk != nullptr) {
        answer([chunk = *chunk](ParcelStore& parcels) -> std::optional<Message> {
            const auto progress = parcels.take(chunk);
            return progress ? std::optional<Message>(*progress) : std::nullopt;
        });
    } else {
        answer([request = *request](ParcelStore& parcels) -> std::optional<Message> {
            return parcels.read(request);
        });
    }
    return true;
}

// Why a pilot is not taken; empty: it is.
std::string Coordinator::refusal_of_pilot(const Hello& hello) const {
    if (const auto refusal = validate(hello)) {
        return "its hello is refused: " + refusal->text();
    }
    const auto found = dispatcher_.sites().find(hello.name);
    if (found == dispatcher_.sites().end()) {
        return "";
    }
    const auto* pilot = dynamic_cast<const PilotSite*>(found->second.get());
    if (pilot == nullptr) {
        return "'" + hello.name + "' is the name of this coordinator's own machine";
    }
    // The same one, before it was noticed that its connection has broken.
    if (pilot->host() == hello.host && pilot->process_id() == hello.process_id) {
        return "";
    }
    return "a pilot " + hello.name + " is connected already: process " + std::to_string(pilot->process_id()) +
           " on " + pilot->host();
}

asio::awaitable<void> Coordinator::serve_pilot(std::shared_ptr<Connection> connection, Hello hello) {
    if (const std::string refusal = refusal_of_pilot(hello); !refusal.empty()) {
        log_->warn("refused pilot {}: {}", cleaned(hello.name, kMaxNameBytes, Lines::one), refusal);
        connection->send(Refused{refusal});
        connection->finish();
        co_return;
    }
    connection->limit_queue(Connection::kMaximumQueuedForWorkers);
    const std::string name = hello.name;
    log_->info("pilot {} on {} is there with {} slots", name, hello.host, hello.slots);
    note("pilot " + name + " is there with " + std::to_string(hello.slots) + " slots");
    auto owned = std::make_unique<PilotSite>(connection, hello.host, hello.process_id);
    PilotSite* const site = owned.get();
    const auto is_ours = [this, name, site] {  // a newer connection of the same pilot may have taken over
        const auto found = dispatcher_.sites().find(name);
        return found != dispatcher_.sites().end() && found->second.get() == site;
    };
    if (slurm_) {
        slurm_->pilot_connected(name);
    }
    Welcome welcome;
    welcome.program_version = options_.program_version;
    welcome.heartbeat_interval_milliseconds = options_.heartbeat_interval.count();
    connection->send(welcome);
    if (const auto older = dispatcher_.sites().find(name); older != dispatcher_.sites().end()) {
        dynamic_cast<PilotSite&>(*older->second).close();
        dispatcher_.remove_site(name);
    }
    dispatcher_.add_site(name, std::move(owned), hello.slots);
    settle();
    try {
        while (true) {
            const Message message = co_await connection->read(Role::pilot);
            if (!is_ours()) {
                break;
            }
            on_pilot_message(name, *site, message);
        }
    } catch (const SQLite::Exception&) {
        fail(std::current_exception());
    } catch (const boost::system::system_error& error) {
        log_->info("pilot {}: connection ended ({})", name, error.code().message());
    } catch (const std::exception& error) {
        log_->error("pilot {} is cut off: {}", name, error.what());
        note("pilot " + name + " is cut off: " + error.what());
    }
    connection->close();
    if (is_ours()) {
        if (slurm_) {
            slurm_->pilot_disconnected(name);
        }
        dispatcher_.remove_site(name);
    }
    settle();
}

// Throws ProtocolError for what a pilot may not send.
void Coordinator::on_pilot_message(const std::string& name, PilotSite& site, const Message& message) {
    if (const auto refusal = validate(message)) {
        throw ProtocolError("its message '" + type_of(message) + "' was refused: " + refusal->text());
    }
    if (const auto* exited = std::get_if<WorkerExited>(&message)) {
        if (Dispatcher::site_of(exited->name) != name) {
            throw ProtocolError("it speaks of worker " + exited->name + ", which is not its own");
        }
        site.on_exit(*exited);
    } else if (const auto* goodbye = std::get_if<Goodbye>(&message)) {
        if (site.leave()) {
            const std::string reason = cleaned(goodbye->reason, kMaxLineBytes, Lines::one);
            log_->info("pilot {} leaves: {}", name, reason);
            note("pilot " + name + " leaves: " + reason);
            dispatcher_.site_leaves(name, reason);
            settle();
        }
    } else if (std::holds_alternative<Heartbeat>(message)) {
        site.beat();
    }
}

asio::awaitable<void> Coordinator::serve_person(std::shared_ptr<Connection> connection) {
    Welcome welcome;
    welcome.program_version = options_.program_version;
    welcome.database_id = claim_.identity.id;
    connection->send(welcome);
    ++persons_;
    try {
        while (true) {
            const Message request = co_await connection->read(Role::person);
            if (const auto* unknown = std::get_if<UnknownMessage>(&request)) {
                connection->send(Refused{"this coordinator is orchestrate " + options_.program_version +
                                         " and does not know the request '" + type_of(*unknown) +
                                         "'; use the release that it runs, or start it anew with yours"});
            } else {
                ResultReader::Frame frame = co_await answer(request);
                connection->send_frame(std::move(frame));
            }
        }
    } catch (const boost::system::system_error&) {
        // The person has left.
    } catch (const std::exception& error) {
        log_->warn("a person's connection is cut off: {}", error.what());
        connection->close();
    }
    --persons_;
}

asio::awaitable<ResultReader::Frame> Coordinator::answer(const Message& request) {
    if (const auto refusal = validate(request)) {
        Message reply = Refused{"the request '" + type_of(request) + "' is refused: " + refusal->text()};
        co_return co_await reader_.encode(std::move(reply));
    }
    if (!dispatcher_.paused()) {
        commit_now();  // what is answered here is on disk
    }
    if (const auto* asked = std::get_if<StatusRequest>(&request)) {
        Message reply = status(asked->events_after);
        co_return co_await reader_.encode(std::move(reply));
    }
    if (const auto* submission = std::get_if<SubmitStudy>(&request)) {
        Message reply = co_await submit(*submission);
        co_return co_await reader_.encode(std::move(reply));
    }
    if (const auto* asked = std::get_if<ControlRequest>(&request)) {
        Message reply = co_await control(*asked);
        co_return co_await reader_.encode(std::move(reply));
    }
    if (const auto* asked = std::get_if<WhyRequest>(&request)) {
        co_return co_await why_job(asked->job);
    }
    if (const auto* asked = std::get_if<TableRequest>(&request)) {
        std::function<TextReply(SQLite::Database&)> find = [asked](SQLite::Database& database) {
            return TextReply{table_text(database, *asked), ""};
        };
        co_return co_await read(std::move(find));
    }
    if (const auto* asked = std::get_if<JobsRequest>(&request)) {
        std::function<JobsReply(SQLite::Database&)> find = [asked](SQLite::Database& database) {
            return list_jobs(database, *asked);
        };
        co_return co_await read(std::move(find));
    }
    if (const auto* asked = std::get_if<JobRequest>(&request)) {
        std::function<JobReply(SQLite::Database&)> find = [asked](SQLite::Database& database) {
            return JobReply{describe_job(database, asked->job), ""};
        };
        co_return co_await read(std::move(find));
    }
    if (const auto* asked = std::get_if<LogRequest>(&request)) {
        std::function<LogReply(SQLite::Database&)> find = [asked](SQLite::Database& database) {
            return read_log(database, *asked);
        };
        co_return co_await read(std::move(find));
    }
    Message reply = Refused{"'" + type_of(request) + "' is not a valid client request"};
    co_return co_await reader_.encode(std::move(reply));
}

}  // namespace orchestrate
