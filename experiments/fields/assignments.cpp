#include "experiments/fields/assignments.h"

#include <algorithm>

namespace orchestrate {
namespace {

constexpr const char* kParameters = "parameters.";

void read_table(const ValueTable& table, const std::string& prefix, const NameableFields& fields,
                std::vector<Assignment>& result, Diagnostics& diagnostics) {
    for (const auto& entry : table.entries) {
        const std::string path = prefix.empty() ? entry.key : prefix + "." + entry.key;
        const auto* field = fields.find(path);
        if (!field && entry.value.as_table() && fields.is_section(path)) {
            read_table(*entry.value.as_table(), path, fields, result, diagnostics);
        } else if (!field) {
            fields.report_unknown(entry.key_where, path, diagnostics);
        } else if (!field->may_vary) {
            diagnostics.error(
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
std::vector<Assignment> without_repetitions(std::vector<Assignment> all, Diagnostics& diagnostics) {
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
            diagnostics.error(assignment.key_where,
                              assignment.field->path + " is given twice, the other time in line " +
                                  std::to_string(other->key_where.line) + "; expected it once");
        }
    }
    return result;
}

}  // namespace

const Field* NameableFields::find(const std::string& path) const {
    if (!parameters_) {
        return find_field(path);
    }
    const auto found = std::find_if(parameters_->begin(), parameters_->end(), [&](const Field& field) {
        return field.path == path || field.path == kParameters + path;
    });
    return found == parameters_->end() ? nullptr : &*found;
}

bool NameableFields::is_section(const std::string& path) const {
    const auto& all = parameters_ ? *parameters_ : fields();
    return std::any_of(all.begin(), all.end(), [&](const Field& field) {
        return field.path.rfind(path + ".", 0) == 0 ||
               (parameters_ && field.path.rfind(kParameters + path + ".", 0) == 0);
    });
}

void NameableFields::report_unknown(const SourceSpan& where, const std::string& path,
                                    Diagnostics& diagnostics) const {
    if (!parameters_) {
        diagnostics.unknown_name(where, "unknown field '" + path + "'; expected a field such as train.epochs",
                                 path, varying_field_paths());
        return;
    }
    const std::string prefix = kParameters;
    const bool is_whole = path.rfind(prefix, 0) == 0;
    std::vector<std::string> names;
    for (const auto& field : *parameters_) {
        names.push_back(is_whole ? field.path : field.path.substr(prefix.size()));
    }
    diagnostics.unknown_name(
        where,
        "unknown parameter '" + path + "'; expected " +
            (names.empty() ? "one of [parameters], which has none" : join_alternatives(names)),
        path, names);
}

std::vector<Assignment> read_assignments(const Value& table, const std::string& name,
                                         const NameableFields& fields, Diagnostics& diagnostics) {
    std::vector<Assignment> result;
    if (const auto* found = table.as_table(); found && !found->entries.empty()) {
        read_table(*found, "", fields, result, diagnostics);
    } else {
        report_unfit(table, name,
                     fields.is_of_command() ? "a table of parameters, e.g. { learning_rate = 0.1 }"
                                            : "a table of fields, e.g. { \"model.head_width\" = 16 }",
                     diagnostics);
    }
    return without_repetitions(std::move(result), diagnostics);
}

}  // namespace orchestrate
