#include "coordinator/store/stored_results.h"

#include <cmath>
#include <limits>

#include "common/base/time_text.h"

namespace orchestrate {
namespace {

// SQLite has no number for it, and takes it for NULL.
double without_nan(double value) {
    return std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
}

void store_named_epoch(StoreDatabase& database, const AttemptId& attempt, const EpochMetrics& metrics) {
    for (const auto& metric : metrics.named) {
        execute(database, "INSERT OR REPLACE INTO named_epochs VALUES (?, ?, ?, ?, ?, ?)", attempt.job,
                metrics.epoch, attempt.number, metric.part, metric.name, metric.value);
    }
}

void store_named(StoreDatabase& database, JobId job, const std::vector<NamedMetric>& metrics) {
    execute(database, "DELETE FROM named_metrics WHERE job_id = ?", job);
    for (const auto& metric : metrics) {
        execute(database, "INSERT OR REPLACE INTO named_metrics VALUES (?, ?, ?, ?)", job, metric.part,
                metric.name, metric.value);
    }
}

// A loss that is not a number (of a vote) becomes NULL.
void store_part(StoreDatabase& database, JobId job, const char* part, const PartMetrics& metrics) {
    execute(database, "INSERT OR REPLACE INTO part_metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", job,
            part, metrics.rows, metrics.loss, metrics.accuracy, metrics.macro_precision, metrics.macro_recall,
            metrics.macro_f1, metrics.weighted_precision, metrics.weighted_recall, metrics.weighted_f1,
            metrics.f1_of_macro_averages);
}

void store_predictions(StoreDatabase& database, JobId job, const Predictions& predictions) {
    if (const auto& packed = predictions.class_probabilities; packed.rows > 0) {
        BoundStatement insert(database, "INSERT OR REPLACE INTO probabilities VALUES (?, ?, ?, ?)", job,
                              packed.rows, packed.classes);
        insert->bind(4, packed.data.values.data(), static_cast<int>(packed.data.values.size()));
        insert->exec();
    }
    for (std::size_t i = 0; i < predictions.row.size(); ++i) {
        execute(database, "INSERT OR REPLACE INTO predictions VALUES (?, ?, ?, ?, ?)", job,
                predictions.row[i], predictions.true_class.at(i), predictions.predicted_class.at(i),
                static_cast<double>(predictions.probability.at(i)));
    }
}

}  // namespace

void forget_named_epochs(StoreDatabase& database, const AttemptId& attempt, std::int64_t first_epoch) {
    execute(database, "DELETE FROM named_epochs WHERE job_id = ? AND attempt <> ? AND epoch >= ?",
            attempt.job, attempt.number, first_epoch);
}

void store_epoch(StoreDatabase& database, const AttemptId& attempt, const EpochMetrics& metrics) {
    if (!metrics.named.empty()) {
        store_named_epoch(database, attempt, metrics);
        return;
    }
    if (metrics.epoch == 1 && attempt.number > 1) {
        execute(database, "DELETE FROM epochs WHERE job_id = ? AND attempt <> ?", attempt.job,
                attempt.number);
    }
    const auto& validation = metrics.validation;
    execute(database, "INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            attempt.job, metrics.epoch, attempt.number, without_nan(metrics.train_loss),
            without_nan(metrics.learning_rate), without_nan(metrics.seconds),
            without_nan(metrics.tokens_per_second), without_nan(validation.loss),
            without_nan(validation.accuracy), without_nan(validation.macro_precision),
            without_nan(validation.macro_recall), without_nan(validation.macro_f1));
}

void store_result(StoreDatabase& database, const AttemptId& attempt, const AttemptResult& result) {
    const JobId job = attempt.job;
    execute(database, "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", job,
            attempt.number, result.selected_epoch, result.parameters, result.train_seconds,
            result.total_seconds, result.peak_memory_bytes, result.device_class, result.ranks,
            result.collapsed ? 1 : 0, result.data.data_sha256,
            Json(result.data).dump(-1, ' ', false, Json::error_handler_t::replace),
            Json(result.classes).dump(-1, ' ', false, Json::error_handler_t::replace));
    if (result.of_command) {
        store_named(database, job, result.named);
        return;
    }
    store_part(database, job, "validation", result.validation);
    store_test_part(database, job, result);
    if (result.model) {
        execute(database, "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?)", job, result.model->folder,
                result.model->sha256, result.model->bytes, utc_now_text());
    }
}

void store_test_part(StoreDatabase& database, JobId job, const AttemptResult& result) {
    store_part(database, job, "test", result.test);
    for (std::size_t i = 0; i < result.test_classes.size(); ++i) {
        const auto& metrics = result.test_classes[i];
        execute(database, "INSERT OR REPLACE INTO class_metrics VALUES (?, ?, ?, ?, ?, ?, ?)", job,
                static_cast<std::int64_t>(i), metrics.name, metrics.precision, metrics.recall, metrics.f1,
                metrics.support);
    }
    for (const auto& cell : result.test_confusion) {
        execute(database, "INSERT OR REPLACE INTO confusion VALUES (?, ?, ?, ?)", job, cell.true_class,
                cell.predicted_class, cell.count);
    }
    store_predictions(database, job, result.test_predictions);
}

std::vector<EpochMetrics> stored_epochs(StoreDatabase& database, JobId job) {
    SQLite::Statement query(database,
                            "SELECT epoch, train_loss, validation_loss, validation_accuracy, "
                            "validation_macro_precision, validation_macro_recall, validation_macro_f1 "
                            "FROM epochs WHERE job_id = ? ORDER BY epoch");
    query.bind(1, job.value());
    std::vector<EpochMetrics> epochs;
    while (query.executeStep()) {
        EpochMetrics& epoch = epochs.emplace_back();
        epoch.epoch = query.getColumn(0).getInt64();
        epoch.train_loss = query.getColumn(1).getDouble();
        epoch.validation.loss = query.getColumn(2).getDouble();
        epoch.validation.accuracy = query.getColumn(3).getDouble();
        epoch.validation.macro_precision = query.getColumn(4).getDouble();
        epoch.validation.macro_recall = query.getColumn(5).getDouble();
        epoch.validation.macro_f1 = query.getColumn(6).getDouble();
    }
    return epochs;
}

}  // namespace orchestrate
