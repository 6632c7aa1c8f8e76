#include "common/base/sha256.h"

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include <openssl/evp.h>
#include <zlib.h>

#include "common/base/error.h"
#include "common/base/named_file.h"

namespace orchestrate {

struct Sha256::Context {
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
    if (!context_->digest || EVP_DigestInit_ex(context_->digest.get(), EVP_sha256(), nullptr) != 1) {
        throw std::runtime_error("OpenSSL cannot start SHA-256");
    }
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(const void* bytes, std::size_t size) {
    EVP_DigestUpdate(context_->digest.get(), bytes, size);
}

void Sha256::add_file(const std::filesystem::path& path) {
    std::ifstream file = open_named_file(path);
    std::vector<char> buffer(1U << 20);
    do {
        file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        add(buffer.data(), static_cast<std::size_t>(file.gcount()));
    } while (file);
    if (!file.eof()) {
        throw UserError("cannot read '" + path.string() + "'");
    }
}

void Sha256::add_uncompressed(const std::filesystem::path& path) {
    check_named_file(path);
    const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), gzclose);
    if (!file) {
        throw UserError("cannot read '" + path.string() + "': " + std::strerror(errno));
    }
    gzbuffer(file.get(), 1U << 17);
    std::array<char, 1U << 16> buffer{};
    int count = 0;
    while ((count = gzread(file.get(), buffer.data(), buffer.size())) > 0) {
        add(buffer.data(), static_cast<std::size_t>(count));
    }
    if (count < 0) {
        int code = 0;
        throw UserError("cannot read '" + path.string() + "': " + gzerror(file.get(), &code));
    }
}

std::string Sha256::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_->digest.get(), digest.data(), &size);
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    text.reserve(2 * std::size_t{size});
    for (unsigned int i = 0; i < size; ++i) {
        text += kDigits[digest[i] >> 4];
        text += kDigits[digest[i] & 15];
    }
    return text;
}

std::string sha256_hex(std::string_view bytes) {
    Sha256 hasher;
    hasher.add(bytes.data(), bytes.size());
    return hasher.hex();
}

std::string sha256_hex_of_content(const std::filesystem::path& path) {
    Sha256 hasher;
    hasher.add_uncompressed(path);
    return hasher.hex();
}

}  // namespace orchestrate
