#include <algorithm>
#include <set>

#include "common/base/nearest_name.h"
#include "experiments/fields/fields.h"

namespace orchestrate {
namespace {

// The names that may stand in the table at `prefix` ("" for the top of the file).
std::vector<std::string> names_below(const std::string& prefix,
                                     const std::vector<std::string>& other_sections) {
    std::set<std::string> found;
    std::vector<std::string> paths = other_sections;
    for (const auto& field : fields()) {
        paths.push_back(field.path);
    }
    const std::string start = prefix.empty() ? "" : prefix + ".";
    for (const auto& path : paths) {
        if (path.size() > start.size() && path.compare(0, start.size(), start) == 0) {
            found.insert(path.substr(start.size(), path.find('.', start.size()) - start.size()));
        }
    }
    return {found.begin(), found.end()};
}

// A key that is valid in another table: "epochs" in [model] was meant to be "train.epochs".
std::string same_key_elsewhere(const std::string& key) {
    for (const auto& field : fields()) {
        if (field.path.substr(field.path.rfind('.') + 1) == key) {
            return field.path;
        }
    }
    return {};
}

class FieldReader {
  public:
    FieldReader(const std::vector<std::string>& other_sections, Settings& settings, Diagnostics& diagnostics)
        : other_sections_(other_sections), settings_(settings), diagnostics_(diagnostics) {}

    void read_table(const ValueTable& table, const std::string& prefix) {
        const auto valid = names_below(prefix, other_sections_);
        for (const auto& entry : table.entries) {
            const std::string path = prefix.empty() ? entry.key : prefix + "." + entry.key;
            if (const auto* field = find_field(path)) {
                given_.emplace(path, entry.value);
                field->write(settings_, entry.value, diagnostics_);
            } else if (std::find(other_sections_.begin(), other_sections_.end(), path) !=
                       other_sections_.end()) {
                continue;
            } else if (std::find(valid.begin(), valid.end(), entry.key) == valid.end()) {
                report_unknown(entry, prefix, valid);
            } else if (const auto* below = entry.value.as_table()) {
                read_table(*below, path);
            } else {
                report_unfit(entry.value, path, "a table, [" + path + "]", diagnostics_);
            }
        }
    }

    GivenFields take() { return std::move(given_); }

  private:
    void report_unknown(const ValueEntry& entry, const std::string& prefix,
                        const std::vector<std::string>& valid) {
        const std::string place = prefix.empty() ? "at the top of the file" : "in [" + prefix + "]";
        std::string message =
            entry.value.as_table() && prefix.empty() ? "unknown section '" : "unknown key '";
        message += entry.key + "' " + place;
        std::string suggestion = nearest_name(entry.key, valid).value_or("");
        const bool belongs_here = !suggestion.empty();
        if (!belongs_here) {
            suggestion = same_key_elsewhere(entry.key);
        }
        if (suggestion.empty()) {
            message += "; expected " + join_alternatives(valid);
        }
        // On the command line a key is written with its section.
        const bool from_command_line = entry.key_where.source && entry.key_where.source->is_command_line;
        if (from_command_line && belongs_here && !prefix.empty()) {
            suggestion = prefix + "." + suggestion;
        }
        diagnostics_.error(entry.key_where, message, suggestion);
    }

    const std::vector<std::string>& other_sections_;
    Settings& settings_;
    Diagnostics& diagnostics_;
    GivenFields given_;
};

}  // namespace

GivenFields read_fields(const Value& root, const std::vector<std::string>& other_sections, Settings& settings,
                        Diagnostics& diagnostics) {
    FieldReader reader(other_sections, settings, diagnostics);
    if (const auto* table = root.as_table()) {
        reader.read_table(*table, "");
    }
    return reader.take();
}

}  // namespace orchestrate
