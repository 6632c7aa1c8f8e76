// Reads safetensors files: a JSON header with names, types, shapes and places, then raw little-endian values.
// Free of torch. Every offset and size is checked before it is used; UserError names the file and what is
// wrong in it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace orchestrate {

struct SafeTensor {
    std::string type;  // "F32", "I64", ...
    std::vector<std::int64_t> shape;
    std::vector<std::byte> bytes;

    std::int64_t elements() const;
    // The values of an F32 or F64 tensor; UserError for other types.
    std::vector<float> floats() const;
    // The values of an I64 or I32 tensor; UserError for other types.
    std::vector<std::int64_t> integers() const;
};

std::map<std::string, SafeTensor> read_safetensors(const std::filesystem::path& path);

}  // namespace orchestrate
