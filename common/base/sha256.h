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

    // A file's bytes. Throws UserError if it cannot be read.
    void add_file(const std::filesystem::path& path);
    // The same of a gzip file's content, or of a file that is none.
    void add_uncompressed(const std::filesystem::path& path);

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

}  // namespace orchestrate
