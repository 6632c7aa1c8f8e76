#include "common/metrics/metric.h"

#include <algorithm>

namespace orchestrate {

std::string to_string(const MetricKey& key) {
    return to_string(key.part) + " " + key.name;
}

std::optional<double> find_metric(std::span<const MetricValue> values, const MetricKey& key) {
    const auto found = std::ranges::find_if(values, [&](const MetricValue& metric) {
        return metric.part == key.part && metric.name == key.name;
    });
    return found == values.end() ? std::nullopt : std::optional(found->value);
}

const MetricDeclaration* find_declaration(std::span<const MetricDeclaration> declarations,
                                          const std::string& name) {
    const auto found = std::ranges::find(declarations, name, &MetricDeclaration::name);
    return found == declarations.end() ? nullptr : &*found;
}

}  // namespace orchestrate
