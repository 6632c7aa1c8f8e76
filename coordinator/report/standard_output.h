// The streams a command writes to: they notice what could not be written (a full disk, a closed descriptor), and where
// they are terminals, nothing that comes from elsewhere (jobs, data files, Slurm) controls them.
#pragma once

#include <memory>
#include <streambuf>

namespace orchestrate {

// To be called before any file is opened. A file that is opened while a standard descriptor is closed would get its number,
// and what is printed. Writing to standard output that was closed stays an error.
void open_standard_descriptors();

// While alive, std::cout and std::cerr write through it. What repaints a terminal writes to the C streams instead.
class StandardOutput {
  public:
    StandardOutput();
    ~StandardOutput();
    StandardOutput(const StandardOutput&) = delete;
    StandardOutput& operator=(const StandardOutput&) = delete;

    // Writes what is buffered and returns the exit code of the program: `code`, or 1 if `code` is 0 and something could
    // not be written to standard output, by std::cout or the C stream; that is then said on standard error. A reader that
    // has left (EPIPE) is not an error.
    int finish(int code);

  private:
    class Buffer;
    std::unique_ptr<Buffer> output_;
    std::unique_ptr<Buffer> errors_;
    std::streambuf* output_before_;
    std::streambuf* errors_before_;
};

}  // namespace orchestrate
