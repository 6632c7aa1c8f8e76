// Connections of the coordinator: workers, pilots and users.
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/base/visit.h"
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
    explicit ConnectedPeer(std::shared_ptr<Connection> connection)
        : connection_(connection), channel_(std::move(connection)) {}
    void answer(const HelloReply& reply) override { send_message(*connection_, reply); }
    void send(const CoordinatorToWorker& message) override { channel_.send(message); }
    void close() override { channel_.close(); }
    const ChannelToWorker& channel() const { return channel_; }

  private:
    std::shared_ptr<Connection> connection_;
    ChannelToWorker channel_;
};

// Nothing: a chunk of a transfer that was begun anew.
std::optional<TransferReply> answer_transfer(UploadStore& uploads, const TransferRequest& request) {
    using Answer = std::optional<TransferReply>;
    return match(
        request, [&](const UploadOffer& offer) -> Answer { return uploads.offer(offer); },
        [&](const UploadChunk& chunk) -> Answer {
            auto progress = uploads.take(chunk);
            return progress ? Answer(*std::move(progress)) : std::nullopt;
        },
        [&](const CheckpointRequest& wanted) -> Answer { return uploads.read(wanted); });
}

}  // namespace

asio::awaitable<void> Coordinator::serve(std::shared_ptr<Connection> connection, Hello hello) {
    switch (hello.role) {
        case Role::worker:
            return serve_worker(std::move(connection), std::move(hello));
        case Role::pilot:
            return serve_pilot(std::move(connection), std::move(hello));
        case Role::user:
            break;
    }
    return serve_user(std::move(connection));
}

asio::awaitable<void> Coordinator::serve_worker(std::shared_ptr<Connection> connection, Hello hello) {
    const std::string name = hello.name;
    connection->limit_queue(Connection::kMaximumQueuedForWorkers);
    const auto peer = std::make_shared<ConnectedPeer>(connection);
    const auto transfers = std::make_shared<int>(0);
    try {
        if (!dispatcher_.worker_connected(peer, hello)) {
            connection->finish();
            co_return;
        }
        after_events();
        bool is_ours = true;
        while (is_ours) {
            std::optional<WorkerToCoordinator> message;
            std::optional<InvalidMessage> invalid;
            try {
                message = co_await peer->channel().read();
            } catch (const InvalidMessage& error) {
                invalid = error;
            }
            if (invalid) {
                {
                    const auto hold = watch_.hold("a message of worker", name);
                    is_ours = dispatcher_.worker_sent_invalid(name, peer, *invalid);
                }
                after_events();
                continue;
            }
            match(
                split<WorkerReport, TransferRequest>(*std::move(message)),
                [&](const WorkerReport& report) {
                    {
                        const auto hold = watch_.hold("a message of worker", name);
                        is_ours = dispatcher_.worker_said(name, peer, report);
                    }
                    after_events();
                },
                [&](const TransferRequest& request) {
                    transfer(name, peer, peer->channel(), transfers, request);
                });
        }
        co_return;
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
    after_events();
}

void Coordinator::transfer(const std::string& worker, const std::shared_ptr<Peer>& peer,
                           const ChannelToWorker& channel, const Transfers& transfers,
                           const TransferRequest& request) {
    if (!dispatcher_.may_transfer(worker, peer, request)) {
        if (const auto* offer = std::get_if<UploadOffer>(&request)) {
            UploadProgress refusal;
            refusal.upload = offer->upload;
            refusal.refused = "another attempt has taken over";
            channel.send(refusal);
        }
        return;
    }
    if (*transfers >= kMaxTransfersInFlight) {
        throw ProtocolError("more than " + std::to_string(kMaxTransfersInFlight) +
                            " pieces of files wait for their answer");
    }
    ++*transfers;
    const bool is_offer = std::holds_alternative<UploadOffer>(request);
    if (is_offer && workers_with_uploads_.insert(worker).second) {
        display_.note("worker " + worker + " does not see '" + state_folder(options_.database).string() +
                      "': its checkpoints and models come over its connection");
    }
    asio::post(upload_thread_, [this, channel, transfers, request] {
        const auto reply = answer_transfer(uploads_, request);
        asio::post(io_, [channel, transfers, reply] {
            --*transfers;
            if (reply) {
                channel.send(widen<CoordinatorToWorker>(*reply));
            }
        });
    });
}

// Why a pilot is not taken; empty: it is.
std::string Coordinator::refusal_of_pilot(const Hello& hello) const {
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
        send_message<HelloReply>(*connection, Refused{refusal});
        connection->finish();
        co_return;
    }
    connection->limit_queue(Connection::kMaximumQueuedForWorkers);
    const std::string name = hello.name;
    log_->info("pilot {} on {} is there with {} slots", name, hello.host, hello.slots);
    note("pilot " + name + " is there with " + std::to_string(hello.slots) + " slots");
    const ChannelToPilot channel(connection);
    auto owned = std::make_unique<PilotSite>(channel, hello.host, hello.process_id);
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
    send_message<HelloReply>(*connection, welcome);
    if (const auto older = dispatcher_.sites().find(name); older != dispatcher_.sites().end()) {
        dynamic_cast<PilotSite&>(*older->second).close();
        dispatcher_.remove_site(name);
    }
    dispatcher_.add_site(name, std::move(owned), hello.slots);
    after_events();
    try {
        while (true) {
            const PilotToCoordinator message = co_await channel.read();
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
    after_events();
}

// Throws ProtocolError for what a pilot may not send.
void Coordinator::on_pilot_message(const std::string& name, PilotSite& site,
                                   const PilotToCoordinator& message) {
    match(
        message,
        [&](const WorkerExited& exited) {
            if (Dispatcher::site_of(exited.name) != name) {
                throw ProtocolError("it speaks of worker " + exited.name + ", which is not its own");
            }
            site.on_exit(exited);
        },
        [&](const Goodbye& goodbye) {
            if (site.leave()) {
                const std::string reason = cleaned(goodbye.reason, kMaxLineBytes, Lines::one);
                log_->info("pilot {} leaves: {}", name, reason);
                note("pilot " + name + " leaves: " + reason);
                dispatcher_.site_leaves(name, reason);
                after_events();
            }
        },
        [&](const Heartbeat&) { site.beat(); });
}

asio::awaitable<void> Coordinator::serve_user(std::shared_ptr<Connection> connection) {
    Welcome welcome;
    welcome.program_version = options_.program_version;
    welcome.database_id = claim_.identity.id;
    send_message<HelloReply>(*connection, welcome);
    const ChannelToClient channel(connection);
    ++users_;
    try {
        while (true) {
            std::optional<ClientRequest> request;
            std::string refusal;
            try {
                request = co_await channel.read();
            } catch (const UnexpectedMessage& error) {
                refusal = "this coordinator is orchestrate " + options_.program_version +
                          " and does not know the request '" + error.type() +
                          "'; use the release that it runs, or start it anew with yours";
            } catch (const InvalidMessage& error) {
                refusal = "the request '" + error.type() + "' is refused: " + error.refusal().text();
            }
            if (request) {
                ResultReader::Frame frame = co_await answer(*request);
                channel.send_frame(std::move(frame));
            } else {
                channel.send(Refused{refusal});
            }
        }
    } catch (const boost::system::system_error&) {
        // The user has left.
    } catch (const std::exception& error) {
        log_->warn("a user's connection is cut off: {}", error.what());
        connection->close();
    }
    --users_;
}

asio::awaitable<ResultReader::Frame> Coordinator::answer(const ClientRequest& request) {
    using Answer = asio::awaitable<ResultReader::Frame>;
    if (!dispatcher_.paused()) {
        commit_now();  // what is answered here is on disk
    }
    return match(
        request,
        [&](const StatusRequest& asked) -> Answer { return reader_.encode(status(asked.events_after)); },
        [&](const SubmitStudy& submission) -> Answer { return encode(submit(submission)); },
        [&](const ControlRequest& asked) -> Answer { return encode(control(asked)); },
        [&](const WhyRequest& asked) -> Answer { return why_job(asked.job); },
        [&](const TableRequest& asked) -> Answer {
            return read<TextReply>(
                [&asked](SQLite::Database& database) { return TextReply{table_text(database, asked)}; });
        },
        [&](const JobsRequest& asked) -> Answer {
            return read<JobsReply>(
                [&asked](SQLite::Database& database) { return list_jobs(database, asked); });
        },
        [&](const JobRequest& asked) -> Answer {
            return read<JobReply>(
                [&asked](SQLite::Database& database) { return JobReply{describe_job(database, asked.job)}; });
        },
        [&](const LogRequest& asked) -> Answer {
            return read<LogReply>([&asked](SQLite::Database& database) { return read_log(database, asked); });
        });
}

asio::awaitable<ResultReader::Frame> Coordinator::encode(asio::awaitable<ClientReply> pending) {
    ClientReply reply = co_await std::move(pending);
    co_return co_await reader_.encode(std::move(reply));
}

}  // namespace orchestrate
