#include "results/cost_estimate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <queue>
#include <unordered_map>

#include "common/job/used_layers.h"

namespace orchestrate {
namespace {

constexpr double kSecondsPerHour = 3600;

// The configuration without what does not change its cost.
JobConfig without_seeds(JobConfig config) {
    config.seed = {};
    config.data.split.seed = 0;
    config.data.split.fold = 0;
    config.numerics_version = 0;
    return config;
}

Range scaled(const Range& range, double factor) {
    return {range.low * factor, range.likely * factor, range.high * factor};
}

void add(Range& sum, const Range& range) {
    sum.low += range.low;
    sum.likely += range.likely;
    sum.high += range.high;
}

class Estimator {
  public:
    Estimator(const std::vector<MeasuredJob>& measured, std::int64_t all_rows) : all_rows_(all_rows) {
        std::map<std::string, std::size_t> jobs_on;
        for (const auto& job : measured) {
            ++jobs_on[job.device_class];
        }
        const auto most = std::max_element(jobs_on.begin(), jobs_on.end(),
                                           [](const auto& a, const auto& b) { return a.second < b.second; });
        device_class_ = most->first;
        for (const auto& job : measured) {
            if (job.device_class != device_class_) {
                continue;
            }
            const double rank_seconds = job.seconds * job.ranks;
            seconds_of_[canonical_json(without_seeds(job.config))].push_back(rank_seconds);
            work_.push_back({amount_of_work(job.config, all_rows), rank_seconds});
        }
        std::sort(work_.begin(), work_.end());
    }

    const std::string& device_class() const { return device_class_; }

    // Rank seconds, and whether the same configuration was measured.
    std::pair<Range, bool> estimate(const JobConfig& config) {
        const std::string key = canonical_json(without_seeds(config));
        if (const auto known = cache_.find(key); known != cache_.end()) {
            return known->second;
        }
        const auto same = seconds_of_.find(key);
        const auto result = same != seconds_of_.end() ? std::pair(of_same(same->second), true)
                                                      : std::pair(of_nearest(config), false);
        cache_.emplace(key, result);
        return result;
    }

  private:
    static Range of_same(const std::vector<double>& seconds) {
        double sum = 0;
        for (const double value : seconds) {
            sum += value;
        }
        const auto [least, most] = std::minmax_element(seconds.begin(), seconds.end());
        return {*least, sum / static_cast<double>(seconds.size()), *most};
    }

    Range of_nearest(const JobConfig& config) const {
        const double work = amount_of_work(config, all_rows_);
        const auto nearest = std::min_element(work_.begin(), work_.end(), [&](const auto& a, const auto& b) {
            return std::abs(std::log(a.first / work)) < std::abs(std::log(b.first / work));
        });
        const double ratio = work / nearest->first;
        const double likely = nearest->second * ratio;
        const double doubt = 1.5 * std::exp(0.3 * std::abs(std::log(ratio)));
        return {likely / doubt, likely, likely * doubt};
    }

    std::int64_t all_rows_;
    std::string device_class_;
    std::unordered_map<std::string, std::vector<double>> seconds_of_;
    std::vector<std::pair<double, double>> work_;  // amount and rank seconds
    std::unordered_map<std::string, std::pair<Range, bool>> cache_;
};

// Seconds until the last of these jobs ends when each goes, in order, to the slots that are free first.
double makespan(const std::vector<std::pair<double, int>>& jobs, int slots) {
    std::priority_queue<double, std::vector<double>, std::greater<>> free_at;
    for (int slot = 0; slot < slots; ++slot) {
        free_at.push(0);
    }
    double end = 0;
    for (const auto& [seconds, ranks] : jobs) {
        double begin = 0;
        const int used = std::min(ranks, slots);
        for (int i = 0; i < used; ++i) {
            begin = free_at.top();
            free_at.pop();
        }
        for (int i = 0; i < used; ++i) {
            free_at.push(begin + seconds);
        }
        end = std::max(end, begin + seconds);
    }
    return end;
}

}  // namespace

std::vector<MeasuredJob> measured_jobs(SQLite::Database& database) {
    SQLite::Statement query(database,
                            "SELECT jobs.config, results.total_seconds, results.ranks, results.device_class "
                            "FROM jobs JOIN results ON results.job_id = jobs.id "
                            "WHERE jobs.state = 'succeeded' ORDER BY jobs.id");
    std::vector<MeasuredJob> jobs;
    while (query.executeStep()) {
        try {
            MeasuredJob job;
            Json::parse(query.getColumn(0).getString()).get_to(job.config);
            job.seconds = query.getColumn(1).getDouble();
            job.ranks = std::max(1, query.getColumn(2).getInt());
            job.device_class = query.getColumn(3).getString();
            if (job.seconds > 0) {
                jobs.push_back(std::move(job));
            }
        } catch (const std::exception&) {
            continue;  // written by another version of the program
        }
    }
    return jobs;
}

double amount_of_work(const JobConfig& config, std::int64_t all_rows) {
    const auto& model = config.model;
    const auto hidden = static_cast<double>(model.hidden_size);
    const double per_layer = 4 * hidden * hidden + 2 * hidden * static_cast<double>(model.intermediate_size);
    const auto layers = static_cast<double>(used_layers(model).size());
    const double weights = hidden + layers * per_layer;  // `hidden`: embeddings, which cost little
    const auto rows = static_cast<double>(config.data.max_rows > 0 ? config.data.max_rows
                                                                   : std::max<std::int64_t>(1, all_rows));
    const auto words = static_cast<double>(config.data.features.size() + 1);
    return static_cast<double>(config.train.epochs) * rows * words * weights;
}

std::optional<CostEstimate> estimate_cost(const std::vector<PlannedJob>& planned,
                                          const std::vector<MeasuredJob>& measured, std::int64_t all_rows,
                                          int ranks_at_a_time) {
    if (measured.empty()) {
        return std::nullopt;
    }
    Estimator estimator(measured, all_rows);
    CostEstimate result;
    result.device_class = estimator.device_class();
    using Lane = std::vector<std::pair<double, int>>;
    std::map<int, std::array<Lane, 3>> stages;
    for (const auto& job : planned) {
        const auto [rank_seconds, is_same] = estimator.estimate(job.config);
        (is_same ? result.same : result.scaled) += static_cast<std::size_t>(job.count);
        const double ranks = job.ranks;
        auto& lanes = stages[job.stage];
        for (std::int64_t i = 0; i < job.count; ++i) {
            add(result.rank_hours, scaled(rank_seconds, 1 / kSecondsPerHour));
            lanes[0].push_back({rank_seconds.low / ranks, job.ranks});
            lanes[1].push_back({rank_seconds.likely / ranks, job.ranks});
            lanes[2].push_back({rank_seconds.high / ranks, job.ranks});
        }
    }
    for (const auto& [stage, lanes] : stages) {
        add(result.wall_hours,
            scaled({makespan(lanes[0], ranks_at_a_time), makespan(lanes[1], ranks_at_a_time),
                    makespan(lanes[2], ranks_at_a_time)},
                   1 / kSecondsPerHour));
    }
    return result;
}

}  // namespace orchestrate
