#include "common/protocol/message_checks.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/describe.hpp>
#include <boost/mp11.hpp>
#include <fmt/format.h>

#include "common/base/unicode.h"

namespace orchestrate {
namespace {

constexpr std::int64_t kMaxIntervalMilliseconds = std::int64_t{7} * 24 * 3'600'000;
constexpr double kRatioTolerance = 1e-9;              // of sums in floating point
constexpr std::int64_t kMaxInflatedValues = 1 << 22;  // checked at once; beyond, when an ensemble reads them
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kCut = "...";

// Remembers the first field that is refused.
class Checks {
  public:
    std::optional<Refusal> first() const { return first_; }
    bool failed() const { return first_.has_value(); }

    void refuse(std::string what, std::string why) {
        if (!first_) {
            first_ = Refusal{std::move(what), std::move(why)};
        }
    }
    void count(std::string_view what, std::int64_t value, std::int64_t min = 0,
               std::int64_t max = kMaxCount) {
        if (!first_ && (value < min || value > max)) {
            refuse(std::string(what), fmt::format("is {}, expected {} to {}", value, min, max));
        }
    }
    // Finite, and not below 0.
    void amount(std::string_view what, double value) {
        if (!first_ && !(std::isfinite(value) && value >= 0)) {
            refuse(std::string(what), fmt::format("is {}, expected a finite number from 0", value));
        }
    }
    void finite(std::string_view what, double value) {
        if (!first_ && !std::isfinite(value)) {
            refuse(std::string(what), fmt::format("is {}, expected a finite number", value));
        }
    }
    void ratio(std::string_view what, double value) {
        if (!first_ && !(value >= -kRatioTolerance && value <= 1 + kRatioTolerance)) {
            refuse(std::string(what), fmt::format("is {}, expected 0 to 1", value));
        }
    }
    void utf8(std::string_view what, std::string_view text, std::size_t max_bytes,
              std::size_t min_bytes = 0) {
        if (first_) {
            return;
        }
        if (text.size() < min_bytes || text.size() > max_bytes) {
            refuse(std::string(what),
                   fmt::format("has {} bytes, expected {} to {}", text.size(), min_bytes, max_bytes));
        } else if (!is_valid_utf8(text)) {
            refuse(std::string(what), fmt::format("'{}' is not UTF-8", cleaned(text, 64, Lines::one)));
        }
    }
    // One line without control characters.
    void line(std::string_view what, std::string_view text, std::size_t max_bytes,
              std::size_t min_bytes = 0) {
        utf8(what, text, max_bytes, min_bytes);
        if (!first_ && cleaned(text, text.size(), Lines::one) != text) {
            refuse(std::string(what),
                   fmt::format("'{}' has control characters", cleaned(text, 64, Lines::one)));
        }
    }
    void name(std::string_view what, std::string_view text) {
        if (!first_ && !is_valid_name(text)) {
            refuse(
                std::string(what),
                fmt::format("'{}' is not a name: expected 1 to {} bytes of UTF-8 without '/', '\\', control "
                            "characters, or a leading '.'",
                            cleaned(text, 64, Lines::one), kMaxNameBytes));
        }
    }
    void sha256(std::string_view what, std::string_view text, bool may_be_empty) {
        if (!first_ && !(may_be_empty && text.empty()) && !is_sha256(text)) {
            refuse(std::string(what), fmt::format("is '{}', expected 64 lower-case hexadecimal digits",
                                                  cleaned(text, 80, Lines::one)));
        }
    }
    void path(std::string_view what, std::string_view text) {
        if (!first_ && (text.size() > kMaxPathBytes || text.find('\0') != std::string_view::npos)) {
            refuse(std::string(what), fmt::format("is not a path of at most {} bytes", kMaxPathBytes));
        }
    }
    void job(std::string_view what, JobId job) { count(what, job.value(), 1); }
    void attempt(const AttemptId& attempt) {
        job("attempt.job", attempt.job);
        count("attempt.number", attempt.number, 1);
    }

  private:
    std::optional<Refusal> first_;
};

void check_metric(Checks& checks, const MetricValue& metric, bool of_command) {
    checks.utf8("metrics.name", metric.name, kMaxMetricNameBytes, 1);
    if (checks.failed()) {
        return;
    }
    const std::string what = "the metric '" + metric.name + "'";
    const auto* const declaration = of_command ? nullptr : find_declaration(training_metrics(), metric.name);
    if (!of_command && declaration == nullptr) {
        checks.refuse(what, "is none of a training");
    } else if (declaration != nullptr && declaration->unit == MetricUnit::fraction) {
        checks.ratio(what, metric.value);
    } else {
        checks.finite(what, metric.value);
    }
}

void check_metrics(Checks& checks, const std::vector<MetricValue>& metrics, bool of_command) {
    if (metrics.size() > kMaxMetrics) {
        checks.refuse("metrics",
                      fmt::format("has {} metrics, expected at most {}", metrics.size(), kMaxMetrics));
    }
    std::vector<std::pair<MetricPart, std::string_view>> keys;
    for (const auto& metric : metrics) {
        check_metric(checks, metric, of_command);
        if (checks.failed()) {
            return;
        }
        keys.emplace_back(metric.part, metric.name);
    }
    std::sort(keys.begin(), keys.end());
    if (const auto twice = std::adjacent_find(keys.begin(), keys.end()); twice != keys.end()) {
        checks.refuse("the metric '" + std::string(twice->second) + "'", "is there twice");
    }
}

void check_epoch(Checks& checks, const EpochMetrics& metrics) {
    checks.count("epoch", metrics.epoch, 1);
    // The losses of a training that diverges may be anything.
    checks.amount("learning_rate", metrics.learning_rate);
    checks.amount("seconds", metrics.seconds);
    checks.amount("tokens_per_second", metrics.tokens_per_second);
    check_metrics(checks, metrics.metrics, metrics.of_command);
}

void check_classes(Checks& checks, const AttemptResult& result) {
    const auto classes = std::ssize(result.classes);
    for (const auto& name : result.classes) {
        checks.utf8("classes", name, kMaxMessageBytes);
    }
    if (std::ssize(result.test_classes) > classes) {
        checks.refuse("test_classes",
                      fmt::format("has {} classes, the job has {}", result.test_classes.size(), classes));
    }
    for (const auto& metrics : result.test_classes) {
        checks.utf8("test_classes.name", metrics.name, kMaxMessageBytes);
        checks.ratio("test_classes.precision", metrics.precision);
        checks.ratio("test_classes.recall", metrics.recall);
        checks.ratio("test_classes.f1", metrics.f1);
        checks.count("test_classes.support", metrics.support);
    }
    std::vector<std::pair<std::int64_t, std::int64_t>> cells;
    for (const auto& cell : result.test_confusion) {
        checks.count("test_confusion.true_class", cell.true_class, 0, classes - 1);
        checks.count("test_confusion.predicted_class", cell.predicted_class, 0, classes - 1);
        checks.count("test_confusion.count", cell.count);
        cells.emplace_back(cell.true_class, cell.predicted_class);
    }
    std::sort(cells.begin(), cells.end());
    if (std::adjacent_find(cells.begin(), cells.end()) != cells.end()) {
        checks.refuse("test_confusion", "has a cell twice");
    }
}

void check_probabilities(Checks& checks, const AttemptResult& result) {
    const auto& predictions = result.test_predictions;
    const auto& packed = predictions.class_probabilities;
    if (packed.rows == 0 && packed.classes == 0 && packed.data.values.empty()) {
        return;
    }
    if (packed.rows != std::ssize(predictions.row) || packed.classes != std::ssize(result.classes)) {
        checks.refuse(
            "class_probabilities",
            fmt::format("are of {} rows and {} classes, the predictions of {} rows and {} classes",
                        packed.rows, packed.classes, predictions.row.size(), result.classes.size()));
        return;
    }
    if (!std::is_sorted(predictions.row.begin(), predictions.row.end())) {
        checks.refuse("class_probabilities", "are not in the order of the lines");
    }
    if (packed.rows == 0 || packed.rows > kMaxInflatedValues / std::max<std::int64_t>(1, packed.classes)) {
        return;
    }
    try {
        unpack_probabilities(packed);
    } catch (const std::exception& error) {
        checks.refuse("class_probabilities", std::string("cannot be read: ") + error.what());
    }
}

void check_predictions(Checks& checks, const AttemptResult& result) {
    const auto classes = std::ssize(result.classes);
    const auto& predictions = result.test_predictions;
    const std::size_t rows = predictions.row.size();
    if (predictions.true_class.size() != rows || predictions.predicted_class.size() != rows ||
        predictions.probability.size() != rows) {
        checks.refuse("test_predictions", "has columns of different lengths");
        return;
    }
    for (std::size_t i = 0; i < rows && !checks.failed(); ++i) {
        checks.count("test_predictions.row", predictions.row[i], 1);
        checks.count("test_predictions.true_class", predictions.true_class[i], 0, classes - 1);
        checks.count("test_predictions.predicted_class", predictions.predicted_class[i], 0, classes - 1);
        // Single precision: a softmax may be above 1 by a rounding.
        if (!(predictions.probability[i] >= 0 && predictions.probability[i] <= 1.0001F)) {
            checks.refuse("test_predictions.probability",
                          fmt::format("is {}, expected 0 to 1", predictions.probability[i]));
        }
    }
    std::vector<std::int64_t> lines = predictions.row;
    std::sort(lines.begin(), lines.end());
    if (std::adjacent_find(lines.begin(), lines.end()) != lines.end()) {
        checks.refuse("test_predictions.row", "has a line of the data twice");
    }
    check_probabilities(checks, result);
}

void check_data_report(Checks& checks, const DataReport& data) {
    checks.utf8("data.data_sha256", data.data_sha256, kMaxNameBytes);
    checks.count("data.train_rows", data.train_rows);
    checks.count("data.validation_rows", data.validation_rows);
    checks.count("data.test_rows", data.test_rows);
    checks.count("data.vocabulary_size", data.vocabulary_size);
    checks.amount("data.mean_tokens", data.mean_tokens);
    checks.count("data.longest_text_tokens", data.longest_text_tokens);
    checks.count("data.truncated_texts", data.truncated_texts);
    for (const auto& leak : data.leaks) {
        if (leak.part != "validation" && leak.part != "test") {
            checks.refuse("data.leaks.part", fmt::format("is '{}', expected 'validation' or 'test'",
                                                         cleaned(leak.part, 64, Lines::one)));
        }
        checks.line("data.leaks.kind", leak.kind, kMaxNameBytes, 1);
        checks.count("data.leaks.rows", leak.rows);
        checks.ratio("data.leaks.share", leak.share);
    }
    for (const auto& absent : data.absent_classes) {
        checks.line("data.absent_classes.part", absent.part, kMaxNameBytes, 1);
        for (const auto& name : absent.classes) {
            checks.utf8("data.absent_classes.classes", name, kMaxMessageBytes);
        }
    }
}

void check_model(Checks& checks, const SavedModel& model) {
    checks.path("model.folder", model.folder);
    checks.sha256("model.sha256", model.sha256, false);
    checks.count("model.bytes", model.bytes);
}

void check_result(Checks& checks, const AttemptResult& result) {
    checks.count("selected_epoch", result.selected_epoch);
    checks.count("parameters", result.parameters);
    checks.amount("train_seconds", result.train_seconds);
    checks.amount("total_seconds", result.total_seconds);
    checks.count("peak_memory_bytes", result.peak_memory_bytes);
    checks.line("device_class", result.device_class, kMaxNameBytes);
    checks.count("ranks", result.ranks, 1, kMaxRanks);
    check_classes(checks, result);
    check_predictions(checks, result);
    check_data_report(checks, result.data);
    if (result.model) {
        check_model(checks, *result.model);
    }
    check_metrics(checks, result.metrics, result.of_command);
}

void check_checkpoint(Checks& checks, const StoredCheckpoint& checkpoint) {
    checks.count("checkpoint.attempt", checkpoint.attempt);
    checks.count("checkpoint.step", checkpoint.step);
    checks.path("checkpoint.file", checkpoint.file);
    checks.sha256("checkpoint.sha256", checkpoint.sha256, true);
    checks.count("checkpoint.bytes", checkpoint.bytes);
}

void check_upload(Checks& checks, const Upload& upload) {
    checks.attempt(upload.attempt);
    checks.line("upload.name", upload.name, kMaxLineBytes);
}

void check_attempts(Checks& checks, const std::vector<AttemptId>& attempts) {
    for (const auto& attempt : attempts) {
        checks.attempt(attempt);
    }
}

void check_progress(Checks& checks, const TrainingProgress& progress) {
    checks.count("progress.epoch", progress.epoch);
    checks.count("progress.epochs", progress.epochs);
    checks.count("progress.step", progress.step);
    checks.count("progress.steps", progress.steps);
    checks.amount("progress.tokens_per_second", progress.tokens_per_second);
}

// Every floating-point number in a described struct.
template <DescribedStruct T>
void check_finite_fields(Checks& checks, const std::string& what, const T& value) {
    using Members = boost::describe::describe_members<T, boost::describe::mod_public>;
    boost::mp11::mp_for_each<Members>([&](auto member) {
        const auto& field = value.*member.pointer;
        using Field = std::remove_cvref_t<decltype(field)>;
        if constexpr (std::is_floating_point_v<Field>) {
            checks.finite(what + "." + member.name, field);
        } else if constexpr (DescribedStruct<Field>) {
            check_finite_fields(checks, what + "." + member.name, field);
        }
    });
}

void check_job_row(Checks& checks, const JobRow& row) {
    checks.job("job", row.job);
    checks.count("attempts", row.attempts);
    checks.finite("seconds", row.seconds.value_or(0));
    checks.finite("accuracy", row.accuracy.value_or(0));
    checks.finite("macro_f1", row.macro_f1.value_or(0));
    checks.finite("value", row.value.value_or(0));
}

void check_age(Checks& checks, const std::optional<double>& seconds) {
    checks.amount("age_seconds", seconds.value_or(0));
}

}  // namespace

// Handshake.

std::optional<Refusal> validate(const Hello& hello) {
    Checks checks;
    if (hello.protocol_version != kProtocolVersion) {
        return std::nullopt;  // nothing else of it is used
    }
    checks.line("host", hello.host, 255);
    checks.line("program_version", hello.program_version, kMaxNameBytes);
    checks.line("database_id", hello.database_id, kMaxNameBytes);
    checks.count("process_id", hello.process_id, 0, std::numeric_limits<std::int32_t>::max());
    if (hello.role == Role::user) {
        checks.line("name", hello.name, kMaxNameBytes);
        return checks.first();
    }
    checks.name("name", hello.name);
    checks.line("device", hello.device, kMaxNameBytes);
    checks.path("log_folder", hello.log_folder);
    if (hello.role == Role::pilot) {
        checks.count("slots", hello.slots, 1, kMaxRanks);
        return checks.first();
    }
    checks.count("ranks", hello.ranks, 1, kMaxRanks);
    checks.count("lease_capacity", hello.lease_capacity, 1, kMaxLeaseCapacity);
    check_attempts(checks, hello.held);
    return checks.first();
}

std::optional<Refusal> validate(const Welcome& welcome) {
    Checks checks;
    checks.line("program_version", welcome.program_version, kMaxNameBytes);
    checks.count("heartbeat_interval_milliseconds", welcome.heartbeat_interval_milliseconds, 1,
                 kMaxIntervalMilliseconds);
    check_attempts(checks, welcome.current);
    checks.line("database_id", welcome.database_id, kMaxNameBytes);
    return checks.first();
}

// Its reason is for users and may be anything: it may quote the names of files.
std::optional<Refusal> validate(const Refused& /*refused*/) {
    return std::nullopt;
}

// Worker to coordinator.

std::optional<Refusal> validate(const Heartbeat& heartbeat) {
    Checks checks;
    checks.count("step", heartbeat.step);
    checks.count("advances", heartbeat.advances);
    return checks.first();
}

std::optional<Refusal> validate(const AttemptProgress& message) {
    Checks checks;
    checks.attempt(message.attempt);
    check_progress(checks, message.progress);
    return checks.first();
}

std::optional<Refusal> validate(const AttemptEpoch& message) {
    Checks checks;
    checks.attempt(message.attempt);
    check_epoch(checks, message.metrics);
    checks.count("number", message.number);
    return checks.first();
}

std::optional<Refusal> validate(const AttemptResumed& message) {
    Checks checks;
    checks.attempt(message.attempt);
    const auto& point = message.point;
    checks.count("point.attempt", point.attempt, 0, message.attempt.number);
    checks.count("point.step", point.step);
    checks.count("point.steps", point.steps);
    if (point.steps > 0) {
        checks.count("point.step", point.step, 0, point.steps);
    }
    checks.count("point.epochs", point.epochs);
    checks.path("point.file", point.file);
    checks.sha256("point.sha256", point.sha256, true);
    checks.count("point.bytes", point.bytes);
    return checks.first();
}

std::optional<Refusal> validate(const CheckpointWritten& message) {
    Checks checks;
    checks.attempt(message.attempt);
    check_checkpoint(checks, message.checkpoint);
    return checks.first();
}

// `message` is words of the worker's, which the coordinator cuts and cleans before it stores them.
std::optional<Refusal> validate(const AttemptEnded& message) {
    Checks checks;
    checks.attempt(message.attempt);
    checks.line("job_identity", message.job_identity, kMaxNameBytes);
    checks.amount("seconds", message.seconds.value_or(0));
    std::int64_t last = 0;
    for (const auto& metrics : message.epochs) {
        check_epoch(checks, metrics);
        if (!metrics.of_command && metrics.epoch <= last) {  // a command reports an epoch in any order
            checks.refuse("epochs", fmt::format("has epoch {} after epoch {}", metrics.epoch, last));
        }
        last = metrics.epoch;
    }
    if (message.cause == Cause::succeeded && !message.result) {
        checks.refuse("result", "is missing, though the cause is 'succeeded'");
    } else if (message.cause == Cause::succeeded) {
        check_result(checks, *message.result);
    }
    return checks.first();
}

// Words, cut and cleaned as those of AttemptEnded.
std::optional<Refusal> validate(const Goodbye& /*goodbye*/) {
    return std::nullopt;
}

// The same.
std::optional<Refusal> validate(const WorkerNote& /*note*/) {
    return std::nullopt;
}

std::optional<Refusal> validate(const UploadOffer& message) {
    Checks checks;
    check_upload(checks, message.upload);
    for (const auto& file : message.files) {
        checks.line("files.name", file.name, kMaxLineBytes);
        checks.count("files.bytes", file.bytes);
    }
    return checks.first();
}

std::optional<Refusal> validate(const UploadChunk& message) {
    Checks checks;
    check_upload(checks, message.upload);
    checks.count("file", message.file);
    checks.count("offset", message.offset);
    checks.sha256("sha256", message.sha256, true);
    return checks.first();
}

std::optional<Refusal> validate(const CheckpointRequest& message) {
    Checks checks;
    checks.attempt(message.attempt);
    check_checkpoint(checks, message.checkpoint);
    checks.count("offset", message.offset);
    return checks.first();
}

// Coordinator to worker.

std::optional<Refusal> validate(const Lease& lease) {
    Checks checks;
    checks.attempt(lease.attempt);
    check_finite_fields(checks, "config", lease.config);
    checks.path("paths.data", lease.paths.data);
    checks.path("paths.vocabulary", lease.paths.vocabulary);
    checks.path("paths.pretrained", lease.paths.pretrained);
    checks.path("paths.command_folder", lease.paths.command_folder);
    checks.count("resources.ranks", lease.resources.ranks, 1, kMaxRanks);
    checks.count("resources.micro_batch_size", lease.resources.micro_batch_size);
    checks.count("resources.pause_after_epoch", lease.resources.pause_after_epoch);
    checks.path("log_file", lease.log_file);
    checks.count("checkpoints.attempt", lease.checkpoints.attempt);
    checks.path("checkpoints.folder", lease.checkpoints.folder);
    checks.amount("checkpoints.interval_seconds", lease.checkpoints.interval_seconds);
    checks.path("checkpoints.mark.file", lease.checkpoints.mark.file);
    for (const auto& checkpoint : lease.checkpoints.resume_from) {
        check_checkpoint(checks, checkpoint);
    }
    checks.path("models_folder", lease.models_folder);
    return checks.first();
}

std::optional<Refusal> validate(const EpochsStored& message) {
    Checks checks;
    checks.attempt(message.attempt);
    checks.count("number", message.number);
    return checks.first();
}

std::optional<Refusal> validate(const Acknowledged& message) {
    Checks checks;
    checks.attempt(message.attempt);
    return checks.first();
}

std::optional<Refusal> validate(const StopAttempt& message) {
    Checks checks;
    checks.attempt(message.attempt);
    return checks.first();
}

std::optional<Refusal> validate(const RetractLeases& message) {
    Checks checks;
    check_attempts(checks, message.attempts);
    return checks.first();
}

std::optional<Refusal> validate(const Retire& /*retire*/) {
    return std::nullopt;
}

std::optional<Refusal> validate(const UploadProgress& message) {
    Checks checks;
    check_upload(checks, message.upload);
    checks.count("file", message.file);
    checks.count("offset", message.offset);
    checks.path("folder", message.folder);
    return checks.first();
}

std::optional<Refusal> validate(const CheckpointChunk& message) {
    Checks checks;
    checks.attempt(message.attempt);
    checks.path("file", message.file);
    checks.count("offset", message.offset);
    checks.count("total_bytes", message.total_bytes);
    return checks.first();
}

// Pilots.

std::optional<Refusal> validate(const WorkerExited& message) {
    Checks checks;
    checks.name("name", message.name);
    checks.count("exit_code", message.exit_code, 0, 255);
    checks.count("signal", message.signal, 0, 64);
    checks.line("step_state", message.step_state, kMaxNameBytes);
    return checks.first();
}

std::optional<Refusal> validate(const StartWorker& message) {
    Checks checks;
    checks.name("name", message.name);
    checks.count("ranks", message.ranks, 1, kMaxRanks);
    return checks.first();
}

std::optional<Refusal> validate(const StopWorker& message) {
    Checks checks;
    checks.name("name", message.name);
    checks.count("grace_milliseconds", message.grace_milliseconds, 0, kMaxIntervalMilliseconds);
    return checks.first();
}

// Requests of users.

std::optional<Refusal> validate(const SubmitStudy& message) {
    Checks checks;
    checks.path("file", message.file);
    if (!message.file.starts_with('/')) {
        checks.refuse("file", "is not an absolute path");
    }
    checks.utf8("toml", message.toml, max_body_bytes<ClientRequest>(SubmitStudy::kType));
    return checks.first();
}

std::optional<Refusal> validate(const StatusRequest& message) {
    Checks checks;
    checks.count("events_after", message.events_after, -1);
    return checks.first();
}

std::optional<Refusal> validate(const ControlRequest& message) {
    Checks checks;
    checks.line("target", message.target, kMaxLineBytes);
    return checks.first();
}

std::optional<Refusal> validate(const JobsRequest& message) {
    Checks checks;
    checks.line("study", message.study, kMaxLineBytes);
    for (const auto& state : message.states) {
        checks.line("states", state, kMaxNameBytes);
    }
    checks.count("limit", message.limit);
    return checks.first();
}

std::optional<Refusal> validate(const JobRequest& message) {
    Checks checks;
    checks.line("job", message.job, kMaxNameBytes, 1);
    return checks.first();
}

std::optional<Refusal> validate(const WhyRequest& message) {
    Checks checks;
    checks.line("job", message.job, kMaxNameBytes, 1);
    return checks.first();
}

std::optional<Refusal> validate(const TableRequest& message) {
    Checks checks;
    checks.line("study", message.study, kMaxLineBytes);
    checks.line("stage", message.stage, kMaxLineBytes);
    checks.count("width", message.width, 0, 1'000'000);
    checks.line("format", message.format, kMaxNameBytes);
    for (const auto& metric : message.metrics) {
        checks.line("metrics", metric, kMaxMetricNameBytes, 1);
    }
    return checks.first();
}

std::optional<Refusal> validate(const LogRequest& message) {
    Checks checks;
    checks.line("job", message.job, kMaxNameBytes, 1);
    checks.count("attempt", message.attempt);
    checks.count("offset", message.offset);
    return checks.first();
}

// Answers to users. Their words are for users and may quote anything; what prints them to a terminal cleans them.

std::optional<Refusal> validate(const StudyAccepted& /*message*/) {
    return std::nullopt;
}

std::optional<Refusal> validate(const StatusReply& message) {
    Checks checks;
    checks.count("process_id", message.process_id, 0, std::numeric_limits<std::int32_t>::max());
    checks.count("waiting", message.waiting);
    for (const auto& study : message.studies) {
        checks.count("studies.jobs", study.jobs);
        checks.count("studies.succeeded", study.succeeded);
        checks.count("studies.failed", study.failed);
        checks.count("studies.cancelled", study.cancelled);
        checks.count("studies.running", study.running);
        checks.finite("studies.elapsed_seconds", study.elapsed_seconds);
        checks.finite("studies.remaining_seconds", study.remaining_seconds.value_or(0));
    }
    for (const auto& worker : message.workers) {
        checks.count("workers.ranks", worker.ranks, 1, kMaxRanks);
        check_progress(checks, worker.progress);
    }
    for (const auto& event : message.events) {
        checks.count("events.number", event.number);
    }
    return checks.first();
}

std::optional<Refusal> validate(const JobsReply& message) {
    Checks checks;
    for (const auto& row : message.jobs) {
        check_job_row(checks, row);
    }
    checks.count("left_out", message.left_out);
    check_age(checks, message.age_seconds);
    return checks.first();
}

std::optional<Refusal> validate(const JobReply& message) {
    Checks checks;
    check_job_row(checks, message.job.row);
    for (const auto& attempt : message.job.attempts) {
        checks.count("attempts.number", attempt.number, 1);
        checks.finite("attempts.seconds", attempt.seconds.value_or(0));
    }
    checks.count("failures", message.job.failures);
    check_age(checks, message.age_seconds);
    return checks.first();
}

std::optional<Refusal> validate(const LogReply& message) {
    Checks checks;
    checks.count("attempt", message.attempt);
    check_age(checks, message.age_seconds);
    return checks.first();
}

std::optional<Refusal> validate(const TextReply& message) {
    Checks checks;
    check_age(checks, message.age_seconds);
    return checks.first();
}

// Parts of messages.

std::optional<Refusal> validate(const EpochMetrics& metrics) {
    Checks checks;
    check_epoch(checks, metrics);
    return checks.first();
}

std::optional<Refusal> validate(const AttemptResult& result) {
    Checks checks;
    check_result(checks, result);
    return checks.first();
}

AttemptEnded end_by_refusal(const InvalidMessage& result) {
    AttemptEnded ended;
    ended.attempt = result.attempt().value_or(AttemptId{});
    ended.cause = Cause::worker_crashed;
    ended.message = "the result that a worker left on disk was refused: " + result.refusal().text();
    if (is_sha256(result.job_identity())) {
        ended.job_identity = result.job_identity();
    }
    return ended;
}

bool is_valid_name(std::string_view name) {
    return !name.empty() && name.size() <= kMaxNameBytes && name.front() != '.' &&
           name.find_first_of("/\\") == std::string_view::npos && is_valid_utf8(name) &&
           cleaned(name, name.size(), Lines::one) == name;
}

bool is_sha256(std::string_view text) {
    return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char digit) {
               return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f');
           });
}

std::string cleaned(std::string_view text, std::size_t max_bytes, Lines lines) {
    std::string result;
    std::size_t room_for_cut = 0;  // the longest beginning that leaves room to say that the rest was cut off
    while (!text.empty()) {
        const auto [code, bytes] = first_character(text);
        std::string_view character = text.substr(0, bytes);
        const bool kept = lines == Lines::several && (code == '\n' || code == '\t');
        if (bytes == 0) {
            character = kReplacement;
        } else if (!kept && is_control(code)) {
            character = " ";
        }
        if (result.size() + character.size() > max_bytes) {
            result.resize(room_for_cut);
            return result.append(kCut);
        }
        result += character;
        if (result.size() + kCut.size() <= max_bytes) {
            room_for_cut = result.size();
        }
        text.remove_prefix(std::max<std::size_t>(1, bytes));
    }
    return result;
}

}  // namespace orchestrate
