#include "results/stage_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>

#include <SQLiteCpp/Savepoint.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/error.h"
#include "common/base/nearest_name.h"
#include "common/base/printable.h"

namespace orchestrate {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

constexpr const char* kVariants =
    "SELECT id, name, is_baseline, is_ensemble FROM variants WHERE stage_id = ? AND hidden = 0 "
    "ORDER BY is_baseline DESC, position, id";
constexpr const char* kColumns =
    "SELECT seeds.variant_id, seeds.job_id, seeds.seed_index, seeds.initialization_seed, "
    "seeds.data_order_seed, "
    "jobs.state, EXISTS (SELECT 1 FROM variant_jobs AS users WHERE users.job_id = seeds.job_id AND "
    "(users.variant_id <> "
    "seeds.variant_id OR users.seed_index <> seeds.seed_index)), "
    "results.device_class, results.collapsed, results.data_sha256, results.data_report";
constexpr int kFirstMetricColumn = 11;
// CROSS JOIN keeps SQLite from beginning with another table than that of the stage's variants.
constexpr const char* kFrom =
    " FROM variants CROSS JOIN variant_jobs AS seeds ON seeds.variant_id = variants.id "
    "CROSS JOIN jobs ON jobs.id = seeds.job_id "
    "LEFT JOIN results ON results.job_id = jobs.id AND jobs.state = 'succeeded'";
constexpr const char* kWhere =
    " WHERE variants.stage_id = ?1 AND variants.is_baseline = ?2 AND variants.hidden = 0";
// Metrics that are read with the other columns: SQLite joins at most 64 tables.
constexpr std::size_t kMaxJoined = 16;

std::vector<MetricDeclaration> declared_metrics(SQLite::Database& database, std::int64_t stage_id) {
    SQLite::Statement query(database,
                            "SELECT name, goal, unit, in_table FROM stage_metrics WHERE stage_id = ? "
                            "ORDER BY position");
    query.bind(1, stage_id);
    std::vector<MetricDeclaration> metrics;
    while (query.executeStep()) {
        metrics.push_back(
            {query.getColumn(0).getString(),
             enum_from_name<MetricGoal>(query.getColumn(1).getString()).value_or(MetricGoal::max),
             enum_from_name<MetricUnit>(query.getColumn(2).getString()).value_or(MetricUnit::number),
             query.getColumn(3).getInt() != 0});
    }
    return metrics;
}

std::vector<MetricDeclaration> table_metrics(SQLite::Database& database, std::int64_t stage_id,
                                             const std::vector<std::string>& names) {
    std::vector<MetricDeclaration> declared = declared_metrics(database, stage_id);
    if (names.empty()) {
        std::erase_if(declared, [](const MetricDeclaration& metric) { return !metric.in_table; });
        return declared;
    }
    std::vector<MetricDeclaration> chosen;
    for (const auto& name : names) {
        if (const auto* const found = find_declaration(declared, name)) {
            chosen.push_back(*found);
            continue;
        }
        std::vector<std::string> known;
        known.reserve(declared.size());
        for (const auto& metric : declared) {
            known.push_back(metric.name);
        }
        const auto nearest = nearest_name(name, known);
        throw UserError(fmt::format("there is no metric '{}' in this stage; expected {}{}", printable(name),
                                    fmt::join(known, ", "),
                                    nearest ? "; did you mean '" + *nearest + "'?" : ""));
    }
    return chosen;
}

// The place of the stage's primary metric; the first if the table does not show it.
std::size_t primary_place(SQLite::Database& database, std::int64_t stage_id,
                          const std::vector<MetricDeclaration>& metrics) {
    SQLite::Statement query(database, "SELECT primary_metric FROM stages WHERE id = ?");
    query.bind(1, stage_id);
    const auto* const found =
        query.executeStep() ? find_declaration(metrics, query.getColumn(0).getString()) : nullptr;
    return found == nullptr ? 0 : static_cast<std::size_t>(found - metrics.data());
}

// Texts that many rows share, by their places.
class Places {
  public:
    explicit Places(std::vector<std::string>& texts) : texts_(texts) {}
    int of(const SQLite::Column& column) {
        if (column.isNull()) {
            return -1;
        }
        const auto [found, is_new] = places_.try_emplace(column.getString(), static_cast<int>(texts_.size()));
        if (is_new) {
            texts_.push_back(found->first);
        }
        return found->second;
    }

  private:
    std::vector<std::string>& texts_;
    std::unordered_map<std::string, int> places_;
};

class Reader {
  public:
    Reader(SQLite::Database& database, std::int64_t stage_id, const std::vector<std::string>& metrics)
        : database_(database) {
        rows_.metrics = table_metrics(database, stage_id, metrics);
        rows_.primary_metric = primary_place(database, stage_id, rows_.metrics);
        read_variants(stage_id);
        read_seeds(stage_id);
        if (rows_.metrics.size() > kMaxJoined) {
            read_all_metrics();
        }
        put_in_order();
    }

    StageRows rows() { return std::move(rows_); }

  private:
    void read_variants(std::int64_t stage_id) {
        SQLite::Statement query(database_, kVariants);
        query.bind(1, stage_id);
        while (query.executeStep()) {
            VariantRow& variant = rows_.variants.emplace_back();
            variant.id = query.getColumn(0).getInt64();
            variant.name = query.getColumn(1).getString();
            variant.is_baseline = query.getColumn(2).getInt() != 0;
            variant.is_ensemble = query.getColumn(3).getInt() != 0;
            places_[variant.id] = rows_.variants.size() - 1;
        }
    }

    void read_seeds(std::int64_t stage_id) {
        const std::size_t joined = std::min(kMaxJoined, rows_.metrics.size());
        std::string columns = kColumns;
        std::string from = kFrom;
        for (std::size_t i = 0; i < joined; ++i) {
            const std::string table = "metric" + std::to_string(i);
            columns += fmt::format(", {}.value", table);
            from += fmt::format(
                " LEFT JOIN job_metrics AS {0} ON {0}.job_id = jobs.id AND {0}.part = 'test' AND {0}.name = "
                "?{1} "
                "AND jobs.state = 'succeeded'",
                table, 3 + i);
        }
        SQLite::Statement query(database_, columns + from + kWhere);
        query.bind(1, stage_id);
        for (std::size_t i = 0; i < joined; ++i) {
            query.bind(3 + static_cast<int>(i), rows_.metrics[i].name);
        }
        // The baseline's were mostly written first: then the jobs come in order.
        for (const int is_baseline : {1, 0}) {
            query.reset();
            query.bind(2, is_baseline);
            read_seeds(query, joined);
        }
    }

    void read_seeds(SQLite::Statement& query, std::size_t metrics) {
        while (query.executeStep()) {
            VariantRow& variant = rows_.variants[places_.at(query.getColumn(0).getInt64())];
            SeedRow& seed = variant.seeds.emplace_back();
            seed.job = query.getColumn(1).getInt64();
            seed.seed_index = query.getColumn(2).getInt64();
            seed.initialization_seed = query.getColumn(3).getInt64();
            seed.data_order_seed = query.getColumn(4).getInt64();
            const std::string state = query.getColumn(5).getString();
            seed.succeeded = state == "succeeded";
            seed.values.assign(rows_.metrics.size(), kMissing);
            for (std::size_t i = 0; i < metrics; ++i) {
                const auto value = query.getColumn(kFirstMetricColumn + static_cast<int>(i));
                seed.values[i] = value.isNull() ? kMissing : value.getDouble();
            }
            add_job(query, variant, seed, state);
        }
    }

    void add_job(SQLite::Statement& query, const VariantRow& variant, const SeedRow& seed,
                 const std::string& state) {
        if (const auto known = place_of(seed.job)) {
            StageJob& job = rows_.jobs[*known];
            job.variant = std::min(job.variant, variant.name);
            job.seed = std::min(job.seed, seed.initialization_seed);
            job.is_ensemble = job.is_ensemble && variant.is_ensemble;
            return;
        }
        StageJob& job = rows_.jobs.emplace_back();
        job.job = seed.job;
        job.state = state;
        job.variant = variant.name;
        job.seed = seed.initialization_seed;
        job.is_ensemble = variant.is_ensemble;
        job.is_shared = query.getColumn(6).getInt() != 0;
        job.device_class = device_classes_.of(query.getColumn(7));
        job.collapsed = query.getColumn(8).getInt() != 0;
        if (!query.getColumn(9).isNull() &&
            !query.getColumn(9).getString().empty()) {  // a command's is empty
            job.data = data_.of(query.getColumn(9));
            job.data_report = data_reports_.of(query.getColumn(10));
        }
    }

    // Among the jobs so far; nothing for a new one, which is added next. They mostly come in order: a table of all of them is
    // only made when they do not.
    std::optional<std::size_t> place_of(std::int64_t job) {
        const auto& jobs = rows_.jobs;
        if (job_places_.empty()) {
            if (jobs.empty() || jobs.back().job < job) {
                return std::nullopt;
            }
            const auto at =
                std::lower_bound(jobs.begin(), jobs.end(), job,
                                 [](const StageJob& known, std::int64_t id) { return known.job < id; });
            if (at->job == job) {
                return static_cast<std::size_t>(at - jobs.begin());
            }
            for (std::size_t place = 0; place < jobs.size(); ++place) {
                job_places_.emplace(jobs[place].job, place);
            }
        }
        const auto [found, is_new] = job_places_.try_emplace(job, jobs.size());
        return is_new ? std::nullopt : std::optional(found->second);
    }

    void read_all_metrics() {
        std::unordered_map<std::string, std::size_t> places;
        for (std::size_t i = 0; i < rows_.metrics.size(); ++i) {
            places[rows_.metrics[i].name] = i;
        }
        SQLite::Statement query(database_,
                                "SELECT name, value FROM job_metrics WHERE job_id = ? AND part = 'test'");
        for (auto& variant : rows_.variants) {
            for (auto& seed : variant.seeds) {
                if (!seed.succeeded) {
                    continue;
                }
                query.reset();
                query.bind(1, seed.job);
                while (query.executeStep()) {
                    if (const auto place = places.find(query.getColumn(0).getString());
                        place != places.end()) {
                        seed.values[place->second] = query.getColumn(1).getDouble();
                    }
                }
            }
        }
    }

    void put_in_order() {
        for (auto& variant : rows_.variants) {
            sort_by(variant.seeds, [](const SeedRow& seed) { return seed.seed_index; });
        }
        sort_by(rows_.jobs, [](const StageJob& job) { return job.job; });
    }

    // They mostly come in order.
    template <class Row, class Key>
    static void sort_by(std::vector<Row>& rows, Key key) {
        const auto before = [&](const Row& left, const Row& right) { return key(left) < key(right); };
        if (!std::is_sorted(rows.begin(), rows.end(), before)) {
            std::sort(rows.begin(), rows.end(), before);
        }
    }

    SQLite::Database& database_;
    StageRows rows_;
    std::unordered_map<std::int64_t, std::size_t> places_;      // of variants
    std::unordered_map<std::int64_t, std::size_t> job_places_;  // empty: they came in order so far
    Places device_classes_{rows_.device_classes};
    Places data_{rows_.data_hashes};
    Places data_reports_{rows_.data_reports};
};

// In two passes around the mean, as the views do.
Summary summary(const std::vector<double>& values, std::size_t paired) {
    Summary result;
    result.count = static_cast<std::int64_t>(paired);
    if (values.empty()) {
        return result;
    }
    // Sums and squares of numbers near the largest there are would be infinite.
    double largest = 0;
    for (const double value : values) {
        largest = std::max(largest, std::abs(value));
    }
    const double unit = largest > 1e100 && std::isfinite(largest) ? largest : 1;
    double sum = 0;
    for (const double value : values) {
        sum += value / unit;
    }
    const double mean = sum / static_cast<double>(values.size());
    result.spread.mean = mean * unit;
    if (paired > 1) {
        double squares = 0;
        for (std::size_t i = 0; i < paired; ++i) {
            squares += (values[i] / unit - mean) * (values[i] / unit - mean);
        }
        result.spread.deviation = unit * std::sqrt(squares / static_cast<double>(paired - 1));
    }
    return result;
}

}  // namespace

std::int64_t VariantRow::succeeded() const {
    return std::count_if(seeds.begin(), seeds.end(), [](const SeedRow& seed) { return seed.succeeded; });
}

// All of it from one state of the database, and its file locked once instead of for each job.
StageRows read_stage_rows(SQLite::Database& database, std::int64_t stage_id,
                          const std::vector<std::string>& metrics) {
    SQLite::Savepoint one_state(database, "stage_rows");
    StageRows rows = Reader(database, stage_id, metrics).rows();
    one_state.release();
    return rows;
}

Summary summary_of(const VariantRow& variant, std::size_t metric) {
    std::vector<double> values;
    for (const auto& seed : variant.seeds) {
        if (!std::isnan(seed.values[metric])) {
            values.push_back(seed.values[metric]);
        }
    }
    return summary(values, values.size());
}

std::vector<Summary> differences_to_baseline(const StageRows& rows, std::size_t metric) {
    std::vector<Summary> differences(rows.variants.size());
    if (rows.variants.empty() || !rows.variants.front().is_baseline) {
        return differences;
    }
    const VariantRow& baseline = rows.variants.front();
    const auto baseline_mean = summary_of(baseline, metric).spread.mean;
    std::unordered_map<std::int64_t, double> of_seed;
    for (const auto& seed : baseline.seeds) {
        of_seed[seed.seed_index] = seed.values[metric];
    }
    for (std::size_t i = 0; i < rows.variants.size(); ++i) {
        if (rows.variants[i].is_baseline) {
            continue;
        }
        std::vector<double> paired;
        std::vector<double> others;
        for (const auto& seed : rows.variants[i].seeds) {
            if (seed.seed_index < 0 && baseline_mean) {
                others.push_back(seed.values[metric] - *baseline_mean);
            } else if (const auto found = of_seed.find(seed.seed_index);
                       seed.seed_index >= 0 && found != of_seed.end()) {
                paired.push_back(seed.values[metric] - found->second);
            }
        }
        std::erase_if(paired, [](double value) { return std::isnan(value); });
        std::erase_if(others, [](double value) { return std::isnan(value); });
        const std::size_t pairs = paired.size();
        paired.insert(paired.end(), others.begin(), others.end());
        differences[i] = summary(paired, pairs);
    }
    return differences;
}

}  // namespace orchestrate
