// Reads described structs from MessagePack straight into their members, without a tree of values in between: what a
// message costs is bounded by its size (`MessageReader::kBytesPerByte`), whatever it holds. A missing field keeps its
// default, an unknown one is passed over. Not thread-safe.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/describe.hpp>
#include <boost/mp11.hpp>

#include "common/base/json.h"
#include "common/base/typed_id.h"

namespace orchestrate {

// The bytes are not the MessagePack that is expected. `what()` says what was found, and where.
class MessagePackError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class MessageReader {
  public:
    // What a message may take in memory for each of its bytes, and what it may take besides.
    static constexpr std::size_t kBytesPerByte = 4;
    static constexpr std::size_t kFreeBytes = 64U << 10;
    static constexpr int kMaxLevels = 64;

    // Reads from `bytes`, which must outlive it.
    explicit MessageReader(std::span<const std::uint8_t> bytes)
        : bytes_(bytes), budget_(kFreeBytes + kBytesPerByte * bytes.size()) {}

    // All of these throw MessagePackError.
    std::size_t read_array();  // the number of its items, which follow
    std::string_view read_text();
    void skip();  // one value, whatever it is
    void expect_end() const;

    template <DescribedStruct T>
    void read(T& value) {
        using Members = boost::describe::describe_members<T, boost::describe::mod_public |
                                                                 boost::describe::mod_inherited>;
        enter();
        for (std::size_t fields = read_map(); fields > 0; --fields) {
            const std::string_view name = read_text();
            bool known = false;
            boost::mp11::mp_for_each<Members>([&](auto member) {
                if (!known && name == member.name) {
                    known = true;
                    read_field(member.name, value.*member.pointer);
                }
            });
            if (!known) {
                skip();
            }
        }
        --levels_;
    }

    template <DescribedEnum E>
    void read(E& value) {
        const std::string name(read_text().substr(0, 256));
        const auto found = enum_from_name<E>(name);
        if (!found) {
            fail("the unknown name '" + name + "'");
        }
        value = *found;
    }

    template <class Kind>
    void read(TypedId<Kind>& id) {
        std::int64_t value = 0;
        read(value);
        id = TypedId<Kind>(value);
    }

    template <class T>
    void read(std::optional<T>& value) {
        if (next_is_nil()) {
            value.reset();
        } else {
            read(value.emplace());
        }
    }

    template <class T>
    void read(std::vector<T>& values) {
        enter();
        const std::size_t size = read_array();
        spend(size * sizeof(T));
        values.clear();
        values.reserve(size);
        for (std::size_t i = 0; i < size; ++i) {
            read(values.emplace_back());
        }
        --levels_;
    }

    void read(bool& value);
    void read(std::string& value);
    void read(Bytes& value);
    void read(Json& value);

    template <std::floating_point T>
    void read(T& value) {
        value = static_cast<T>(read_number());
    }

    template <std::integral T>
    void read(T& value) {
        const Integer number = read_integer();
        const bool fits = number.is_negative ? std::in_range<T>(static_cast<std::int64_t>(number.bits))
                                             : std::in_range<T>(number.bits);
        if (!fits) {
            fail("a number that does not fit in " + std::to_string(8 * sizeof(T)) + " bits");
        }
        value = number.is_negative ? static_cast<T>(static_cast<std::int64_t>(number.bits))
                                   : static_cast<T>(number.bits);
    }

  private:
    struct Integer {
        std::uint64_t bits = 0;
        bool is_negative = false;
    };

    template <class T>
    void read_field(const char* name, T& value) {
        try {
            read(value);
        } catch (const MessagePackError& error) {
            throw MessagePackError(std::string(name) +
                                   (std::string_view(error.what()).starts_with("is ") ? " " : ".") +
                                   error.what());
        }
    }

    [[noreturn]] void fail(const std::string& found) const;
    void enter();
    void spend(std::size_t bytes);
    std::uint8_t take_byte();
    std::uint64_t take_big_endian(int bytes);
    std::string_view take(std::size_t size);
    std::size_t read_map();
    // Of an array or a map: each item is a byte at least.
    std::size_t size_of(std::uint64_t size, std::size_t bytes_each) const;
    bool next_is_nil();
    Integer read_integer();
    double read_number();

    std::span<const std::uint8_t> bytes_;
    std::size_t at_ = 0;
    std::size_t budget_;
    int levels_ = 0;
};

}  // namespace orchestrate
