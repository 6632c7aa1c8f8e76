#include "common/protocol/message_reader.h"

#include <algorithm>
#include <bit>

#include "common/protocol/strict_msgpack.h"

namespace orchestrate {
namespace {

// What a value costs in a tree of values, beside what it holds.
constexpr std::size_t kTreeBytes = 64;

enum class Kind { integer, map, list, string, null, boolean, number, binary };

Kind kind_of(std::uint8_t lead) {
    if (lead <= 0x7f || lead >= 0xe0 || (lead >= 0xcc && lead <= 0xd3)) {
        return Kind::integer;
    }
    if (lead <= 0x8f || lead == 0xde || lead == 0xdf) {
        return Kind::map;
    }
    if (lead <= 0x9f || lead == 0xdc || lead == 0xdd) {
        return Kind::list;
    }
    if (lead <= 0xbf || (lead >= 0xd9 && lead <= 0xdb)) {
        return Kind::string;
    }
    if (lead == 0xc0) {
        return Kind::null;
    }
    if (lead == 0xc2 || lead == 0xc3) {
        return Kind::boolean;
    }
    return lead == 0xca || lead == 0xcb ? Kind::number : Kind::binary;
}

std::string words_for(std::uint8_t lead) {
    switch (kind_of(lead)) {
        case Kind::integer:
            return "an integer";
        case Kind::map:
            return "a map";
        case Kind::list:
            return "a list";
        case Kind::string:
            return "a string";
        case Kind::null:
            return "null";
        case Kind::boolean:
            return "a boolean";
        case Kind::number:
            return "a number";
        case Kind::binary:
            return "binary data";
    }
    return "";
}

}  // namespace

void MessageReader::fail(const std::string& found) const {
    throw MessagePackError("is " + found + " (byte " + std::to_string(at_) + ")");
}

void MessageReader::enter() {
    if (++levels_ > kMaxLevels) {
        fail("nested deeper than " + std::to_string(kMaxLevels) + " levels");
    }
}

void MessageReader::spend(std::size_t bytes) {
    if (bytes > budget_) {
        fail("larger in memory than its size allows");
    }
    budget_ -= bytes;
}

std::uint8_t MessageReader::take_byte() {
    if (at_ == bytes_.size()) {
        fail("cut off");
    }
    return bytes_[at_++];
}

std::uint64_t MessageReader::take_big_endian(int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) {
        value = value << 8 | take_byte();
    }
    return value;
}

std::string_view MessageReader::take(std::size_t size) {
    if (size > bytes_.size() - at_) {
        fail("cut off");
    }
    const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + at_, size);
    at_ += size;
    return taken;
}

std::size_t MessageReader::size_of(std::uint64_t size, std::size_t bytes_each) const {
    if (size > (bytes_.size() - at_) / bytes_each) {
        fail("cut off");
    }
    return size;
}

std::size_t MessageReader::read_array() {
    const std::uint8_t lead = take_byte();
    if (lead >= 0x90 && lead <= 0x9f) {
        return size_of(lead & 0x0f, 1);
    }
    if (lead == 0xdc || lead == 0xdd) {
        return size_of(take_big_endian(lead == 0xdc ? 2 : 4), 1);
    }
    --at_;
    fail(words_for(lead) + ", expected a list");
}

std::size_t MessageReader::read_map() {
    const std::uint8_t lead = take_byte();
    if (lead >= 0x80 && lead <= 0x8f) {
        return size_of(lead & 0x0f, 2);
    }
    if (lead == 0xde || lead == 0xdf) {
        return size_of(take_big_endian(lead == 0xde ? 2 : 4), 2);
    }
    --at_;
    fail(words_for(lead) + ", expected a map");
}

std::string_view MessageReader::read_text() {
    const std::uint8_t lead = take_byte();
    if (lead >= 0xa0 && lead <= 0xbf) {
        return take(lead & 0x1f);
    }
    if (lead >= 0xd9 && lead <= 0xdb) {
        return take(take_big_endian(1 << (lead - 0xd9)));
    }
    --at_;
    fail(words_for(lead) + ", expected a string");
}

bool MessageReader::next_is_nil() {
    if (at_ < bytes_.size() && bytes_[at_] == 0xc0) {
        ++at_;
        return true;
    }
    return false;
}

void MessageReader::read(bool& value) {
    const std::uint8_t lead = take_byte();
    if (lead != 0xc2 && lead != 0xc3) {
        --at_;
        fail(words_for(lead) + ", expected a boolean");
    }
    value = lead == 0xc3;
}

void MessageReader::read(std::string& value) {
    const std::string_view text = read_text();
    spend(text.size());
    value.assign(text);
}

void MessageReader::read(Bytes& value) {
    const std::uint8_t lead = take_byte();
    if (lead < 0xc4 || lead > 0xc6) {
        --at_;
        fail(words_for(lead) + ", expected binary data");
    }
    const std::string_view data = take(take_big_endian(1 << (lead - 0xc4)));
    spend(data.size());
    value.values.assign(data.begin(), data.end());
}

void MessageReader::read(Json& value) {
    const std::size_t begin = at_;
    const std::size_t before = budget_;
    skip();
    spend((at_ - begin) * kTreeBytes > before ? before + 1 : (at_ - begin) * kTreeBytes);
    try {
        value = parse_strict_msgpack(bytes_.subspan(begin, at_ - begin));
    } catch (const std::exception& error) {
        fail(error.what());
    }
}

MessageReader::Integer MessageReader::read_integer() {
    const std::uint8_t lead = take_byte();
    if (lead <= 0x7f) {
        return {lead, false};
    }
    if (lead >= 0xe0) {
        return {static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int8_t>(lead))), true};
    }
    if (lead >= 0xcc && lead <= 0xcf) {
        return {take_big_endian(1 << (lead - 0xcc)), false};
    }
    if (lead >= 0xd0 && lead <= 0xd3) {
        const int bytes = 1 << (lead - 0xd0);
        const int unused = 64 - 8 * bytes;
        const auto value = static_cast<std::int64_t>(take_big_endian(bytes) << unused) >> unused;
        return {static_cast<std::uint64_t>(value), value < 0};
    }
    --at_;
    fail(words_for(lead) + ", expected an integer");
}

double MessageReader::read_number() {
    const std::uint8_t lead = take_byte();
    if (lead == 0xca) {
        return std::bit_cast<float>(static_cast<std::uint32_t>(take_big_endian(4)));
    }
    if (lead == 0xcb) {
        return std::bit_cast<double>(take_big_endian(8));
    }
    --at_;
    if (kind_of(lead) != Kind::integer) {
        fail(words_for(lead) + ", expected a number");
    }
    const Integer integer = read_integer();
    return integer.is_negative ? static_cast<double>(static_cast<std::int64_t>(integer.bits))
                               : static_cast<double>(integer.bits);
}

void MessageReader::skip() {
    // How many values are left at each level; a list or map within one opens another level.
    std::vector<std::size_t> left = {1};
    const auto open = [&](std::size_t values) {
        if (left.size() + static_cast<std::size_t>(levels_) > static_cast<std::size_t>(kMaxLevels)) {
            fail("nested deeper than " + std::to_string(kMaxLevels) + " levels");
        }
        left.push_back(values);
    };
    while (!left.empty()) {
        if (left.back() == 0) {
            left.pop_back();
            continue;
        }
        --left.back();
        const std::uint8_t lead = take_byte();
        --at_;
        const Kind kind = kind_of(lead);
        if (kind == Kind::list) {
            open(read_array());
        } else if (kind == Kind::map) {
            open(2 * read_map());
        } else if (kind == Kind::string) {
            read_text();
        } else if (kind == Kind::integer || kind == Kind::number) {
            read_number();
        } else if (lead >= 0xc4 && lead <= 0xc6) {
            ++at_;
            take(take_big_endian(1 << (lead - 0xc4)));
        } else if (lead >= 0xc7 && lead <= 0xc9) {
            ++at_;
            const std::uint64_t size = take_big_endian(1 << (lead - 0xc7));
            take(1);
            take(size);
        } else if (lead >= 0xd4 && lead <= 0xd8) {
            ++at_;
            take(std::size_t{1} + (std::size_t{1} << (lead - 0xd4)));
        } else if (lead == 0xc1) {
            fail("not MessagePack");
        } else {
            ++at_;
        }
    }
}

void MessageReader::expect_end() const {
    if (at_ != bytes_.size()) {
        fail("followed by other bytes");
    }
}

}  // namespace orchestrate
