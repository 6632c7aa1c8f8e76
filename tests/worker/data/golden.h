// Where reference values and data lie: ORCHESTRATE_GOLDEN and ORCHESTRATE_DATA, by default beside the
// sources.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace orchestrate {

inline std::filesystem::path folder_from(const char* variable, const char* beside_sources) {
    const char* const given = std::getenv(variable);
    return given != nullptr ? std::filesystem::path(given)
                            : std::filesystem::path(ORCHESTRATE_SOURCE_DIR) / beside_sources;
}

inline std::filesystem::path golden_folder() {
    return folder_from("ORCHESTRATE_GOLDEN", "../shared/golden");
}
inline std::filesystem::path data_folder() {
    return folder_from("ORCHESTRATE_DATA", "../shared/data");
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
    std::ifstream file(path);
    return nlohmann::json::parse(file);
}

inline std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::vector<nlohmann::json> values;
    for (std::string line; std::getline(file, line);) {
        values.push_back(nlohmann::json::parse(line));
    }
    return values;
}

}  // namespace orchestrate

#define ORCHESTRATE_SKIP_WITHOUT(path, variable)                                              \
    if (!std::filesystem::exists(path)) {                                                     \
        GTEST_SKIP() << (path) << " is absent; set " variable " to the folder that holds it"; \
    }
