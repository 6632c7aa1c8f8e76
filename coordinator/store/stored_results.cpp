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

void forget_later_epochs(StoreDatabase& database, const AttemptId& attempt, std::int64_t first_epoch) {
    execute(database,
            "DELETE FROM epoch_metrics WHERE job_id = ?1 AND epoch IN "
            "(SELECT epoch FROM epochs WHERE job_id = ?1 AND attempt <> ?2 AND epoch >= ?3)",
            attempt.job, attempt.number, first_epoch);
    execute(database, "DELETE FROM epochs WHERE job_id = ? AND attempt <> ? AND epoch >= ?", attempt.job,
            attempt.number, first_epoch);
}

void forget_epochs_after(StoreDatabase& database, JobId job, std::int64_t last_epoch) {
    execute(database, "DELETE FROM epoch_metrics WHERE job_id = ? AND epoch > ?", job, last_epoch);
    execute(database, "DELETE FROM epochs WHERE job_id = ? AND epoch > ?", job, last_epoch);
}

void store_epoch(StoreDatabase& database, const AttemptId& attempt, const EpochMetrics& metrics) {
    if (metrics.of_command) {
        execute(database, "INSERT OR REPLACE INTO epochs (job_id, epoch, attempt) VALUES (?, ?, ?)",
                attempt.job, metrics.epoch, attempt.number);
    } else {
        execute(database, "INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?)", attempt.job,
                metrics.epoch, attempt.number, without_nan(metrics.train_loss),
                without_nan(metrics.learning_rate), without_nan(metrics.seconds),
                without_nan(metrics.tokens_per_second));
    }
    for (const auto& metric : metrics.metrics) {
        execute(database, "INSERT OR REPLACE INTO epoch_metrics VALUES (?, ?, ?, ?, ?)", attempt.job,
                metrics.epoch, to_string(metric.part), metric.name, metric.value);
    }
}

void store_result(StoreDatabase& database, const AttemptId& attempt, const AttemptResult& result) {
    const JobId job = attempt.job;
    BoundStatement insert(
        database, "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", job,
        attempt.number, result.selected_epoch, result.parameters, result.train_seconds, result.total_seconds,
        result.peak_memory_bytes, result.device_class, result.ranks, result.collapsed ? 1 : 0,
        result.data.data_sha256, Json(result.data).dump(-1, ' ', false, Json::error_handler_t::replace),
        Json(result.classes).dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!result.of_command) {
        insert->bind(14, result.data.validation_rows);
        insert->bind(15, result.data.test_rows);
    }
    insert->exec();
    execute(database, "DELETE FROM job_metrics WHERE job_id = ?", job);
    store_measurements(database, job, result);
    if (result.model) {
        execute(database, "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?)", job, result.model->folder,
                result.model->sha256, result.model->bytes, utc_now_text());
    }
}

void store_measurements(StoreDatabase& database, JobId job, const AttemptResult& result) {
    for (const auto& metric : result.metrics) {
        execute(database, "INSERT OR REPLACE INTO job_metrics VALUES (?, ?, ?, ?)", job,
                to_string(metric.part), metric.name, metric.value);
    }
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
    SQLite::Statement query(
        database,
        "SELECT epochs.epoch, train_loss IS NULL, coalesce(train_loss, 0), part, name, value "
        "FROM epochs LEFT JOIN epoch_metrics ON epoch_metrics.job_id = epochs.job_id AND "
        "epoch_metrics.epoch = epochs.epoch WHERE epochs.job_id = ? ORDER BY epochs.epoch");
    query.bind(1, job.value());
    std::vector<EpochMetrics> epochs;
    while (query.executeStep()) {
        const std::int64_t number = query.getColumn(0).getInt64();
        if (epochs.empty() || epochs.back().epoch != number) {
            EpochMetrics& epoch = epochs.emplace_back();
            epoch.epoch = number;
            epoch.of_command = query.getColumn(1).getInt() != 0;
            epoch.train_loss = query.getColumn(2).getDouble();
        }
        if (const auto part = enum_from_name<MetricPart>(query.getColumn(3).getString())) {
            epochs.back().metrics.push_back(
                {*part, query.getColumn(4).getString(), query.getColumn(5).getDouble()});
        }
    }
    return epochs;
}

}  // namespace orchestrate
