#include "worker/data/leaks.h"

#include <unordered_set>

namespace orchestrate {
namespace {

std::string feature_key(const Dataset& dataset, std::size_t row) {
    std::string key;
    for (const auto& feature : dataset.features) {
        if (feature.kind == ColumnKind::text) {
            const auto size = feature.texts[row].size();
            key.append(reinterpret_cast<const char*>(&size), sizeof size);
            key += feature.texts[row];
        } else {
            const double value = feature.numbers[row] + 0.0;  // -0 is 0
            key.append(reinterpret_cast<const char*>(&value), sizeof value);
        }
    }
    return key;
}

template <class KeyOf>
void add_leaks(std::vector<Leak>& leaks, const std::string& kind, const std::vector<DataPart>& parts,
               const KeyOf& key_of) {
    std::unordered_set<std::string> in_train;
    for (std::size_t row = 0; row < parts.size(); ++row) {
        if (parts[row] == DataPart::train) {
            in_train.insert(key_of(row));
        }
    }
    for (const DataPart part : {DataPart::validation, DataPart::test}) {
        Leak leak{to_string(part), kind, 0, 0};
        std::int64_t rows = 0;
        for (std::size_t row = 0; row < parts.size(); ++row) {
            if (parts[row] == part) {
                ++rows;
                leak.rows += in_train.contains(key_of(row)) ? 1 : 0;
            }
        }
        if (rows > 0) {
            leak.share = static_cast<double>(leak.rows) / static_cast<double>(rows);
            leaks.push_back(leak);
        }
    }
}

}  // namespace

std::vector<Leak> find_leaks(const Dataset& dataset, const std::vector<DataPart>& parts,
                             const std::vector<std::string>& texts) {
    std::vector<Leak> leaks;
    if (!dataset.group.empty()) {
        add_leaks(leaks, "group", parts, [&](std::size_t row) { return dataset.group[row]; });
    }
    add_leaks(leaks, "features", parts, [&](std::size_t row) { return feature_key(dataset, row); });
    add_leaks(leaks, "text", parts, [&](std::size_t row) { return texts[row]; });
    return leaks;
}

}  // namespace orchestrate
