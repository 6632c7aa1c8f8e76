#include "coordinator/report/standard_output.h"

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "coordinator/report/terminal_text.h"

namespace orchestrate {

// In front of a C stream, which orders what comes by both streams; remembers the first error.
class StandardOutput::Buffer final : public std::streambuf {
  public:
    explicit Buffer(std::FILE* stream) : stream_(stream), is_terminal_(isatty(fileno(stream)) == 1) {}

    void finish() {
        put(text_.finish());
        sync();
        if (std::ferror(stream_) != 0) {
            failed(EIO);  // by other means than this buffer
        }
    }
    int error() const { return error_; }

  protected:
    int_type overflow(int_type character) override {
        if (traits_type::eq_int_type(character, traits_type::eof())) {
            return traits_type::not_eof(character);
        }
        const char c = traits_type::to_char_type(character);
        return xsputn(&c, 1) == 1 ? character : traits_type::eof();
    }
    std::streamsize xsputn(const char* text, std::streamsize length) override {
        const std::string_view whole(text, static_cast<std::size_t>(length));
        return (is_terminal_ ? put(text_.add(whole)) : put(whole)) ? length : 0;
    }
    int sync() override {
        errno = 0;
        if (std::fflush(stream_) == 0) {
            return 0;
        }
        failed(errno);
        return -1;
    }

  private:
    bool put(std::string_view text) {
        errno = 0;
        if (std::fwrite(text.data(), 1, text.size(), stream_) == text.size()) {
            return true;
        }
        failed(errno);
        return false;
    }
    void failed(int error) {
        if (error_ == 0) {
            error_ = error != 0 ? error : EIO;
        }
    }

    std::FILE* stream_;
    const bool is_terminal_;
    TerminalText text_;
    int error_ = 0;
};

void open_standard_descriptors() {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) {
            open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

StandardOutput::StandardOutput()
    : output_(std::make_unique<Buffer>(stdout)),
      errors_(std::make_unique<Buffer>(stderr)),
      output_before_(std::cout.rdbuf(output_.get())),
      errors_before_(std::cerr.rdbuf(errors_.get())) {}

StandardOutput::~StandardOutput() {
    std::cout.rdbuf(output_before_);
    std::cerr.rdbuf(errors_before_);
}

int StandardOutput::finish(int code) {
    output_->finish();
    const int error = output_->error();
    const bool failed = error != 0 && error != EPIPE;
    if (failed) {
        std::cerr << "orchestrate: cannot write the output: " << std::generic_category().message(error)
                  << "\n";
    }
    errors_->finish();
    return failed && code == 0 ? 1 : code;
}

}  // namespace orchestrate
