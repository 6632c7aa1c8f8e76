#include "experiments/assignments.h"

#include <algorithm>

namespace orchestrate {
namespace {

bool leads_to_a_field(const std::string& path) {
    return std::any_of(fields().begin(), fields().end(),
                       [&](const Field& field) { return field.path.rfind(path + ".", 0) == 0; });
}

void read_table(const ValueTable& table, const std::string& prefix, std::vector<Assignment>& result,
                Mistakes& mistakes) {
    for (const auto& entry : table.entries) {
        const std::string path = prefix.empty() ? entry.key : prefix + "." + entry.key;
        const auto* field = find_field(path);
        if (!field && entry.value.as_table() && leads_to_a_field(path)) {
            read_table(*entry.value.as_table(), path, result, mistakes);
        } else if (!field) {
            mistakes.unknown_name(entry.key_where,
                                  "unknown field '" + path + "'; expected a field such as train.epochs", path,
                                  varying_field_paths());
        } else if (!field->may_vary) {
            mistakes.error(
                entry.key_where,
                path +
                    " holds for the whole study and cannot vary; expected a field marked * in the reference");
        } else {
            result.push_back({field, entry.value, entry.key_where});
        }
    }
}

// A field may stand there twice, as a quoted path and as nested tables. What --set gives wins, in the other's place;
// otherwise it is reported.
std::vector<Assignment> without_repetitions(std::vector<Assignment> all, Mistakes& mistakes) {
    const auto is_of_command_line = [](const Assignment& assignment) {
        return assignment.key_where.source && assignment.key_where.source->is_command_line;
    };
    std::vector<Assignment> result;
    for (auto& assignment : all) {
        const auto other = std::find_if(result.begin(), result.end(), [&](const Assignment& earlier) {
            return earlier.field == assignment.field;
        });
        if (other == result.end()) {
            result.push_back(std::move(assignment));
        } else if (is_of_command_line(assignment)) {
            *other = std::move(assignment);
        } else if (!is_of_command_line(*other)) {
            mistakes.error(assignment.key_where,
                           assignment.field->path + " is given twice, the other time in line " +
                               std::to_string(other->key_where.line) + "; expected it once");
        }
    }
    return result;
}

}  // namespace

std::vector<Assignment> read_assignments(const Value& table, const std::string& name, Mistakes& mistakes) {
    std::vector<Assignment> result;
    if (const auto* found = table.as_table(); found && !found->entries.empty()) {
        read_table(*found, "", result, mistakes);
    } else {
        report_unfit(table, name, "a table of fields, e.g. { \"model.head_width\" = 16 }", mistakes);
    }
    return without_repetitions(std::move(result), mistakes);
}

}  // namespace orchestrate
