#include <algorithm>
#include <charconv>
#include <string_view>

#include "common/base/sha256.h"
#include "common/job/command_identity.h"
#include "common/job/job_config.h"

namespace orchestrate {
namespace {

constexpr bool is_less(std::string_view a, std::string_view b) {
    return a < b;
}

template <class A, class B>
using ByName = boost::mp11::mp_bool<is_less(A::name, B::name)>;

template <class T>
using SortedMembers = boost::mp11::mp_sort<
    boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>,
    ByName>;

// Writes what Json(value).dump() would, without making the tree: a study of 100,000 jobs writes each of them.
class CanonicalWriter {
  public:
    explicit CanonicalWriter(std::string& text) : text_(text) {}

    template <DescribedStruct T>
    void write(const T& value) {
        text_ += '{';
        bool is_first = true;
        boost::mp11::mp_for_each<SortedMembers<T>>([&](auto member) {
            if (is_empty(value.*member.pointer)) {
                return;  // so that what was added later leaves identities as they were
            }
            text_ += is_first ? "\"" : ",\"";
            is_first = false;
            text_ += member.name;
            text_ += "\":";
            write(value.*member.pointer);
        });
        text_ += '}';
    }

    template <DescribedEnum E>
    void write(E value) {
        text_ += '"';
        text_ += boost::describe::enum_to_string(value, "unknown");
        text_ += '"';
    }

    template <class T>
    void write(const std::vector<T>& values) {
        text_ += '[';
        for (std::size_t i = 0; i < values.size(); ++i) {
            text_ += i == 0 ? "" : ",";
            write(values[i]);
        }
        text_ += ']';
    }

    template <class T>
    void write(const std::optional<T>& value) {
        write(*value);
    }

    void write(const Json& value) { text_ += value.dump(); }

    void write(bool value) { text_ += value ? "true" : "false"; }

    template <std::integral T>
    void write(T value) {
        char digits[24];
        text_.append(digits, std::to_chars(std::begin(digits), std::end(digits), value).ptr);
    }

    // As the library writes it, which is not always the shortest form; identities depend on the very digits.
    void write(double value) { text_ += Json(value).dump(); }

    void write(const std::string& value) {
        for (const char c : value) {
            if (c < ' ' || c > '~' || c == '"' || c == '\\') {
                text_ += Json(value).dump();  // escapes, and refuses what is no UTF-8
                return;
            }
        }
        text_ += '"';
        text_ += value;
        text_ += '"';
    }

  private:
    template <class T>
    static bool is_empty(const T&) {
        return false;
    }
    template <class T>
    static bool is_empty(const std::optional<T>& value) {
        return !value;
    }

    std::string& text_;
};

}  // namespace

std::string canonical_json(const JobConfig& config) {
    std::string text;
    text.reserve(4096);
    CanonicalWriter writer(text);
    if (config.command) {
        text += "{\"command\":";
        writer.write(*config.command);
        text += ",\"seed\":";
        writer.write(config.seed);
        text += '}';
    } else {
        writer.write(config);
    }
    return text;
}

bool has_absolute_program(const JobConfig& config) {
    if (!config.command || config.command->run.empty() || !config.command->run.front().starts_with('/')) {
        return false;
    }
    const CommandConfig& command = *config.command;
    return std::none_of(command.files.begin(), command.files.end(),
                        [&](const CommandFile& file) { return file.name == command.run.front(); });
}

std::string job_identity(const JobConfig& config) {
    if (!has_absolute_program(config)) {
        return sha256_hex(canonical_json(config));
    }
    JobConfig anywhere = config;
    std::string& program = anywhere.command->run.front();
    program.erase(0, program.rfind('/') + 1);
    return sha256_hex(canonical_json(anywhere));
}

}  // namespace orchestrate
