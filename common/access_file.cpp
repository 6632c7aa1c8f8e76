#include "common/access_file.h"

#include <array>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

namespace orchestrate {

Access read_access_file(const std::filesystem::path& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        throw UserError("cannot read the access file '" + path.string() + "': " + std::strerror(errno));
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        throw UserError("the access file '" + path.string() +
                        "' can be read by others; mend it with: chmod 600 '" + path.string() + "'");
    }
    std::ifstream file(path);
    try {
        return Json::parse(file).get<Access>();
    } catch (const std::exception& error) {
        throw UserError("the access file '" + path.string() + "' is damaged: " + error.what());
    }
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
