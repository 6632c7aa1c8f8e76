#include "coordinator/store/job_facts.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

namespace orchestrate {
namespace {

std::string kind_of(bool is_command) {
    return is_command ? "a command" : "a training";
}

std::optional<Refusal> validate_kind(const char* what, bool of_command, const JobFacts& facts) {
    if (of_command == facts.is_command) {
        return std::nullopt;
    }
    return Refusal{what,
                   fmt::format("is of {}, the job is {}", kind_of(of_command), kind_of(facts.is_command))};
}

// `expected`: as "test accuracy".
std::optional<Refusal> validate_metrics(const std::vector<MetricValue>& metrics,
                                        const std::vector<std::string>& expected) {
    for (const auto& wanted : expected) {
        const bool found = std::any_of(metrics.begin(), metrics.end(), [&](const MetricValue& metric) {
            return to_string(MetricKey{metric.part, metric.name}) == wanted;
        });
        if (!found) {
            return Refusal{"result.metrics", fmt::format("does not hold '{}', which is expected", wanted)};
        }
    }
    return std::nullopt;
}

// What a training reports of the parts of its data that have rows. Results of older workers lack what was not measured then.
std::vector<std::string> expected_of_training(const AttemptResult& result) {
    std::vector<std::string> expected;
    for (const auto& [part, rows] : {std::pair(MetricPart::validation, result.data.validation_rows),
                                     std::pair(MetricPart::test, result.data.test_rows)}) {
        for (const auto& metric : training_metrics()) {
            if (rows > 0 && metric.in_table) {
                expected.push_back(to_string(MetricKey{part, metric.name}));
            }
        }
    }
    return expected;
}

std::optional<Refusal> validate_result(const AttemptResult& result, const JobFacts& facts) {
    if (auto refusal = validate_kind("result", result.of_command, facts)) {
        return refusal;
    }
    if (facts.ranks > 0 && result.ranks != facts.ranks) {
        return Refusal{"result.ranks",
                       fmt::format("is {}, the attempt's worker has {}", result.ranks, facts.ranks)};
    }
    if (facts.is_command) {
        return validate_metrics(result.metrics, facts.metrics);
    }
    const std::string& data = result.data.data_sha256;
    if (!data.empty() && data != facts.data_sha256) {
        return Refusal{"result.data.data_sha256",
                       fmt::format("is '{}', the job's data have '{}'", cleaned(data, 80, Lines::one),
                                   facts.data_sha256)};
    }
    if (result.selected_epoch > facts.epochs) {
        return Refusal{"result.selected_epoch",
                       fmt::format("is {}, the job has {} epochs", result.selected_epoch, facts.epochs)};
    }
    return validate_metrics(result.metrics, expected_of_training(result));
}

}  // namespace

JobFacts read_job_facts(StoreDatabase& database, JobId job) {
    BoundStatement query(database,
                         "SELECT json_type(config, '$.command') = 'object', "
                         "coalesce(json_extract(config, '$.train.epochs'), 0), "
                         "coalesce(json_extract(config, '$.data.sha256'), ''), "
                         "coalesce(json_extract(resources, '$.metrics'), '[]'), "
                         "coalesce((SELECT ranks FROM attempts WHERE job_id = jobs.id ORDER BY number DESC "
                         "LIMIT 1), 0) FROM jobs WHERE id = ?",
                         job);
    JobFacts facts;
    if (query->executeStep()) {
        facts.is_command = query->getColumn(0).getInt() != 0;
        facts.epochs = query->getColumn(1).getInt64();
        facts.data_sha256 = query->getColumn(2).getString();
        Json::parse(query->getColumn(3).getString()).get_to(facts.metrics);
        facts.ranks = query->getColumn(4).getInt64();
    }
    return facts;
}

std::optional<Refusal> validate_for_job(const EpochMetrics& metrics, const JobFacts& facts) {
    if (auto refusal = validate_kind("metrics", metrics.of_command, facts)) {
        return refusal;
    }
    if (!facts.is_command && metrics.epoch > facts.epochs) {
        return Refusal{"metrics.epoch",
                       fmt::format("is {}, the job has {} epochs", metrics.epoch, facts.epochs)};
    }
    return std::nullopt;
}

std::optional<Refusal> validate_for_job(const AttemptEnded& ended, const JobFacts& facts) {
    for (const auto& metrics : ended.epochs) {
        if (auto refusal = validate_for_job(metrics, facts)) {
            return refusal;
        }
    }
    return ended.cause == Cause::succeeded ? validate_result(*ended.result, facts) : std::nullopt;
}

std::optional<Refusal> validate_model(const SavedModel& model, const std::string& models_folder) {
    const auto folder = std::filesystem::path(model.folder).lexically_normal();
    if (folder == std::filesystem::path(models_folder).lexically_normal() / model.sha256) {
        return std::nullopt;
    }
    return Refusal{"result.model.folder",
                   fmt::format("is '{}', expected '{}/{}'", cleaned(model.folder, 256, Lines::one),
                               models_folder, model.sha256)};
}

}  // namespace orchestrate
