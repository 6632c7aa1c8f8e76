// SHA-256 (OpenSSL) of memory and of files, as lower-case hexadecimal.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace orchestrate {

// A hash that is fed piece by piece, for content that is read once. Not thread-safe.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void add(const void* bytes, std::size_t size);

    // Of all that was added; to be called once, as the last.
    std::string hex();

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::string_view bytes);

// Of a file's content; a gzip file is uncompressed first, so that compressing data does not change its
// identity. Throws UserError if the file cannot be read.
std::string sha256_hex_of_content(const std::filesystem::path& path);

// Of a vocabulary folder: hash over vocab.json and merges.txt (names and contents).
// Throws UserError naming the missing file.
std::string sha256_hex_of_vocabulary(const std::filesystem::path& folder);

}  // namespace orchestrate
