#include "common/job/command_arguments.h"

#include <functional>

#include "common/base/error.h"

namespace orchestrate {
namespace {

// The argument with whatever `value_of` says in the place of each name.
std::string replace_names(const std::string& argument,
                          const std::function<std::string(const std::string&)>& value_of) {
    std::string text;
    for (std::size_t i = 0; i < argument.size(); ++i) {
        const char c = argument[i];
        const bool is_double = i + 1 < argument.size() && argument[i + 1] == c;
        if ((c == '{' || c == '}') && is_double) {
            text += c;
            ++i;
        } else if (c == '{') {
            const std::size_t end = argument.find('}', i);
            if (end == std::string::npos) {
                throw UserError(
                    "'" + argument +
                    "' opens a brace that is not closed; expected {name}, or {{ for the brace itself");
            }
            text += value_of(argument.substr(i + 1, end - i - 1));
            i = end;
        } else if (c == '}') {
            throw UserError(
                "'" + argument +
                "' closes a brace that was not opened; expected {name}, or }} for the brace itself");
        } else {
            text += c;
        }
    }
    return text;
}

}  // namespace

std::vector<std::string> names_in_braces(const std::string& argument) {
    std::vector<std::string> names;
    replace_names(argument, [&](const std::string& name) {
        names.push_back(name);
        return std::string();
    });
    return names;
}

std::string as_argument(const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

const Json* find_parameter(const Json& parameters, const std::string& name) {
    const Json* found = &parameters;
    for (std::size_t begin = 0; begin <= name.size();) {
        const std::size_t end = std::min(name.find('.', begin), name.size());
        const auto at = found->is_object() ? found->find(name.substr(begin, end - begin)) : found->end();
        if (at == found->end()) {
            return nullptr;
        }
        found = &*at;
        begin = end + 1;
    }
    return found->is_object() ? nullptr : found;
}

std::vector<std::string> filled_in(const CommandConfig& command, const Json& other_values) {
    std::vector<std::string> arguments;
    for (const auto& argument : command.run) {
        arguments.push_back(replace_names(argument, [&](const std::string& name) {
            if (const Json* parameter = find_parameter(command.parameters, name)) {
                return as_argument(*parameter);
            }
            if (const auto other = other_values.find(name); other != other_values.end()) {
                return as_argument(*other);
            }
            throw UserError("'" + argument + "' names {" + name + "}, which is no parameter");
        }));
    }
    return arguments;
}

}  // namespace orchestrate
