#include "common/base/strict_json.h"

#include <set>
#include <vector>

#include "common/base/error.h"
#include "common/base/named_file.h"

namespace orchestrate {

Json parse_strict_json(std::string_view text, const std::string& name, int max_levels) {
    std::vector<std::set<std::string>> keys;  // of each object that is open
    const auto check = [&](int depth, Json::parse_event_t event, Json& value) {
        if (depth > max_levels) {
            throw UserError(name + ": is nested deeper than " + std::to_string(max_levels) + " levels");
        }
        if (event == Json::parse_event_t::object_start) {
            keys.emplace_back();
        } else if (event == Json::parse_event_t::object_end) {
            keys.pop_back();
        } else if (event == Json::parse_event_t::key) {
            const auto key = value.get<std::string>();
            if (!keys.back().insert(key).second) {
                throw UserError(name + ": '" + key + "' stands twice in one object; expected once");
            }
        }
        return true;
    };
    Json json;
    try {
        json = Json::parse(text, check);
    } catch (const Json::parse_error& error) {
        throw UserError(name + ": is no valid JSON (byte " + std::to_string(error.byte) + " of " +
                        std::to_string(text.size()) + ")");
    } catch (const Json::out_of_range&) {
        throw UserError(name + ": is no valid JSON (a number in it is too large)");
    }
    if (!json.is_object()) {
        throw UserError(name + ": is " + json.type_name() + ", expected a JSON object");
    }
    return json;
}

Json read_strict_json(const std::filesystem::path& path, std::size_t max_bytes) {
    std::ifstream file = open_named_file(path);
    const auto size = std::filesystem::file_size(path);
    if (size > max_bytes) {
        throw UserError("'" + path.string() + "': has " + std::to_string(size) + " bytes, expected at most " +
                        std::to_string(max_bytes));
    }
    std::string text(size, '\0');
    file.read(text.data(), static_cast<std::streamsize>(size));
    return parse_strict_json(std::string_view(text).substr(0, static_cast<std::size_t>(file.gcount())),
                             "'" + path.string() + "'");
}

}  // namespace orchestrate
