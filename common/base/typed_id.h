// Numbers that name things of one kind: two of different kinds cannot be compared, converted or passed for each other.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace orchestrate {

// `Kind` is what is named; it need not be complete. 0 names nothing.
template <class Kind>
class TypedId {
  public:
    constexpr TypedId() = default;
    constexpr explicit TypedId(std::int64_t value) : value_(value) {}

    constexpr std::int64_t value() const { return value_; }
    auto operator<=>(const TypedId&) const = default;  // NOLINT(modernize-use-nullptr)

  private:
    std::int64_t value_ = 0;
};

template <class T>
inline constexpr bool kIsTypedId = false;
template <class Kind>
inline constexpr bool kIsTypedId<TypedId<Kind>> = true;

}  // namespace orchestrate

template <class Kind>
struct std::hash<orchestrate::TypedId<Kind>> {
    std::size_t operator()(orchestrate::TypedId<Kind> id) const noexcept {
        return std::hash<std::int64_t>{}(id.value());
    }
};

template <class Kind>
struct fmt::formatter<orchestrate::TypedId<Kind>> : fmt::formatter<std::int64_t> {
    template <class Context>
    auto format(orchestrate::TypedId<Kind> id, Context& context) const {
        return fmt::formatter<std::int64_t>::format(id.value(), context);
    }
};

template <class Kind>
struct nlohmann::adl_serializer<orchestrate::TypedId<Kind>> {
    static void to_json(json& j, orchestrate::TypedId<Kind> id) { j = id.value(); }
    static void from_json(const json& j, orchestrate::TypedId<Kind>& id) {
        id = orchestrate::TypedId<Kind>(j.get<std::int64_t>());
    }
};
