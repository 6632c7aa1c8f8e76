// A metric: a number that a job reports about one part of the data, under a name. Trainings report those of
// training_metrics.h, commands those that their study declares.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"

namespace orchestrate {

// The part of the data that a metric is measured on.
enum class MetricPart { validation, test };
BOOST_DESCRIBE_ENUM(MetricPart, validation, test)

// Which way a metric is better.
enum class MetricGoal { max, min };
BOOST_DESCRIBE_ENUM(MetricGoal, max, min)

// How a metric's values are shown.
enum class MetricUnit {
    number,    // as they are
    fraction,  // in percent
};
BOOST_DESCRIBE_ENUM(MetricUnit, number, fraction)

struct MetricDeclaration {
    std::string name;
    MetricGoal goal = MetricGoal::max;
    MetricUnit unit = MetricUnit::number;
    bool in_table = true;  // a column of comparison tables unless others are asked for
    bool operator==(const MetricDeclaration&) const = default;
};
BOOST_DESCRIBE_STRUCT(MetricDeclaration, (), (name, goal, unit, in_table))

// A metric of one part, without its value: what a selection goes by.
struct MetricKey {
    MetricPart part = MetricPart::validation;
    std::string name;
    bool operator==(const MetricKey&) const = default;
};
BOOST_DESCRIBE_STRUCT(MetricKey, (), (part, name))

// "validation macro_f1", as in study files.
std::string to_string(const MetricKey& key);

struct MetricValue {
    MetricPart part = MetricPart::validation;
    std::string name;
    double value = 0;
    bool operator==(const MetricValue&) const = default;
};
BOOST_DESCRIBE_STRUCT(MetricValue, (), (part, name, value))

// Nothing if there is no such metric.
std::optional<double> find_metric(std::span<const MetricValue> values, const MetricKey& key);

// The declaration of that name; nullptr if there is none. Points into `declarations`.
const MetricDeclaration* find_declaration(std::span<const MetricDeclaration> declarations,
                                          const std::string& name);

}  // namespace orchestrate
