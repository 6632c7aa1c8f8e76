// Files that must survive a power cut: what was written counts once sync() has returned, a new, changed or removed
// name once sync_folder() has. Also the seam where tests put a disk that loses whatever was not synced.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace orchestrate {

// A file that is being written, from its begin to its end. Not thread-safe. Errors: std::system_error that names
// the file.
class FileWriter {
  public:
    virtual ~FileWriter() = default;

    virtual void write(std::span<const std::byte> bytes) = 0;
    virtual void sync() = 0;
};

// Thread-safe as far as calls concern different files. Errors: std::system_error that names the file.
class DurableFiles {
  public:
    virtual ~DurableFiles() = default;

    // Empties a file that has this name already.
    virtual std::unique_ptr<FileWriter> create(const std::filesystem::path& path) = 0;

    virtual std::vector<std::byte> read(const std::filesystem::path& path) = 0;

    // Names of the files and folders in a folder, sorted; none if it does not exist.
    virtual std::vector<std::string> list(const std::filesystem::path& folder) = 0;

    // Replaces a file that has the new name, at once. Within one folder.
    virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;

    // A file that does not exist is no error.
    virtual void remove(const std::filesystem::path& path) = 0;

    // One level; a folder that exists is no error.
    virtual void create_folder(const std::filesystem::path& folder) = 0;

    virtual void sync_folder(const std::filesystem::path& folder) = 0;
};

// Those of the operating system.
std::unique_ptr<DurableFiles> make_system_files();

// Name of a file until it is whole: what ends so may be removed by whoever finds it.
inline constexpr const char* kUnfinishedSuffix = ".part";

// Writes a file, on disk when it returns. At any moment before, and after a power cut, there is either no file of
// that name (or what it was before) or all of it. A file that could not be written leaves nothing.
void write_durably(DurableFiles& files, const std::filesystem::path& path,
                   std::span<const std::span<const std::byte>> pieces);

// With its parents, each on disk when it returns.
void create_folders_durably(DurableFiles& files, const std::filesystem::path& folder);

}  // namespace orchestrate
