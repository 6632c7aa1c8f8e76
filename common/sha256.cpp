#include "common/sha256.h"

#include <openssl/evp.h>
#include <zlib.h>

#include <array>
#include <cstring>
#include <memory>

#include "common/error.h"

namespace orchestrate {
namespace {

class Hasher {
  public:
    Hasher() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1) {
            throw std::runtime_error("OpenSSL cannot start SHA-256");
        }
    }

    void add(const void* bytes, std::size_t size) { EVP_DigestUpdate(context_.get(), bytes, size); }

    std::string hex() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned int size = 0;
        EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
        static constexpr char kDigits[] = "0123456789abcdef";
        std::string text;
        text.reserve(2 * size);
        for (unsigned int i = 0; i < size; ++i) {
            text += kDigits[digest[i] >> 4];
            text += kDigits[digest[i] & 15];
        }
        return text;
    }

  private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

void add_file(Hasher& hasher, const std::filesystem::path& path) {
    const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), gzclose);
    if (!file) {
        throw UserError("cannot read '" + path.string() + "': " + std::strerror(errno));
    }
    gzbuffer(file.get(), 1U << 17);
    std::array<char, 1U << 16> buffer{};
    int count = 0;
    while ((count = gzread(file.get(), buffer.data(), buffer.size())) > 0) {
        hasher.add(buffer.data(), static_cast<std::size_t>(count));
    }
    if (count < 0) {
        int code = 0;
        throw UserError("cannot read '" + path.string() + "': " + gzerror(file.get(), &code));
    }
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
    Hasher hasher;
    hasher.add(bytes.data(), bytes.size());
    return hasher.hex();
}

std::string sha256_hex_of_content(const std::filesystem::path& path) {
    Hasher hasher;
    add_file(hasher, path);
    return hasher.hex();
}

std::string sha256_hex_of_vocabulary(const std::filesystem::path& folder) {
    Hasher hasher;
    for (const char* name : {"vocab.json", "merges.txt"}) {
        hasher.add(name, std::strlen(name) + 1);
        add_file(hasher, folder / name);
    }
    return hasher.hex();
}

}  // namespace orchestrate
