// JSON for plain structs: any struct or enum described with Boost.Describe converts to and from
// nlohmann::json, so that no field is ever copied by hand. A missing field keeps its default (an older peer
// may not know it), an unknown one is ignored; a field of the wrong type throws nlohmann::json::exception.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <boost/describe.hpp>
#include <boost/mp11.hpp>
#include <nlohmann/json.hpp>

#include "common/base/typed_id.h"

namespace orchestrate {

using Json = nlohmann::json;

template <class T>
concept DescribedStruct = boost::describe::has_describe_members<T>::value && !std::is_union_v<T>;

template <class E>
concept DescribedEnum = boost::describe::has_describe_enumerators<E>::value;

// The name of an enumerator, as it stands in files, messages and the database.
template <DescribedEnum E>
std::string to_string(E value) {
    return boost::describe::enum_to_string(value, "unknown");
}

// All names of an enumeration, in order of declaration.
template <DescribedEnum E>
std::vector<std::string> enum_names() {
    std::vector<std::string> names;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>(
        [&](auto enumerator) { names.emplace_back(enumerator.name); });
    return names;
}

// Bytes that travel as they are, in MessagePack's binary form.
struct Bytes {
    std::vector<std::uint8_t> values;
    bool operator==(const Bytes&) const = default;
};

// The enumerator of that name, or nothing.
template <DescribedEnum E>
std::optional<E> enum_from_name(const std::string& name) {
    E value{};
    if (boost::describe::enum_from_string(name.c_str(), value)) {
        return value;
    }
    return std::nullopt;
}

template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;

// As j.get_to(value), but a number with a fraction, or one that `value` has no room for, is no integer: to convert it
// is undefined. Throws what nlohmann::json throws, or std::invalid_argument.
template <class T>
void read_field(const Json& j, T& value) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        const bool fits = j.is_number_unsigned()  ? std::in_range<T>(j.get<std::uint64_t>())
                          : j.is_number_integer() ? std::in_range<T>(j.get<std::int64_t>())
                                                  : false;
        if (!fits) {
            throw std::invalid_argument("expected an integer of " + std::to_string(8 * sizeof(T)) +
                                        " bits, found " + (j.is_number() ? j.dump() : j.type_name()));
        }
        j.get_to(value);
    } else if constexpr (kIsTypedId<T>) {
        std::int64_t number = 0;
        read_field(j, number);
        value = T(number);
    } else if constexpr (kIsVector<T>) {
        if (!j.is_array()) {
            throw std::invalid_argument("expected a list, found " + std::string(j.type_name()));
        }
        value.clear();
        value.reserve(j.size());
        for (const auto& element : j) {
            read_field(element, value.emplace_back());
        }
    } else {
        j.get_to(value);
    }
}

}  // namespace orchestrate

namespace nlohmann {

template <class T>
struct adl_serializer<std::optional<T>> {
    static void to_json(json& j, const std::optional<T>& value) {
        if (value) {
            j = *value;
        } else {
            j = nullptr;
        }
    }
    static void from_json(const json& j, std::optional<T>& value) {
        if (j.is_null()) {
            value.reset();
        } else {
            orchestrate::read_field(j, value.emplace());
        }
    }
};

template <>
struct adl_serializer<orchestrate::Bytes> {
    static void to_json(json& j, const orchestrate::Bytes& value) { j = json::binary(value.values); }
    static void from_json(const json& j, orchestrate::Bytes& value) { value.values = j.get_binary(); }
};

template <orchestrate::DescribedEnum E>
struct adl_serializer<E> {
    static void to_json(json& j, E value) { j = orchestrate::to_string(value); }
    static void from_json(const json& j, E& value) {
        const auto name = j.get<std::string>();
        const auto found = orchestrate::enum_from_name<E>(name);
        if (!found) {
            throw std::invalid_argument("unknown name '" + name + "'");
        }
        value = *found;
    }
};

template <orchestrate::DescribedStruct T>
struct adl_serializer<T> {
    using Members =
        boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;

    static void to_json(json& j, const T& value) {
        j = json::object();
        boost::mp11::mp_for_each<Members>([&](auto member) { j[member.name] = value.*member.pointer; });
    }
    static void from_json(const json& j, T& value) {
        if (!j.is_object()) {
            throw std::invalid_argument("expected an object, found " + std::string(j.type_name()));
        }
        boost::mp11::mp_for_each<Members>([&](auto member) {
            if (const auto found = j.find(member.name); found != j.end()) {
                orchestrate::read_field(*found, value.*member.pointer);
            }
        });
    }
};

}  // namespace nlohmann
