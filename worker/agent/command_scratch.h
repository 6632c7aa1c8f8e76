// The small files of a command that runs: its configuration and the named pipe of its metrics.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace orchestrate {

// A directory of its own with both files, removed with all that is in it. Not thread-safe.
class CommandScratch {
  public:
    // Makes it in the first of `places` that has room. Throws MachineTrouble if none has; the message names all of them.
    CommandScratch(const std::vector<std::filesystem::path>& places, const std::string& config);
    ~CommandScratch();
    CommandScratch(const CommandScratch&) = delete;
    CommandScratch& operator=(const CommandScratch&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path config_file() const { return path_ / "config.json"; }
    std::filesystem::path metrics_file() const { return path_ / "metrics"; }

    // The reading end of the metrics. It does not wait; always open for writing too, so that no writer waits for a reader
    // and none that leaves ends it.
    int metrics() const { return descriptor_; }

  private:
    void make_in(const std::filesystem::path& place, const std::string& config);
    void remove();

    std::filesystem::path path_;
    int descriptor_ = -1;
};

// Where they are made: in memory if this host has a place for that, since making and removing files on a disk costs more
// than starting a process; else among the temporary files.
std::vector<std::filesystem::path> scratch_places();

}  // namespace orchestrate
