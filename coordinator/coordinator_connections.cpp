// Connections of the coordinator: workers, pilots and people.
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "coordinator/coordinator.h"
#include "coordinator/sites.h"

namespace orchestrate {

namespace asio = boost::asio;

namespace {

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
    const auto peer = std::make_shared<ConnectedPeer>(connection);
    dispatcher_.worker_connected(peer, hello);
    settle();
    try {
        while (true) {
            const Message message = co_await connection->read();
            if (carry_files(name, connection, message)) {
                continue;
            }
            if (!dispatcher_.worker_said(name, peer, message)) {
                co_return;
            }
            settle();
        }
    } catch (const ProtocolError& error) {
        log_->error("worker {} speaks nonsense and is cut off: {}", name, error.what());
        connection->close();
    } catch (const boost::system::system_error& error) {
        log_->info("worker {}: connection ended ({})", name, error.code().message());
    }
    dispatcher_.worker_disconnected(name, peer);
    settle();
}

bool Coordinator::carry_files(const std::string& worker, const std::shared_ptr<Connection>& connection,
                              const Message& message) {
    const auto is_current = [this](const AttemptId& attempt) {
        const auto job = dispatcher_.jobs().find(attempt.job);
        return job != dispatcher_.jobs().end() && job->second.attempt == attempt;
    };
    const auto answer = [this, connection](auto work) {
        asio::post(parcel_thread_, [this, connection, work] {
            if (const std::optional<Message> reply = work(parcels_)) {
                asio::post(io_, [connection, reply] { connection->send(*reply); });
            }
        });
    };
    if (const auto* offer = std::get_if<ParcelOffer>(&message)) {
        if (workers_with_parcels_.insert(worker).second) {
            display_.note("worker " + worker + " does not see '" + state_folder(options_.database).string() +
                          "': its checkpoints and models come over its connection");
        }
        if (!is_current(offer->parcel.attempt)) {
            ParcelProgress refusal;
            refusal.parcel = offer->parcel;
            refusal.refused = "another attempt has taken over";
            connection->send(refusal);
            return true;
        }
        answer([offer = *offer](ParcelStore& parcels) -> std::optional<Message> {
            return parcels.offer(offer);
        });
        return true;
    }
    if (const auto* chunk = std::get_if<ParcelChunk>(&message)) {
        if (is_current(chunk->parcel.attempt)) {
            answer([chunk = *chunk](ParcelStore& parcels) -> std::optional<Message> {
                const auto progress = parcels.take(chunk);
                return progress ? std::optional<Message>(*progress) : std::nullopt;
            });
        }
        return true;
    }
    if (const auto* request = std::get_if<CheckpointRequest>(&message)) {
        if (is_current(request->attempt)) {
            answer([request = *request](ParcelStore& parcels) -> std::optional<Message> {
                return parcels.read(request);
            });
        }
        return true;
    }
    return false;
}

asio::awaitable<void> Coordinator::serve_pilot(std::shared_ptr<Connection> connection, Hello hello) {
    const std::string name = hello.name;
    log_->info("pilot {} on {} is there with {} slots", name, hello.host, hello.slots);
    note("pilot " + name + " is there with " + std::to_string(hello.slots) + " slots");
    auto owned = std::make_unique<PilotSite>(connection);
    PilotSite* site = owned.get();
    if (slurm_) {
        slurm_->pilot_connected(name);
    }
    Welcome welcome;
    welcome.program_version = options_.program_version;
    welcome.heartbeat_interval_milliseconds = options_.heartbeat_interval.count();
    connection->send(welcome);
    dispatcher_.add_site(name, std::move(owned), hello.slots);
    settle();
    try {
        while (true) {
            const Message message = co_await connection->read();
            if (const auto* exited = std::get_if<WorkerExited>(&message)) {
                site->on_exit(*exited);
            } else if (const auto* goodbye = std::get_if<Goodbye>(&message)) {
                log_->info("pilot {} leaves: {}", name, goodbye->reason);
                note("pilot " + name + " leaves: " + goodbye->reason);
                dispatcher_.site_leaves(name);
                settle();
            } else if (std::holds_alternative<Heartbeat>(message)) {
                connection->send(Heartbeat{});
            }
        }
    } catch (const std::exception& error) {
        log_->info("pilot {}: connection ended ({})", name, error.what());
    }
    if (const auto found = dispatcher_.sites().find(name);
        found != dispatcher_.sites().end() && found->second.get() == site) {
        if (slurm_) {
            slurm_->pilot_disconnected(name);
        }
        dispatcher_.remove_site(name);
    }
    settle();
}

asio::awaitable<void> Coordinator::serve_person(std::shared_ptr<Connection> connection) {
    Welcome welcome;
    welcome.program_version = options_.program_version;
    connection->send(welcome);
    ++persons_;
    try {
        while (true) {
            const Message request = co_await connection->read();
            if (const auto* unknown = std::get_if<UnknownMessage>(&request)) {
                connection->send(Refused{"this coordinator is orchestrate " + options_.program_version +
                                         " and does not know the request '" + unknown->type +
                                         "'; use the release that it runs, or start it anew with yours"});
            } else {
                connection->send(co_await answer(request));
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

asio::awaitable<Message> Coordinator::answer(const Message& request) {
    if (!dispatcher_.paused()) {
        commit_now();  // what is said here is on disk
    }
    if (const auto* wanted = std::get_if<StatusRequest>(&request)) {
        co_return status(wanted->events_after);
    }
    if (const auto* submission = std::get_if<SubmitStudy>(&request)) {
        co_return co_await submit(*submission);
    }
    if (const auto* wanted = std::get_if<TableRequest>(&request)) {
        co_return table(*wanted);
    }
    if (const auto* wanted = std::get_if<JobsRequest>(&request)) {
        co_return jobs(*wanted);
    }
    if (const auto* wanted = std::get_if<JobRequest>(&request)) {
        co_return job(*wanted);
    }
    if (const auto* wanted = std::get_if<LogRequest>(&request)) {
        co_return log(*wanted);
    }
    if (const auto* wanted = std::get_if<WhyRequest>(&request)) {
        co_return why_job(*wanted);
    }
    if (const auto* wanted = std::get_if<ControlRequest>(&request)) {
        co_return control(*wanted);
    }
    co_return Refused{"this is no request of a person's"};
}

}  // namespace orchestrate
