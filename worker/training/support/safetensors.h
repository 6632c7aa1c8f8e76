// Reads and writes safetensors files: a JSON header with names, types, shapes and places, then raw little-endian
// values. Free of torch. The header is checked whole before any value is read; UserError names the file and what is
// wrong in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orchestrate {

struct SafeTensor {
    std::string type;  // "F32", "I64", ...
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;

    std::int64_t elements() const;
    // The values of an F32, F16, BF16 or F64 tensor; UserError for other types.
    std::vector<float> floats() const;
    // The values of an I64 or I32 tensor; UserError for other types.
    std::vector<std::int64_t> integers() const;
};

// What the header says of a tensor. Its bytes are [begin, end) of the data.
struct TensorPlace {
    std::string type;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};
using TensorPlaces = std::map<std::string, TensorPlace>;

// Checks and reads a header whose file has `data_bytes` bytes after it: each name once, known types, sizes as the
// shapes say, and every byte of the data in exactly one tensor. `name` begins the messages of UserError.
TensorPlaces parse_safetensors_header(std::string_view header, std::uint64_t data_bytes,
                                      const std::string& name);

// A file whose header has been checked. Not thread-safe.
class SafetensorsFile {
  public:
    explicit SafetensorsFile(const std::filesystem::path& path);

    const TensorPlaces& tensors() const { return tensors_; }
    // The tensor must be one of tensors().
    SafeTensor read(const std::string& name);

  private:
    std::filesystem::path path_;
    std::ifstream file_;
    TensorPlaces tensors_;
    std::uint64_t data_begin_ = 0;
};

// A tensor to be written; its bytes are the caller's.
struct TensorPiece {
    std::string name;
    std::string type;
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;
};

// What stands in a file before the bytes of its tensors, which follow in the same order without gaps. The header says
// as transformers wants it that the weights are for PyTorch.
std::vector<std::byte> safetensors_head(std::span<const TensorPiece> tensors);

// All tensors of a file.
std::map<std::string, SafeTensor> read_safetensors(const std::filesystem::path& path);

}  // namespace orchestrate
