#include "worker/agent/job_runner.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <span>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/machine_trouble.h"
#include "common/base/printable.h"
#include "common/protocol/message_codec.h"
#include "worker/agent/bounded_log.h"
#include "worker/agent/plugins.h"

namespace orchestrate {
namespace {

// For the other ranks, which wait, to take a job.
constexpr std::chrono::milliseconds kJobDeadline{60000};
constexpr std::int64_t kMaxLogBytes = 64 << 20;

// Epochs that the end of an attempt carries without waiting for them to be stored; how long one wait for the coordinator
// is, and how long all of them together.
constexpr std::int64_t kMaxEpochsInEnd = 256;
constexpr std::chrono::milliseconds kStoredPause{2000};
constexpr std::chrono::milliseconds kStoredLimit{60000};

AttemptRequest request_of(const Lease& lease, const JobRunnerOptions& options) {
    AttemptRequest request{lease.config,      lease.paths,         lease.resources,
                           lease.checkpoints, lease.models_folder, options.threads};
    if (!options.trace_folder.empty()) {
        request.trace_file = options.trace_folder / ("job-" + to_string(lease.attempt.job) + "-attempt-" +
                                                     std::to_string(lease.attempt.number) + "-trace.json");
    }
    return request;
}

std::vector<std::byte> pack(const AttemptRequest& request) {
    const std::vector<std::uint8_t> packed = Json::to_msgpack(Json(request));
    const auto bytes = std::as_bytes(std::span(packed));
    return {bytes.begin(), bytes.end()};
}

AttemptRequest unpack(const std::vector<std::byte>& bytes) {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
    return Json::from_msgpack(begin, begin + bytes.size()).get<AttemptRequest>();
}

// A command may report its progress as often as it likes; what is shown of it changes this often.
constexpr std::chrono::milliseconds kProgressInterval{100};

class ReportingObserver : public AttemptObserver {
  public:
    ReportingObserver(AttemptId attempt, const JobRunner::Report& report, BoundedLog& log,
                      std::atomic<std::int64_t>& step, std::atomic<std::int64_t>& advances)
        : attempt_(attempt), report_(report), log_(log), step_(step), advances_(advances) {}

    void on_advance() override { advances_.fetch_add(1, std::memory_order_relaxed); }
    void on_progress(const TrainingProgress& progress) override {
        step_ = progress.step;
        const auto now = std::chrono::steady_clock::now();
        if (!reported_at_ || now - *reported_at_ >= kProgressInterval) {
            reported_at_ = now;
            report_(AttemptProgress{attempt_, progress});
        }
    }
    void on_epoch(const EpochMetrics& metrics) override {
        if (metrics.of_command) {
            log_metrics(metrics);
        } else {
            const auto validation = [&](TrainingMetric metric) {
                return find_metric(metrics.metrics, key_of(MetricPart::validation, metric)).value_or(0);
            };
            log_.add(
                fmt::format("epoch {}: train loss {:.4f}, validation loss {:.4f}, accuracy {:.4f}, macro F1 "
                            "{:.4f}, {:.1f} s, {:.0f} tokens/s",
                            metrics.epoch, metrics.train_loss, validation(TrainingMetric::loss),
                            validation(TrainingMetric::accuracy), validation(TrainingMetric::macro_f1),
                            metrics.seconds, metrics.tokens_per_second));
        }
        report_epoch(metrics);
    }
    void on_log(const std::string& line) override { log_.add(line); }
    void on_checkpoint(const StoredCheckpoint& checkpoint) override {
        log_.add(fmt::format("checkpoint at step {}: {:.1f} MB", checkpoint.step,
                             static_cast<double>(checkpoint.bytes) / 1e6));
        report_(CheckpointWritten{attempt_, checkpoint});
    }
    void on_resume(const ResumePoint& point) override {
        log_.add(point.steps > 0 ? fmt::format("resumes from the checkpoint of attempt {} at step {} of {}",
                                               point.attempt, point.step, point.steps)
                                 : fmt::format("resumes from what attempt {} has left", point.attempt));
        report_(AttemptResumed{attempt_, point});
    }

    std::int64_t epochs_reported() const { return std::ssize(epochs_); }

    // Those after the first `stored`, and the last in any case.
    std::vector<EpochMetrics> epochs_after(std::int64_t stored) const {
        const auto left_out =
            std::clamp<std::int64_t>(stored, 0, std::max<std::int64_t>(0, epochs_reported() - 1));
        return {epochs_.begin() + left_out, epochs_.end()};
    }

  private:
    void report_epoch(const EpochMetrics& metrics) {
        epochs_.push_back(metrics);
        report_(AttemptEpoch{attempt_, metrics, epochs_reported()});
    }

    void log_metrics(const EpochMetrics& metrics) {
        std::string text;
        for (const auto& metric : metrics.metrics) {
            text += fmt::format("{} {} {} {}", text.empty() ? "" : ",", to_string(metric.part), metric.name,
                                metric.value);
        }
        log_.add(fmt::format("epoch {}:{}", metrics.epoch, text));
    }

    AttemptId attempt_;
    const JobRunner::Report& report_;
    BoundedLog& log_;
    std::atomic<std::int64_t>& step_;
    std::atomic<std::int64_t>& advances_;
    std::vector<EpochMetrics> epochs_;
    std::optional<std::chrono::steady_clock::time_point> reported_at_;
};

// A log that cannot be written for want of room or inodes is no fault of the job. The log library tells no reasons.
void check_log_can_be_written(const std::string& file) {
    std::error_code error;
    const auto folder = std::filesystem::path(file).parent_path();
    if (!folder.empty() && !std::filesystem::create_directories(folder, error) && error) {
        throw MachineTrouble(error.value(), "cannot make the directory '" + folder.string() + "'");
    }
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (descriptor < 0) {
        throw MachineTrouble(errno, "cannot write the log '" + file + "'");
    }
    ::close(descriptor);
}

class SilentObserver : public AttemptObserver {
  public:
    void on_progress(const TrainingProgress&) override {}
    void on_epoch(const EpochMetrics&) override {}
    void on_log(const std::string&) override {}
};

}  // namespace

JobRunner::JobRunner(JobRunnerOptions options, std::unique_ptr<Collective> collective, Report report)
    : options_(std::move(options)),
      collective_(std::move(collective)),
      commands_({options_.threads, options_.device, options_.command_grace}),
      report_(std::move(report)),
      thread_([this] { run(); }) {}

JobRunner::~JobRunner() {
    {
        const std::lock_guard lock(mutex_);
        ending_ = true;
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void JobRunner::start(const Lease& lease) {
    {
        const std::lock_guard lock(mutex_);
        lease_ = lease;
        attempt_ = lease.attempt;
        stored_epochs_ = 0;
        stop_ = ending_;
        stop_cause_ = Cause::preempted;
    }
    changed_.notify_all();
}

void JobRunner::epochs_stored(const AttemptId& attempt, std::int64_t number) {
    {
        const std::lock_guard lock(mutex_);
        if (attempt == attempt_) {
            stored_epochs_ = std::max(stored_epochs_, number);
        }
    }
    changed_.notify_all();
}

// Thousands of epochs that a command reports at once are better stored before its end than carried by its end: the
// coordinator reads and writes a message in one go.
std::int64_t JobRunner::wait_for_stored_epochs(std::int64_t reported) {
    std::unique_lock lock(mutex_);
    const auto begun_at = std::chrono::steady_clock::now();
    std::int64_t before = -1;
    while (reported - stored_epochs_ > kMaxEpochsInEnd && stored_epochs_ > before && !ending_ &&
           std::chrono::steady_clock::now() - begun_at < kStoredLimit) {
        before = stored_epochs_;
        changed_.wait_for(lock, kStoredPause,
                          [&] { return reported - stored_epochs_ <= kMaxEpochsInEnd || ending_; });
    }
    return stored_epochs_;
}

void JobRunner::stop(Cause cause) {
    stop_cause_ = cause;
    stop_ = true;
}

void JobRunner::run() {
    while (true) {
        Lease lease;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [&] { return lease_ || ending_; });
            if (!lease_) {
                break;
            }
            lease = *std::move(lease_);
            lease_.reset();
        }
        report_(run_attempt(lease));
        if (!usable_) {
            return;
        }
    }
    try {
        std::vector<std::byte> end;
        collective_->broadcast(end, kJobDeadline);
    } catch (const CollectiveError& error) {
        options_.log->warn("the other ranks cannot be told to end: {}", error.what());
        usable_ = false;
    }
}

AttemptOutcome JobRunner::train(const Lease& lease, AttemptObserver& observer) {
    if (!engine_) {
        engine_ = open_training_engine(options_.library_folder, options_.device);
    }
    const AttemptRequest request = request_of(lease, options_);
    std::vector<std::byte> packed = pack(request);
    collective_->broadcast(packed, kJobDeadline);
    return engine_->run(request, *collective_, observer, stop_);
}

namespace {

// The coordinator takes no larger message, whoever sends it how often.
void refuse_if_too_large(AttemptEnded& ended) {
    constexpr std::size_t kBytesPerRow = 16;  // of a prediction, in a message
    const std::size_t limit = max_body_bytes<WorkerToCoordinator>(AttemptEnded::kType);
    if (!ended.result || ended.result->test_predictions.row.size() * kBytesPerRow +
                                 ended.result->test_predictions.class_probabilities.data.values.size() <
                             limit / 4) {
        return;
    }
    if (const std::size_t size = encode_frame(WorkerToCoordinator(ended)).size(); size > limit) {
        ended.result.reset();
        ended.epochs.clear();
        ended.cause = Cause::user_error;
        ended.message = "the result has " + std::to_string(size) + " bytes, and at most " +
                        std::to_string(limit) + " can be sent: the test part has too many rows or classes";
    }
}

}  // namespace

AttemptEnded JobRunner::run_attempt(const Lease& lease) {
    AttemptEnded ended;
    ended.attempt = lease.attempt;
    ended.job_identity = job_identity(lease.config);
    const auto begun_at = std::chrono::steady_clock::now();
    try {
        check_log_can_be_written(lease.log_file);
        const Log log = open_log("attempt", lease.log_file);
        log->info("job {}, attempt {}: {} rank(s), {} thread(s) each", lease.attempt.job,
                  lease.attempt.number, collective_->size(), options_.threads);
        log->info("configuration: {}", canonical_json(lease.config));
        BoundedLog lines(log, kMaxLogBytes);
        ReportingObserver observer(lease.attempt, report_, lines, step_, advances_);
        AttemptOutcome outcome =
            lease.config.command ? commands_.run(lease, observer, stop_) : train(lease, observer);
        ended.cause = outcome.cause == Cause::preempted ? stop_cause_.load() : outcome.cause;
        ended.message = outcome.message;
        ended.asks_again = outcome.asks_again && ended.cause == Cause::preempted;
        if (outcome.cause == Cause::succeeded) {
            ended.result = std::move(outcome.result);
        }
        if (outcome.cause == Cause::succeeded || outcome.cause == Cause::paused) {
            ended.epochs = observer.epochs_after(wait_for_stored_epochs(observer.epochs_reported()));
        }
        lines.finish();
        log->info("ended: {}{}{}", to_string(ended.cause), ended.message.empty() ? "" : ": ", ended.message);
    } catch (const PeerLost& error) {
        usable_ = false;
        ended.cause = Cause::node_lost;
        ended.message = error.what();
    } catch (const CollectiveError& error) {
        usable_ = false;
        ended.cause = Cause::worker_crashed;
        ended.message = std::string("the ranks of this worker are out of step: ") + error.what();
    } catch (const UserError& error) {
        ended.cause = Cause::user_error;
        ended.message = error.what();
    } catch (const std::exception& error) {
        usable_ = collective_->size() == 1;  // the other ranks may wait for what will not come
        const auto* of_system = dynamic_cast<const std::system_error*>(&error);
        const bool is_of_machine = dynamic_cast<const MachineTrouble*>(&error) != nullptr ||
                                   (of_system != nullptr && is_machine_trouble(of_system->code()));
        ended.cause = is_of_machine ? Cause::node_lost : Cause::worker_crashed;
        ended.message =
            is_of_machine ? fmt::format("this host cannot run it: {}", error.what()) : error.what();
    }
    ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_at).count();
    refuse_if_too_large(ended);
    ended.message = printable_lines(ended.message);
    options_.log->info("job {}, attempt {} ended: {} {}", lease.attempt.job, lease.attempt.number,
                       to_string(ended.cause), ended.message);
    return ended;
}

void follow_rank_0(const JobRunnerOptions& options, Collective& collective) {
    std::unique_ptr<TrainingEngine> engine;
    SilentObserver observer;
    const std::atomic<bool> never_stop = false;
    while (true) {
        std::vector<std::byte> bytes;
        collective.broadcast(bytes, std::nullopt);  // the next job may be days away
        if (bytes.empty()) {
            return;
        }
        if (!engine) {
            engine = open_training_engine(options.library_folder, options.device);
        }
        const AttemptOutcome outcome = engine->run(unpack(bytes), collective, observer, never_stop);
        options.log->info("attempt ended: {} {}", to_string(outcome.cause), outcome.message);
    }
}

}  // namespace orchestrate
