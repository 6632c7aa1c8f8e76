#include "experiments/composition/composed_study.h"

#include "common/base/named_file.h"
#include "experiments/composition/includes.h"
#include "experiments/composition/types_of_places.h"
#include "experiments/composition/variables.h"
#include "experiments/fields/fields.h"
#include "experiments/syntax/overrides.h"

namespace orchestrate {
namespace {

bool ends_with(const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// The tree with every path absolute, so that it means the same in any folder. `path`: the keys that lead to the value.
void make_paths_absolute(Value& value, const std::string& path) {
    if (auto* table = std::get_if<ValueTable>(&value.data)) {
        for (auto& entry : table->entries) {
            make_paths_absolute(entry.value, path.empty() ? entry.key : path + "." + entry.key);
        }
    } else if (auto* list = std::get_if<std::vector<Value>>(&value.data)) {
        for (auto& item : *list) {
            make_paths_absolute(item, path);
        }
    } else if (auto* text = std::get_if<std::string>(&value.data); text && value.where.source) {
        const auto* field = find_field(path);
        // The folder of weights may also stand in a search or an ablation.
        const bool is_path = (field && field->type == "path") || ends_with(path, "model.pretrained");
        if (is_path && !text->empty() && *text != "none") {
            *text = (value.where.source->folder / *text).lexically_normal().string();
        }
    }
}

// A number that the command line gives as 2 stays one: written as 2.0, it is the same job when this is read again.
void keep_numbers(Value& value, const Value& in_file) {
    auto* table = std::get_if<ValueTable>(&value.data);
    const auto* table_in_file = in_file.as_table();
    if (table && table_in_file) {
        for (auto& entry : table->entries) {
            if (const auto* before = table_in_file->find(entry.key)) {
                keep_numbers(entry.value, before->value);
            }
        }
    } else if (const auto* integer = value.as_integer();
               integer && std::holds_alternative<double>(in_file.data) && is_exact_number(*integer)) {
        value.data = static_cast<double>(*integer);
    }
}

// Else it would be the folder of whatever file the text is written to.
void say_command_folder(Value& canonical, const std::string& folder) {
    auto* root = std::get_if<ValueTable>(&canonical.data);
    for (auto& entry : root->entries) {
        auto* command = entry.key == "command" ? std::get_if<ValueTable>(&entry.value.data) : nullptr;
        if (command && !command->find("folder")) {
            command->entries.push_back({"folder", entry.key_where, Value{folder, entry.key_where}});
        }
    }
}

// A section of the file; an empty table where there is none.
Value section_of(const Value& root, const char* name) {
    const auto* table = root.as_table();
    const auto* entry = table ? table->find(name) : nullptr;
    return entry ? entry->value : Value{ValueTable{}, {}};
}

}  // namespace

std::shared_ptr<const SourceText> read_study_source(const std::filesystem::path& file) {
    if (const auto why = why_no_file(file)) {
        std::error_code unknown;
        Diagnostics diagnostics;
        diagnostics.error({std::make_shared<SourceText>(SourceText{file.string(), {}, {}}), 0, 0, 1},
                          (std::filesystem::exists(file, unknown) ? *why : "there is no such file") +
                              "; expected the file of a study, e.g. experiments/quickstart.toml");
        diagnostics.throw_if_any();
    }
    return read_source(file);
}

ComposedStudy compose_study(std::shared_ptr<const SourceText> source,
                            const std::vector<std::string>& overrides, Diagnostics& diagnostics) {
    ComposedStudy study;
    study.source = std::move(source);
    study.root = read_with_includes(study.source, study.is_composed, diagnostics);
    diagnostics.throw_if_any();
    study.parameters_in_file = section_of(study.root, "parameters");
    const Value variables_in_file = section_of(study.root, "variables");
    for (const auto& text : overrides) {
        apply_override(study.root, text, diagnostics);
    }
    const std::size_t before = diagnostics.errors();
    const bool has_variables =
        replace_variables(study.root, variables_in_file, study.parameters_in_file, diagnostics);
    check_characters(study.root, diagnostics);
    if (diagnostics.errors() != before) {
        diagnostics.throw_if_any();  // else each would be a second error where it is used
    }
    fix_types(study.root, study.parameters_in_file);
    for (auto& entry : std::get<ValueTable>(study.root.data).entries) {
        if (entry.key == "parameters") {
            keep_numbers(entry.value, study.parameters_in_file);
        }
    }
    study.is_composed = study.is_composed || has_variables || !overrides.empty();
    return study;
}

std::string canonical_toml(const ComposedStudy& study, const std::string& command_folder) {
    Value canonical = study.root;
    make_paths_absolute(canonical, "");
    say_command_folder(canonical, command_folder);
    return write_toml(canonical);
}

}  // namespace orchestrate
