// A private folder below the system's folder for temporary files, removed with all that is in it.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace orchestrate {

class TemporaryFolder {
  public:
    // Throws std::system_error.
    explicit TemporaryFolder(const std::filesystem::path& inside = std::filesystem::temp_directory_path()) {
        std::string pattern = (inside / "orchestrate-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::system_error(errno, std::generic_category(),
                                    "cannot make a folder in '" + inside.string() + "'");
        }
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace orchestrate
