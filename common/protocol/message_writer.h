// Writes described structs as MessagePack straight into bytes, without a tree of values in between: a lease has some
// hundred of them. Not thread-safe.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/describe.hpp>
#include <boost/mp11.hpp>

#include "common/base/json.h"
#include "common/base/typed_id.h"

namespace orchestrate {

class MessageWriter {
  public:
    // Appends to `bytes`, which must outlive it.
    explicit MessageWriter(std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}

    void begin_array(std::size_t size) { header(size, 0x90, 15, 0, 0xdc, 0xdd); }

    template <DescribedStruct T>
    void write(const T& value) {
        using Members = boost::describe::describe_members<T, boost::describe::mod_public |
                                                                 boost::describe::mod_inherited>;
        header(boost::mp11::mp_size<Members>::value, 0x80, 15, 0, 0xde, 0xdf);
        boost::mp11::mp_for_each<Members>([&](auto member) {
            write(std::string_view(member.name));
            write(value.*member.pointer);
        });
    }

    template <DescribedEnum E>
    void write(E value) {
        write(std::string_view(boost::describe::enum_to_string(value, "unknown")));
    }

    template <class Kind>
    void write(TypedId<Kind> id) {
        write(id.value());
    }

    template <class T>
    void write(const std::optional<T>& value) {
        if (value) {
            write(*value);
        } else {
            bytes_.push_back(0xc0);
        }
    }

    template <class T>
    void write(const std::vector<T>& values) {
        begin_array(values.size());
        for (const auto& value : values) {
            write(value);
        }
    }

    void write(bool value) { bytes_.push_back(value ? 0xc3 : 0xc2); }

    template <std::integral T>
    void write(T value) {
        if (std::cmp_less(value, 0)) {
            if (std::cmp_greater_equal(value, -32)) {
                bytes_.push_back(static_cast<std::uint8_t>(value));
            } else {
                bytes_.push_back(0xd3);
                big_endian(static_cast<std::uint64_t>(static_cast<std::int64_t>(value)), 8);
            }
        } else if (std::cmp_less(value, 128)) {
            bytes_.push_back(static_cast<std::uint8_t>(value));
        } else if (std::cmp_less(value, std::uint64_t{1} << 32)) {
            bytes_.push_back(0xce);
            big_endian(static_cast<std::uint64_t>(value), 4);
        } else {
            bytes_.push_back(0xcf);
            big_endian(static_cast<std::uint64_t>(value), 8);
        }
    }

    void write(double value) {
        bytes_.push_back(0xcb);
        big_endian(std::bit_cast<std::uint64_t>(value), 8);
    }
    void write(float value) {
        bytes_.push_back(0xca);
        big_endian(std::bit_cast<std::uint32_t>(value), 4);
    }

    void write(std::string_view text) {
        header(text.size(), 0xa0, 31, 0xd9, 0xda, 0xdb);
        bytes_.insert(bytes_.end(), text.begin(), text.end());
    }
    void write(const std::string& text) { write(std::string_view(text)); }

    void write(const Bytes& value) {
        header(value.values.size(), 0, -1, 0xc4, 0xc5, 0xc6);
        bytes_.insert(bytes_.end(), value.values.begin(), value.values.end());
    }

    // A value whose form is not known here.
    void write(const Json& value) { Json::to_msgpack(value, bytes_); }

  private:
    // `small_limit`: up to that size it is a part of the first byte; a form of 0 does not exist.
    void header(std::size_t size, std::uint8_t small, int small_limit, std::uint8_t form_8,
                std::uint8_t form_16, std::uint8_t form_32) {
        if (std::cmp_less_equal(size, small_limit)) {
            bytes_.push_back(static_cast<std::uint8_t>(small | size));
        } else if (form_8 != 0 && size < 256) {
            bytes_.push_back(form_8);
            big_endian(size, 1);
        } else if (size < 65536) {
            bytes_.push_back(form_16);
            big_endian(size, 2);
        } else {
            bytes_.push_back(form_32);
            big_endian(size, 4);
        }
    }

    void big_endian(std::uint64_t value, int bytes) {
        for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
            bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
        }
    }

    std::vector<std::uint8_t>& bytes_;
};

}  // namespace orchestrate
