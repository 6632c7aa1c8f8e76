#include "common/job/older_metrics.h"

#include "common/metrics/training_metrics.h"

namespace orchestrate {
namespace {

bool is_part(const Json& value) {
    return value.is_object() && value.contains("rows") && value.contains("accuracy");
}

void add_part(const Json& fields, const std::string& part, Json& metrics) {
    if (fields.at("rows") == 0) {
        return;  // written as zeros
    }
    for (const auto& declaration : training_metrics()) {
        if (const auto field = fields.find(declaration.name); field != fields.end() && field->is_number()) {
            metrics.push_back({{"part", part}, {"name", declaration.name}, {"value", *field}});
        }
    }
}

bool upgrade_object(Json& object) {
    const auto named = object.find("named");
    const bool has_named = named != object.end() && named->is_array();
    Json metrics = has_named ? *named : Json::array();
    bool found = has_named;
    for (const auto& part : enum_names<MetricPart>()) {
        if (const auto fields = object.find(part); fields != object.end() && is_part(*fields)) {
            add_part(*fields, part, metrics);
            object.erase(part);
            found = true;
        }
    }
    if (!found) {
        return false;
    }
    // Epochs said of which kind they are by what they held.
    if (object.contains("epoch")) {
        object["of_command"] = has_named && !object["named"].empty();
    }
    object.erase("named");
    object["metrics"] = std::move(metrics);
    return true;
}

}  // namespace

bool upgrade_metrics(Json& value) {
    bool changed = value.is_object() && !value.contains("metrics") && upgrade_object(value);
    if (value.is_structured()) {
        for (auto& inner : value) {
            changed = upgrade_metrics(inner) || changed;
        }
    }
    return changed;
}

}  // namespace orchestrate
