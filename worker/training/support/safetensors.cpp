#include "worker/training/support/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "common/base/error.h"
#include "common/base/named_file.h"
#include "common/base/strict_json.h"

namespace orchestrate {

namespace {

static_assert(std::endian::native == std::endian::little, "values are stored as they lie in memory");

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
constexpr int kHeaderLevels = 3;  // the header, a tensor, its shape

std::optional<std::uint64_t> bytes_of_type(const std::string& type) {
    static const std::map<std::string, std::uint64_t> kBytes = {
        {"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
        {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"U16", 2},  {"U32", 4}, {"U64", 8}};
    const auto found = kBytes.find(type);
    return found == kBytes.end() ? std::nullopt : std::optional(found->second);
}

template <class Stored, class Wanted, class Convert>
std::vector<Wanted> converted(const SafeTensor& tensor, const Convert& convert) {
    std::vector<Wanted> values(tensor.bytes.size() / sizeof(Stored));
    for (std::size_t i = 0; i < values.size(); ++i) {
        Stored value;
        std::memcpy(&value, tensor.bytes.data() + i * sizeof(Stored), sizeof(Stored));
        values[i] = convert(value);
    }
    return values;
}

// IEEE 754 half precision: 1 sign bit, 5 of the exponent, 10 of the fraction.
float float_of_half(std::uint16_t half) {
    const std::uint32_t sign = (half & 0x8000U) << 16;
    const std::uint32_t exponent = (half >> 10) & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
        return sign != 0 ? -magnitude : magnitude;
    }
    const std::uint32_t wide = exponent == 0x1FU ? 0xFFU : exponent + 127 - 15;
    return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

class HeaderParser {
  public:
    HeaderParser(std::uint64_t data_bytes, const std::string& name) : data_bytes_(data_bytes), name_(name) {}

    TensorPlaces parse(std::string_view text) {
        const Json header = parse_strict_json(text, name_ + ": header", kHeaderLevels);
        TensorPlaces tensors;
        for (const auto& [tensor, entry] : header.items()) {
            if (tensor == "__metadata__") {
                check_metadata(entry);
            } else {
                tensors.emplace(tensor, place_of(tensor, entry));
            }
        }
        check_cover(tensors);
        return tensors;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const { throw UserError(name_ + ": " + what); }

    void check_metadata(const Json& metadata) const {
        const bool fits = metadata.is_object() && std::all_of(metadata.begin(), metadata.end(),
                                                              [](const Json& v) { return v.is_string(); });
        if (!fits) {
            fail("__metadata__ in the header is no object of texts");
        }
    }

    TensorPlace place_of(const std::string& tensor, const Json& entry) const {
        const auto member = [&](const char* key) -> const Json& {
            const auto found = entry.is_object() ? entry.find(key) : entry.end();
            if (!entry.is_object() || found == entry.end()) {
                fail("tensor '" + tensor + "' has no " + key + " in the header");
            }
            return *found;
        };
        const auto whole = [](const Json& value) {
            return value.is_number_unsigned() &&
                   value.get<std::uint64_t>() <=
                       static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
        };
        TensorPlace place;
        const Json& type = member("dtype");
        const auto element_bytes =
            type.is_string() ? bytes_of_type(type.get_ref<const std::string&>()) : std::nullopt;
        if (!element_bytes) {
            fail("tensor '" + tensor + "' has the unknown type " + type.dump(-1, ' ', true));
        }
        place.type = type.get<std::string>();
        const Json& shape = member("shape");
        if (!shape.is_array() || !std::all_of(shape.begin(), shape.end(), whole)) {
            fail("tensor '" + tensor + "': shape is no list of whole numbers");
        }
        std::uint64_t wanted = *element_bytes;
        for (const auto& extent : shape) {
            const auto count = extent.get<std::uint64_t>();
            if (count > 0 && wanted > std::numeric_limits<std::uint64_t>::max() / count) {
                fail("tensor '" + tensor + "' has an impossible shape");
            }
            wanted *= count;
            place.shape.push_back(static_cast<std::int64_t>(count));
        }
        const Json& range = member("data_offsets");
        if (!range.is_array() || range.size() != 2 || !std::all_of(range.begin(), range.end(), whole)) {
            fail("tensor '" + tensor + "': data_offsets are not two whole numbers");
        }
        place.begin = range[0].get<std::uint64_t>();
        place.end = range[1].get<std::uint64_t>();
        if (place.begin > place.end || place.end > data_bytes_ || place.end - place.begin != wanted) {
            fail("tensor '" + tensor + "' should have " + std::to_string(wanted) +
                 " bytes but is said to lie at " + std::to_string(place.begin) + " to " +
                 std::to_string(place.end) + " of " + std::to_string(data_bytes_) + " bytes of data");
        }
        return place;
    }

    void check_cover(const TensorPlaces& tensors) const {
        std::vector<std::pair<const std::string*, const TensorPlace*>> in_order;
        for (const auto& [tensor, place] : tensors) {
            in_order.emplace_back(&tensor, &place);
        }
        std::sort(in_order.begin(), in_order.end(), [](const auto& a, const auto& b) {
            return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
        });
        std::uint64_t covered = 0;
        for (const auto& [tensor, place] : in_order) {
            if (place->begin != covered) {
                fail("tensor '" + *tensor + "' begins at byte " + std::to_string(place->begin) +
                     " of the data, expected " + std::to_string(covered) + ": tensors " +
                     (place->begin < covered ? "overlap" : "leave a gap"));
            }
            covered = place->end;
        }
        if (covered != data_bytes_) {
            fail("the tensors have " + std::to_string(covered) + " bytes, but the file has " +
                 std::to_string(data_bytes_) + " bytes of data");
        }
    }

    std::uint64_t data_bytes_;
    const std::string& name_;
};

}  // namespace

std::int64_t SafeTensor::elements() const {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) {
        count *= extent;
    }
    return count;
}

std::vector<float> SafeTensor::floats() const {
    if (type == "F32") {
        return converted<float, float>(*this, [](float value) { return value; });
    }
    if (type == "F64") {
        return converted<double, float>(*this, [](double value) { return static_cast<float>(value); });
    }
    if (type == "BF16") {
        return converted<std::uint16_t, float>(
            *this, [](std::uint32_t value) { return std::bit_cast<float>(value << 16); });
    }
    if (type == "F16") {
        return converted<std::uint16_t, float>(*this, float_of_half);
    }
    throw UserError("a tensor of type " + type + " was found where F32, F16, BF16 or F64 was expected");
}

std::vector<std::int64_t> SafeTensor::integers() const {
    if (type == "I64") {
        return converted<std::int64_t, std::int64_t>(*this, [](std::int64_t value) { return value; });
    }
    if (type == "I32") {
        return converted<std::int32_t, std::int64_t>(*this, [](std::int32_t value) { return value; });
    }
    throw UserError("a tensor of type " + type + " was found where I64 or I32 was expected");
}

TensorPlaces parse_safetensors_header(std::string_view header, std::uint64_t data_bytes,
                                      const std::string& name) {
    return HeaderParser(data_bytes, name).parse(header);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : path_(path), file_(open_named_file(path)) {
    const auto fail = [&](const std::string& what) { throw UserError("'" + path.string() + "': " + what); };
    const std::uint64_t file_size = std::filesystem::file_size(path);
    std::uint64_t header_size = 0;
    if (file_size < sizeof header_size) {
        fail("is shorter than the 8 bytes that hold the length of its header");
    }
    file_.read(reinterpret_cast<char*>(&header_size), sizeof header_size);
    if (header_size > file_size - sizeof header_size) {
        fail("says that its header has " + std::to_string(header_size) + " bytes, but the whole file has " +
             std::to_string(file_size) + ": it is truncated or no safetensors file");
    }
    if (header_size > kMaxHeaderBytes) {
        fail("says that its header has " + std::to_string(header_size) + " bytes, expected at most " +
             std::to_string(kMaxHeaderBytes));
    }
    std::string header(header_size, '\0');
    file_.read(header.data(), static_cast<std::streamsize>(header_size));
    if (!file_) {
        fail("cannot be read");
    }
    data_begin_ = sizeof header_size + header_size;
    tensors_ = parse_safetensors_header(header, file_size - data_begin_, "'" + path.string() + "'");
}

SafeTensor SafetensorsFile::read(const std::string& name) {
    const TensorPlace& place = tensors_.at(name);
    SafeTensor tensor{place.type, place.shape, {}};
    tensor.bytes.resize(place.end - place.begin);
    file_.seekg(static_cast<std::streamoff>(data_begin_ + place.begin));
    file_.read(reinterpret_cast<char*>(tensor.bytes.data()),
               static_cast<std::streamsize>(tensor.bytes.size()));
    if (!file_) {
        throw UserError("'" + path_.string() + "': cannot be read at tensor '" + name + "'");
    }
    return tensor;
}

std::vector<std::byte> safetensors_head(std::span<const TensorPiece> tensors) {
    constexpr std::size_t kAlignment = 8;
    Json header = {{"__metadata__", {{"format", "pt"}}}};
    std::uint64_t end = 0;
    for (const TensorPiece& tensor : tensors) {
        const std::uint64_t begin = end;
        end += tensor.bytes.size();
        header[tensor.name] = {
            {"dtype", tensor.type}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    }
    std::string text = header.dump();
    text.resize((text.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
    const std::uint64_t size = text.size();
    std::vector<std::byte> head(sizeof size + text.size());
    std::memcpy(head.data(), &size, sizeof size);
    std::memcpy(head.data() + sizeof size, text.data(), text.size());
    return head;
}

std::map<std::string, SafeTensor> read_safetensors(const std::filesystem::path& path) {
    SafetensorsFile file(path);
    std::map<std::string, SafeTensor> tensors;
    for (const auto& [name, place] : file.tensors()) {
        tensors.emplace(name, file.read(name));
    }
    return tensors;
}

}  // namespace orchestrate
