#include "common/base/named_file.h"

#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"

namespace orchestrate {
namespace {

constexpr const char* kNothingThere = "does not exist";

const char* kind_of(mode_t mode) {
    return S_ISDIR(mode)    ? "is a directory"
           : S_ISFIFO(mode) ? "is a named pipe"
           : S_ISSOCK(mode) ? "is a socket"
                            : "is a device";
}

// What the shell gives as <(command), or a pipe as /dev/stdin, is no named pipe to whoever wrote it.
bool is_descriptor(const std::filesystem::path& path) {
    const std::string text = path.lexically_normal().string();
    return text.starts_with("/dev/fd/") || text.starts_with("/proc/self/fd/") || text == "/dev/stdin";
}

}  // namespace

std::optional<std::string> why_no_file(const std::filesystem::path& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        const int why = errno;
        if (why != ENOENT) {
            return std::string("cannot be read: ") + std::strerror(why);
        }
        const bool is_link = lstat(path.c_str(), &status) == 0;
        return is_link ? "is a link to something that does not exist" : kNothingThere;
    }
    if (S_ISREG(status.st_mode)) {
        return access(path.c_str(), R_OK) == 0
                   ? std::nullopt
                   : std::optional(std::string("cannot be read: ") + std::strerror(errno));
    }
    if (S_ISFIFO(status.st_mode) && is_descriptor(path)) {
        return "is a pipe from another program, which can be read only once";
    }
    return kind_of(status.st_mode);
}

std::optional<std::string> no_file_sentence(const std::filesystem::path& path) {
    const auto why = why_no_file(path);
    if (!why) {
        return std::nullopt;
    }
    return *why == kNothingThere ? "there is no file '" + path.string() + "'"
                                 : "'" + path.string() + "' " + *why;
}

void check_named_file(const std::filesystem::path& path, const std::string& expected) {
    if (const auto sentence = no_file_sentence(path)) {
        throw UserError(*sentence + "; expected " + expected);
    }
}

std::ifstream open_named_file(const std::filesystem::path& path, const std::string& expected) {
    check_named_file(path, expected);
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw UserError("'" + path.string() + "' cannot be read: " + std::strerror(errno) + "; expected " +
                        expected);
    }
    return file;
}

}  // namespace orchestrate
