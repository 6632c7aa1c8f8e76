// Handles a std::variant alternative by alternative: a missing handler is a compile error.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace orchestrate {

template <class... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

// A lambda whose parameter types are written out. Of a generic lambda's operator() no address can be taken.
template <class Handler>
concept NamesItsParameter = requires {
    &std::remove_cvref_t<Handler>::operator();
};

// Calls the handler of the alternative that `variant` holds and returns what it returns; all handlers return the same type.
// Does not compile if an alternative has no handler, or if a handler is a generic lambda, which would take alternatives that
// nobody thought of.
template <class Variant, class... Handlers>
decltype(auto) match(Variant&& variant, Handlers&&... handlers) {
    static_assert((NamesItsParameter<Handlers> && ...),
                  "each handler must name the alternative that it takes");
    return std::visit(Overloaded{std::forward<Handlers>(handlers)...}, std::forward<Variant>(variant));
}

template <class Alternative, class Variant>
inline constexpr bool kIsAlternative = false;
template <class Alternative, class... Alternatives>
inline constexpr bool kIsAlternative<Alternative, std::variant<Alternatives...>> =
    (std::is_same_v<Alternative, Alternatives> || ...);

// The same value as a variant that has more alternatives.
template <class Wider, class Variant>
Wider widen(Variant&& variant) {
    return std::visit([](auto&& value) -> Wider { return std::forward<decltype(value)>(value); },
                      std::forward<Variant>(variant));
}

// The same value as one of several variants which share out its alternatives. Does not compile if one of them is in none, or
// in more than one.
template <class... Parts, class Variant>
std::variant<Parts...> split(Variant&& variant) {
    return std::visit(
        [](auto&& value) {
            static_assert(
                (static_cast<int>(kIsAlternative<std::remove_cvref_t<decltype(value)>, Parts>) + ...) == 1,
                "each alternative must be in exactly one part");
            std::optional<std::variant<Parts...>> found;
            const auto try_part = [&]<class Part>(std::type_identity<Part>) {
                if constexpr (kIsAlternative<std::remove_cvref_t<decltype(value)>, Part>) {
                    found.emplace(Part(std::forward<decltype(value)>(value)));
                }
            };
            (try_part(std::type_identity<Parts>{}), ...);
            return *std::move(found);
        },
        std::forward<Variant>(variant));
}

}  // namespace orchestrate
