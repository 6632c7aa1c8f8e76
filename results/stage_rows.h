// The rows of one stage, read once: what its comparison table and the notes below it are computed from. The numbers are
// those of the views `variant_summary` and `metric_comparison`, which a test compares.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "common/metrics/metric.h"
#include "results/spread_column.h"

namespace orchestrate {

// One variant with one seed.
struct SeedRow {
    std::int64_t job = 0;
    std::int64_t seed_index = 0;
    std::int64_t initialization_seed = 0;
    std::int64_t data_order_seed = 0;
    bool succeeded = false;
    std::vector<double> values;  // of the test part, by StageRows::metrics; NaN: not there
};

struct VariantRow {
    std::int64_t id = 0;
    std::string name;
    bool is_baseline = false;
    bool is_ensemble = false;
    std::vector<SeedRow> seeds;

    std::int64_t succeeded() const;
};

// A job of the stage, once however many variants share it.
struct StageJob {
    std::int64_t job = 0;
    std::string state;
    std::string variant;  // the first by name
    std::int64_t seed = 0;
    bool is_ensemble = false;
    bool is_shared = false;  // by another variant, of this stage or another
    bool collapsed = false;
    // Of a job that succeeded: places in StageRows::device_classes and so on; -1: it has no result.
    int device_class = -1;
    int data = -1;
    int data_report = -1;
};

struct StageRows {
    std::vector<MetricDeclaration> metrics;  // the columns of the table
    std::size_t primary_metric = 0;          // the place of that whose differences to the baseline are shown
    std::vector<VariantRow> variants;        // in the order of the table, the baseline first
    std::vector<StageJob> jobs;              // by number
    std::vector<std::string> device_classes;
    std::vector<std::string> data_hashes;
    std::vector<std::string> data_reports;  // JSON
};

// Mean and sample standard deviation, and of how many values.
struct Summary {
    Spread spread;
    std::int64_t count = 0;
};

// `metrics`: the columns, by name; empty: those of the stage's table. Throws UserError for a metric that the stage does not
// declare.
StageRows read_stage_rows(SQLite::Database& database, std::int64_t stage_id,
                          const std::vector<std::string>& metrics = {});

// Of a metric over the seeds of a variant.
Summary summary_of(const VariantRow& variant, std::size_t metric);

// Of a metric's difference to the baseline, per variant in order, in pairs of equal seed_index; results with a negative
// seed_index are compared with the baseline's mean, and count for the mean only. Nothing for baselines.
std::vector<Summary> differences_to_baseline(const StageRows& rows, std::size_t metric);

}  // namespace orchestrate
