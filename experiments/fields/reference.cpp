// What the tables of fields and of keys say of themselves: the reference in README.md and `orchestrate explain`.
#include "experiments/fields/reference.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/error.h"
#include "common/base/nearest_name.h"
#include "experiments/fields/fields.h"
#include "experiments/fields/table_keys.h"

namespace orchestrate {
namespace {

std::string markdown_cell(std::string text) {
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
        text.insert(at, "\\");
    }
    return text;
}

std::string last_part(const std::string& path) {
    return path.substr(path.rfind('.') + 1);
}

// Markdown's marks mean nothing on a terminal.
std::string plain(std::string text) {
    text.erase(std::remove(text.begin(), text.end(), '`'), text.end());
    return text;
}

std::string typed(const Field& field) {
    return field.type + (field.unit.empty() ? "" : " (" + field.unit + ")");
}

// Its type and default, and its meaning below them.
std::string in_section(const Field& field) {
    return fmt::format("  {}: {}{}\n", field.path, typed(field),
                       field.default_text.empty() ? "" : ", default " + field.default_text) +
           (field.description.empty() ? "" : "      " + plain(field.description) + "\n");
}

std::string whole(const Field& field) {
    const std::string section = field.path.substr(0, field.path.rfind('.'));
    std::string text = field.path + "\n";
    if (!field.description.empty()) {
        text += "  " + plain(field.description) + "\n";
    }
    text += "\n  type      " + typed(field) + "\n";
    if (!field.range.empty()) {
        text += "  range     " + field.range + "\n";
    }
    text += "  default   " + (field.default_text.empty() ? "none" : field.default_text) + "\n";
    text +=
        fmt::format("  varies    {}\n",
                    field.may_vary ? "yes: [search.space], and set and sweep of [[ablation]], may change it"
                                   : "no: it holds for the whole study");
    const std::string value = field.default_text.empty() || field.default_text.find(' ') != std::string::npos
                                  ? "..."
                                  : field.default_text;
    text += fmt::format("\n  in a study file, in [{}]:   {} = ...\n  on the command line:   --set {}={}\n",
                        section, last_part(field.path), field.path, value);
    return text;
}

std::string whole(const TableKey& key) {
    return fmt::format("{}\n  {}\n\n  type      {}\n\n  in {}:   {}\n", key.path(), plain(key.description),
                       key.type, keyed_table(key.table).written, key.example);
}

std::string whole(const KeyedTable& table) {
    const bool has_keys = !keys_of(table.name).empty();
    std::string text = table.written + "\n  " + plain(table.description) + "\n" + (has_keys ? "\n" : "");
    for (const auto& name : keys_of(table.name)) {
        text += fmt::format("  {:<30} {}\n", table.name + "." + name, table_key(table.name, name).type);
    }
    return text;
}

// A table in Markdown for each kind of table.
std::string key_reference() {
    std::string text;
    for (const auto& table : keyed_tables()) {
        if (keys_of(table.name).empty()) {
            continue;
        }
        text +=
            fmt::format("\n### Keys of {}\n\n| key | type | meaning | example |\n| --- | --- | --- | --- |\n",
                        table.written);
        for (const auto& name : keys_of(table.name)) {
            const TableKey& key = table_key(table.name, name);
            text += fmt::format("| `{}` | {} | {} | `{}` |\n", key.name, markdown_cell(key.type),
                                markdown_cell(key.description), markdown_cell(key.example));
        }
    }
    return text;
}

}  // namespace

std::string field_reference() {
    std::string text;
    std::string section;
    for (const auto& field : fields()) {
        const std::string field_section = field.path.substr(0, field.path.find('.'));
        if (field_section != section) {
            section = field_section;
            text += fmt::format("\n### [{}]\n\n| field | type | range | default | meaning |\n", section);
            text += "| --- | --- | --- | --- | --- |\n";
        }
        const std::string unit = field.unit.empty() ? "" : " (" + field.unit + ")";
        text += fmt::format("| `{}`{} | {}{} | {} | {} | {} |\n", field.path.substr(section.size() + 1),
                            field.may_vary ? " *" : "", markdown_cell(field.type), unit, field.range,
                            field.default_text.empty() ? "" : "`" + field.default_text + "`",
                            markdown_cell(field.description));
    }
    return text + key_reference();
}

std::string explain_field(const std::string& name) {
    if (const Field* field = find_field(name)) {
        return whole(*field);
    }
    for (const auto& table : keyed_tables()) {
        if (table.name == name) {
            return whole(table);
        }
    }
    std::string below;
    std::string same_last_part;
    std::vector<std::string> names;
    for (const auto& field : fields()) {
        names.push_back(field.path);
        names.push_back(last_part(field.path));
        if (field.path.rfind(name + ".", 0) == 0) {
            below += in_section(field);
        } else if (last_part(field.path) == name) {
            same_last_part += (same_last_part.empty() ? "" : "\n") + whole(field);
        }
    }
    for (const auto& key : table_keys()) {
        names.push_back(key.path());
        names.push_back(key.name);
        if (key.path() == name) {
            return whole(key);
        }
        if (key.name == name) {
            same_last_part += (same_last_part.empty() ? "" : "\n") + whole(key);
        }
    }
    if (!below.empty()) {
        return "[" + name + "]\n" + below;
    }
    if (!same_last_part.empty()) {
        return same_last_part;
    }
    const auto nearest = nearest_name(name, names);
    throw UserError("there is no field '" + name + "'" +
                    (nearest ? "; did you mean '" + *nearest + "'?"
                             : "; expected one of experiments/README.md, e.g. train.epochs, or a section, "
                               "e.g. train"));
}

}  // namespace orchestrate
