#include "common/protocol/access_file.h"

#include <array>
#include <cstring>
#include <sstream>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/named_file.h"
#include "common/base/strict_json.h"

namespace orchestrate {

namespace {

bool is_open_to_others(const struct stat& status) {
    return (status.st_mode & (S_IRWXG | S_IRWXO)) != 0;
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
    return std::filesystem::absolute(path).lexically_normal().parent_path();
}

void check_access(const Access& access, const std::string& name) {
    const bool has_fingerprint =
        access.certificate_fingerprint.size() == 64 &&
        access.certificate_fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (access.addresses.empty() || access.port == 0 || !has_fingerprint || access.token.empty()) {
        throw UserError(name +
                        ": is damaged: expected addresses, a port, a certificate's fingerprint and a token; "
                        "the next orchestrate run writes it anew");
    }
}

}  // namespace

Access parse_access(std::string_view text, const std::string& name) {
    const Json json = parse_strict_json(text, name);
    Access access;
    try {
        const auto port = json.value("port", Json());
        if (!port.is_number_unsigned() || port.get<std::uint64_t>() > 65535) {
            throw std::out_of_range("port");  // else it would be rounded, or cut off
        }
        json.get_to(access);
    } catch (const std::exception&) {
        throw UserError(name + ": is damaged: a field has another type than expected");
    }
    check_access(access, name);
    return access;
}

void check_private_folder(const std::filesystem::path& given) {
    const auto folder = std::filesystem::absolute(given).lexically_normal();  // the chmod works from anywhere
    struct stat status {};
    if (stat(folder.c_str(), &status) == 0 && is_open_to_others(status)) {
        throw UserError("others can enter '" + folder.string() +
                        "', where keys and access files lie; fix it with: chmod 700 '" + folder.string() +
                        "'");
    }
}

Access read_access_file(const std::filesystem::path& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        throw UserError("cannot read the access file '" + path.string() + "': " + std::strerror(errno));
    }
    if (is_open_to_others(status)) {
        throw UserError("the access file '" + path.string() +
                        "' can be read by others; fix it with: chmod 600 '" + path.string() + "'");
    }
    check_private_folder(folder_of(path));
    const std::string name = "the access file '" + path.string() + "'";
    std::ostringstream text;
    text << open_named_file(path).rdbuf();
    return parse_access(text.str(), name);
}

void write_access_file(const std::filesystem::path& path, const Access& access) {
    const std::string text = Json(access).dump(2) + "\n";
    const std::string temporary = path.string() + ".new";
    unlink(temporary.c_str());
    const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        throw UserError("cannot write the access file '" + temporary + "': " + std::strerror(errno));
    }
    const bool written =
        write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
    const int why = errno;
    close(file);
    if (!written) {
        throw UserError("cannot write the access file '" + temporary + "': " + std::strerror(why));
    }
    std::filesystem::rename(temporary, path);
}

std::string random_token() {
    std::array<unsigned char, 32> bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
        throw std::runtime_error("OpenSSL has no random numbers");
    }
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

bool tokens_equal(const std::string& a, const std::string& b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace orchestrate
