// Handles a std::variant alternative by alternative: a missing handler is a compile error.
#pragma once

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

}  // namespace orchestrate
