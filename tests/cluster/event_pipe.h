// A named pipe by which processes that a test started tell it what happened, line by line, from wherever they
// run.
#pragma once

#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orchestrate {

class EventPipe {
  public:
    explicit EventPipe(std::filesystem::path path) : path_(std::move(path)) {
        if (::mkfifo(path_.c_str(), 0600) != 0) {
            throw std::system_error(errno, std::generic_category(), "cannot make " + path_.string());
        }
        descriptor_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);  // read-write: never at its end
    }
    ~EventPipe() { ::close(descriptor_); }
    EventPipe(const EventPipe&) = delete;
    EventPipe& operator=(const EventPipe&) = delete;

    const std::filesystem::path& path() const { return path_; }

    // Empty if nothing came in time.
    std::string next_line(std::chrono::milliseconds limit = std::chrono::seconds(60)) {
        while (received_.find('\n') == std::string::npos) {
            pollfd ready{descriptor_, POLLIN, 0};
            if (::poll(&ready, 1, static_cast<int>(limit.count())) <= 0) {
                return {};
            }
            std::array<char, 512> part{};
            const ssize_t length = ::read(descriptor_, part.data(), part.size());
            received_.append(part.data(), static_cast<std::size_t>(length > 0 ? length : 0));
        }
        const std::size_t end = received_.find('\n');
        const std::string line = received_.substr(0, end);
        received_.erase(0, end + 1);
        return line;
    }

    // For the writing side, which may be another process.
    static void write_line(const std::filesystem::path& path, const std::string& line) {
        const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
        const std::string text = line + "\n";  // shorter than PIPE_BUF: lines do not mix
        if (descriptor < 0 || ::write(descriptor, text.data(), text.size()) < 0) {
            throw std::system_error(errno, std::generic_category(), "cannot write to " + path.string());
        }
        ::close(descriptor);
    }

  private:
    std::filesystem::path path_;
    int descriptor_ = -1;
    std::string received_;
};

}  // namespace orchestrate
