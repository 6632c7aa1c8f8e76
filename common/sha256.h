// SHA-256 (OpenSSL) of memory and of files, as lower-case hexadecimal.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace orchestrate {

std::string sha256_hex(std::string_view bytes);

// Of a file's content; a gzip file is uncompressed first, so that compressing data does not change its identity.
// Throws UserError if the file cannot be read.
std::string sha256_hex_of_content(const std::filesystem::path& path);

// Of a vocabulary folder: hash over vocab.json and merges.txt (names and contents).
// Throws UserError naming the missing file.
std::string sha256_hex_of_vocabulary(const std::filesystem::path& folder);

}  // namespace orchestrate
