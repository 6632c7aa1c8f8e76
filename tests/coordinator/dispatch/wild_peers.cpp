#include "tests/coordinator/dispatch/wild_peers.h"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "tests/coordinator/dispatch/peers_fixture.h"

namespace orchestrate::test {
namespace {

constexpr std::array kWildNames = {"local-1", "local-2", "odd-1", "odd-2", "odd-3", "local-77"};
constexpr const char* kHonest = "honest-1";
constexpr std::size_t kMaxMutations = 3;

// The bytes as choices; 0 when there are no more.
class Choices {
  public:
    explicit Choices(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
    bool done() const { return bytes_.empty(); }
    std::size_t below(std::size_t limit) {
        if (bytes_.empty()) {
            return 0;
        }
        const std::uint8_t byte = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return byte % limit;
    }

  private:
    std::span<const std::uint8_t> bytes_;
};

Json wild_value(Choices& choices) {
    const std::array<Json, 26> values = {
        std::numeric_limits<double>::quiet_NaN(),
        std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity(),
        -1.5,
        1e300,
        5e-324,
        0,
        1,
        -1,
        2,
        1000,
        std::numeric_limits<std::int64_t>::min(),
        std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int32_t>::max(),
        std::numeric_limits<std::uint64_t>::max(),
        "",
        "test",
        "cancelled",
        "a\xff\xfe",
        "../../x",
        "\x1b[2J\n",
        std::string(5000, 'x'),
        nullptr,
        true,
        Json::array(),
        Json::object(),
    };
    return values[choices.below(values.size())];
}

// All places within a value, itself first.
void collect(Json& value, std::vector<Json*>& places) {
    places.push_back(&value);
    if (value.is_structured()) {
        for (auto& inner : value) {
            collect(inner, places);
        }
    }
}

void mutate(Json& fields, Choices& choices) {
    for (std::size_t left = choices.below(kMaxMutations + 1); left > 0; --left) {
        std::vector<Json*> places;
        collect(fields, places);
        Json& place = *places[(choices.below(256) * 256 + choices.below(256)) % places.size()];
        if (place.is_array() && !place.empty() && choices.below(2) == 0) {
            place.push_back(Json(place.front()));  // once more
        } else {
            place = wild_value(choices);
        }
    }
}

class Life {
  public:
    explicit Life(std::span<const std::uint8_t> choices) : choices_(choices), world_(4) {
        wires_.resize(kWildNames.size());
        honest_ = world_.connect(kHonest);
        world_.schedule(0, world_.jobs().size());
        if (const auto* lease = honest_->last<Lease>()) {
            held_ = lease->attempt;
        }
    }

    std::string live() {
        for (int events = 0; !choices_.done() && wrong_.empty() && events < 400; ++events) {
            event();
            check();
        }
        finish();
        return wrong_;
    }

  private:
    void fail_unless(bool holds, const std::string& what) {
        if (!holds && wrong_.empty()) {
            wrong_ = what;
        }
    }

    void event() {
        const std::size_t who = choices_.below(kWildNames.size());
        switch (choices_.below(8)) {
            case 0:
                connect(who);
                break;
            case 1:
                if (wires_[who]) {
                    world_.dispatcher().worker_disconnected(kWildNames[who], wires_[who]);
                    wires_[who].reset();
                }
                break;
            case 2:
                pass_time();
                break;
            case 3:
                leave_on_disk();
                break;
            default:
                send(who);
        }
        fail_unless(world_.dispatcher().commit(), "nothing can be written any more");
    }

    void connect(std::size_t who) {
        Hello hello = PeersWorld::hello(kWildNames[who], static_cast<std::int64_t>(choices_.below(3)) + 1);
        hello.lease_capacity = 2;
        if (choices_.below(2) == 0) {
            hello.held = {attempt()};
        }
        const auto message = as_received<HelloMessage>(hello);
        if (!message) {
            return;
        }
        const Hello& received = std::get<Hello>(*message);
        auto wire = std::make_shared<Wire>();
        if (world_.dispatcher().worker_connected(wire, received) && received.name == kWildNames[who]) {
            wires_[who] = wire;
        } else if (wire->last<Refused>() == nullptr) {
            world_.dispatcher().worker_disconnected(received.name, wire);
        }
    }

    // Silence: an honest worker beats.
    void pass_time() {
        world_.clock += std::chrono::seconds(choices_.below(8));
        world_.dispatcher().worker_said(kHonest, honest_, Heartbeat{});
        world_.dispatcher().tick();
    }

    AttemptId attempt() {
        std::vector<AttemptId> known = {{JobId(1), 1}, {JobId(999'999), 1}, {JobId(-1), 0}, held_};
        for (const auto& [job, entry] : world_.dispatcher().assignments()) {
            known.push_back(entry.attempt);
        }
        for (const auto& wire : wires_) {
            if (wire && wire->last<Lease>() != nullptr) {
                known.push_back(wire->last<Lease>()->attempt);
            }
        }
        return known[choices_.below(known.size())];
    }

    AttemptEnded end_of(const AttemptId& attempt) {
        AttemptEnded ended = success_of(attempt);
        if (attempt.job > JobId(4)) {
            ended.result.emplace();
            ended.result->of_command = true;
            ended.result->metrics = {{MetricPart::test, "v", 1}};
        }
        if (choices_.below(3) == 0) {
            ended.epochs.resize(1);
            ended.epochs[0].epoch = 1;
            ended.epochs[0].of_command = attempt.job > JobId(4);
        }
        const auto causes = enum_names<Cause>();
        if (choices_.below(4) == 0) {
            ended.cause = *enum_from_name<Cause>(causes[choices_.below(causes.size())]);
        }
        return ended;
    }

    WorkerToCoordinator any_message() {
        const AttemptId about = attempt();
        EpochMetrics epoch;
        epoch.epoch = 1;
        if (about.job > JobId(4)) {
            epoch.of_command = true;
            epoch.metrics = {{MetricPart::test, "v", 1}};
        }
        switch (choices_.below(11)) {
            case 0:
                return Heartbeat{3, 4};
            case 1:
                return AttemptProgress{about, {1, 3, 5, 10, 0.5, 100, "training"}};
            case 2:
                return AttemptEpoch{about, epoch};
            case 3:
                return AttemptResumed{about, {1, 5, 10, 1, "step-5.safetensors", std::string(64, 'a'), 7}};
            case 4:
                return CheckpointWritten{about, {1, 5, "/c/step-5.safetensors", std::string(64, 'a'), 7}};
            case 5:
                return Goodbye{"left"};
            case 6:
                return WorkerNote{"a note"};
            case 7: {
                UploadChunk chunk;
                chunk.upload.attempt = about;
                return chunk;
            }
            case 8: {
                CheckpointRequest request;
                request.attempt = about;
                return request;
            }
            default:
                return end_of(about);
        }
    }

    // The body of its frame, with some of its fields spoiled.
    template <class Direction>
    std::vector<std::uint8_t> spoiled(const Direction& message) {
        Json frame = std::visit(
            [](const auto& content) {
                return Json::array({std::remove_cvref_t<decltype(content)>::kType, Json(content)});
            },
            message);
        mutate(frame[1], choices_);
        return Json::to_msgpack(frame);
    }

    // Nothing: it cannot be read, or is not valid.
    template <class Direction>
    std::optional<Direction> as_received(const Direction& message) {
        try {
            return decode_body<Direction>(spoiled(message));
        } catch (const ProtocolError&) {
            return std::nullopt;
        }
    }

    void send(std::size_t who) {
        if (!wires_[who]) {
            connect(who);
        }
        if (!wires_[who]) {
            return;
        }
        const char* const name = kWildNames[who];
        const auto& wire = wires_[who];
        Dispatcher& dispatcher = world_.dispatcher();
        try {
            match(
                split<WorkerReport, TransferRequest>(
                    decode_body<WorkerToCoordinator>(spoiled(any_message()))),
                [&](const WorkerReport& report) { dispatcher.worker_said(name, wire, report); },
                [&](const TransferRequest& request) { dispatcher.may_transfer(name, wire, request); });
        } catch (const InvalidMessage& error) {
            dispatcher.worker_sent_invalid(name, wire, error);
        } catch (const ProtocolError&) {
            dispatcher.worker_failed(name, wire, "protocol error");
        }
        if (wires_[who]->closed) {
            wires_[who].reset();
        }
    }

    void leave_on_disk() {
        AttemptEnded ended = end_of(attempt());
        const bool known =
            ended.attempt.job > JobId(0) && ended.attempt.job <= JobId(std::ssize(world_.jobs()));
        ended.job_identity = known ? world_.identity(ended.attempt.job) : "unknown";
        if (ended.attempt == held_) {
            ended.job_identity = std::string(64, '0');  // of another database
        }
        std::optional<AttemptEnded> received;
        try {
            received = std::get<AttemptEnded>(decode_body<SpooledMessage>(spoiled(SpooledMessage(ended))));
        } catch (const InvalidMessage& error) {
            received = end_by_refusal(error);
        } catch (const ProtocolError&) {
            return;
        }
        if (received->attempt != held_) {
            world_.dispatcher().accept_leftover(*received);
        }
    }

    void check() {
        fail_unless(!world_.said("left out"), "a change came to the tables that they refuse");
        fail_unless(world_.store().pending_changes() == 0, "changes wait though they were committed");
        fail_unless(world_.store().jobs().size() <= world_.jobs().size(), "an unknown job is remembered");
        fail_unless(world_.dispatcher().workers().size() <= kWildNames.size() + 4, "workers are remembered");
        if (held_.job != JobId()) {
            const auto job = world_.dispatcher().assignments().find(held_.job);
            fail_unless(job != world_.dispatcher().assignments().end() && job->second.attempt == held_ &&
                            world_.end_of(held_) == "open: ",
                        "the honest worker's attempt was touched: " + world_.end_of(held_));
        }
        const auto none = [&](const char* sql, const char* what) {
            fail_unless(world_.text(sql) == "0", what);
        };
        none(
            "SELECT count(*) FROM results WHERE NOT (total_seconds >= 0 AND total_seconds < 1e308 AND "
            "train_seconds >= 0 AND train_seconds < 1e308 AND ranks = 1 AND parameters >= 0)",
            "a result out of range was accepted");
        none(
            "SELECT count(*) FROM results r JOIN jobs j ON j.id = r.job_id WHERE "
            "(json_type(j.config, '$.command') = 'object') <> EXISTS (SELECT 1 FROM job_metrics m "
            "WHERE m.job_id = j.id AND m.name = 'v' AND m.part = 'test' AND abs(m.value) < 1e308)",
            "a result is of another kind than its job, or has not its metric");
        none("SELECT count(*) FROM epochs WHERE epoch < 1 OR (epoch > 3 AND job_id <= 4)",
             "an epoch out of range was accepted");
        none("SELECT count(*) FROM epoch_metrics WHERE epoch < 1 OR NOT abs(value) <= 1.7e308",
             "a metric of an epoch out of range was accepted");
        none(
            "SELECT count(*) FROM jobs j WHERE (state = 'succeeded') <> EXISTS (SELECT 1 FROM results r "
            "WHERE r.job_id = j.id)",
            "a job has succeeded without a result, or the reverse");
        none("SELECT count(*) FROM workers WHERE name LIKE 'local-%' AND ranks <> 1",
             "a worker has other ranks than it was started with");
    }

    // After all that the honest worker's result is taken.
    void finish() {
        if (!wrong_.empty() || held_.job == JobId()) {
            return;
        }
        AttemptEnded ended = success_of(held_);
        if (held_.job > JobId(4)) {
            ended.result.emplace();
            ended.result->of_command = true;
            ended.result->metrics = {{MetricPart::test, "v", 1}};
        }
        const AttemptId attempt = std::exchange(held_, AttemptId{});
        world_.say(kHonest, honest_, ended);
        fail_unless(world_.state(attempt.job) == "succeeded",
                    "the honest worker's result was not taken: " + world_.end_of(attempt));
        check();
    }

    Choices choices_;
    PeersWorld world_;
    std::vector<std::shared_ptr<Wire>> wires_;
    std::shared_ptr<Wire> honest_;
    AttemptId held_;
    std::string wrong_;
};

}  // namespace

std::string live_with_wild_peers(std::span<const std::uint8_t> choices) {
    try {
        return Life(choices).live();
    } catch (const std::exception& error) {
        return std::string("an exception escaped: ") + error.what();
    }
}

}  // namespace orchestrate::test
