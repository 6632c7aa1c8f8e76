#include "common/base/environment.h"

#include <unistd.h>

namespace orchestrate {

Environment current_environment() {
    Environment environment;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
        const std::string text(*variable);
        const std::size_t equals = text.find('=');
        if (equals != std::string::npos) {
            environment.emplace(text.substr(0, equals), text.substr(equals + 1));
        }
    }
    return environment;
}

std::vector<std::string> environment_texts(const Environment& environment) {
    std::vector<std::string> texts;
    texts.reserve(environment.size());
    for (const auto& [name, value] : environment) {
        texts.push_back(name);
        texts.back().append("=").append(value);
    }
    return texts;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

}  // namespace orchestrate
