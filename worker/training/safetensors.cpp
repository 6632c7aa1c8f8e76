#include "worker/training/safetensors.h"

#include <cstring>
#include <fstream>
#include <limits>
#include <optional>

#include "common/error.h"
#include "common/json.h"

namespace orchestrate {

namespace {

std::optional<std::int64_t> bytes_of_type(const std::string& type) {
    static const std::map<std::string, std::int64_t> kBytes = {
        {"F64", 8}, {"F32", 4}, {"F16", 2},  {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
        {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"U16", 2},  {"U32", 4}, {"U64", 8}};
    const auto found = kBytes.find(type);
    return found == kBytes.end() ? std::nullopt : std::optional(found->second);
}

template <class Stored, class Wanted>
std::vector<Wanted> converted(const SafeTensor& tensor) {
    std::vector<Wanted> values(static_cast<std::size_t>(tensor.elements()));
    for (std::size_t i = 0; i < values.size(); ++i) {
        Stored value;
        std::memcpy(&value, tensor.bytes.data() + i * sizeof(Stored), sizeof(Stored));
        values[i] = static_cast<Wanted>(value);
    }
    return values;
}

class Reader {
  public:
    explicit Reader(const std::filesystem::path& path) : path_(path), file_(path, std::ios::binary) {
        if (!file_) {
            fail("cannot be opened");
        }
        file_.seekg(0, std::ios::end);
        file_size_ = static_cast<std::uint64_t>(file_.tellg());
    }

    std::map<std::string, SafeTensor> read() {
        std::uint64_t header_size = 0;
        if (file_size_ < sizeof header_size) {
            fail("is shorter than the 8 bytes that hold the length of its header");
        }
        file_.seekg(0);
        file_.read(reinterpret_cast<char*>(&header_size), sizeof header_size);
        if (header_size > file_size_ - sizeof header_size) {
            fail("says that its header has " + std::to_string(header_size) +
                 " bytes, but the whole file has " + std::to_string(file_size_) +
                 ": it is truncated or no safetensors file");
        }
        std::string text(header_size, '\0');
        file_.read(text.data(), static_cast<std::streamsize>(header_size));
        data_begin_ = sizeof header_size + header_size;
        const Json header = Json::parse(text, nullptr, false);
        if (!header.is_object()) {
            fail("has a header that is no JSON object");
        }
        std::map<std::string, SafeTensor> tensors;
        for (const auto& [name, entry] : header.items()) {
            if (name != "__metadata__") {
                tensors.emplace(name, read_tensor(name, entry));
            }
        }
        return tensors;
    }

  private:
    SafeTensor read_tensor(const std::string& name, const Json& entry) {
        SafeTensor tensor;
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        try {
            tensor.type = entry.at("dtype").get<std::string>();
            tensor.shape = entry.at("shape").get<std::vector<std::int64_t>>();
            const Json& range = entry.at("data_offsets");
            if (!range.is_array() || range.size() != 2 || !range[0].is_number_unsigned() ||
                !range[1].is_number_unsigned()) {
                fail("tensor '" + name + "': data_offsets are not two whole numbers");
            }
            begin = range[0].get<std::uint64_t>();
            end = range[1].get<std::uint64_t>();
        } catch (const Json::exception&) {
            fail("tensor '" + name + "' needs dtype, shape and data_offsets in the header");
        }
        const auto element_bytes = bytes_of_type(tensor.type);
        if (!element_bytes) {
            fail("tensor '" + name + "' has the unknown type '" + tensor.type + "'");
        }
        std::uint64_t wanted = static_cast<std::uint64_t>(*element_bytes);
        for (const std::int64_t extent : tensor.shape) {
            if (extent < 0 || (extent > 0 && wanted > std::numeric_limits<std::uint64_t>::max() /
                                                          static_cast<std::uint64_t>(extent))) {
                fail("tensor '" + name + "' has an impossible shape");
            }
            wanted *= static_cast<std::uint64_t>(extent);
        }
        if (begin > end || end > file_size_ - data_begin_ || end - begin != wanted) {
            fail("tensor '" + name + "' should have " + std::to_string(wanted) +
                 " bytes but is said to lie at " + std::to_string(begin) + " to " + std::to_string(end) +
                 " of " + std::to_string(file_size_ - data_begin_) + " bytes of data");
        }
        tensor.bytes.resize(wanted);
        file_.seekg(static_cast<std::streamoff>(data_begin_ + begin));
        file_.read(reinterpret_cast<char*>(tensor.bytes.data()), static_cast<std::streamsize>(wanted));
        if (!file_) {
            fail("cannot be read at tensor '" + name + "'");
        }
        return tensor;
    }

    [[noreturn]] void fail(const std::string& what) const { throw UserError(path_.string() + ": " + what); }

    std::filesystem::path path_;
    std::ifstream file_;
    std::uint64_t file_size_ = 0;
    std::uint64_t data_begin_ = 0;
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
        return converted<float, float>(*this);
    }
    if (type == "F64") {
        return converted<double, float>(*this);
    }
    throw UserError("a tensor of type " + type + " was found where F32 or F64 was expected");
}

std::vector<std::int64_t> SafeTensor::integers() const {
    if (type == "I64") {
        return converted<std::int64_t, std::int64_t>(*this);
    }
    if (type == "I32") {
        return converted<std::int32_t, std::int64_t>(*this);
    }
    throw UserError("a tensor of type " + type + " was found where I64 or I32 was expected");
}

std::map<std::string, SafeTensor> read_safetensors(const std::filesystem::path& path) {
    return Reader(path).read();
}

}  // namespace orchestrate
