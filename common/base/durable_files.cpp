#include "common/base/durable_files.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace orchestrate {
namespace {

[[noreturn]] void fail(const std::string& what, const std::filesystem::path& path) {
    throw std::system_error(errno, std::generic_category(), "cannot " + what + " '" + path.string() + "'");
}

class Descriptor {
  public:
    Descriptor(const std::filesystem::path& path, int flags, const char* what)
        : number_(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
        if (number_ < 0) {
            fail(what, path);
        }
    }
    ~Descriptor() { close(number_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int number() const { return number_; }

  private:
    int number_;
};

class SystemWriter final : public FileWriter {
  public:
    explicit SystemWriter(const std::filesystem::path& path)
        : path_(path), file_(path, O_WRONLY | O_CREAT | O_TRUNC, "create") {}

    void write(std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            const ssize_t written = ::write(file_.number(), bytes.data(), bytes.size());
            if (written < 0 && errno != EINTR) {
                fail("write", path_);
            }
            bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
        }
    }

    void sync() override {
        // After a failed fsync the kernel may have dropped the pages: it must not be tried again.
        if (fsync(file_.number()) != 0) {
            fail("bring to disk", path_);
        }
    }

  private:
    std::filesystem::path path_;
    Descriptor file_;
};

class SystemFiles final : public DurableFiles {
  public:
    std::unique_ptr<FileWriter> create(const std::filesystem::path& path) override {
        return std::make_unique<SystemWriter>(path);
    }

    std::vector<std::byte> read(const std::filesystem::path& path) override {
        const Descriptor file(path, O_RDONLY, "read");
        struct stat status {};
        if (fstat(file.number(), &status) != 0) {
            fail("read", path);
        }
        std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
        std::size_t size = 0;
        while (size < bytes.size()) {
            const ssize_t found = ::read(file.number(), bytes.data() + size, bytes.size() - size);
            if (found < 0 && errno != EINTR) {
                fail("read", path);
            }
            if (found == 0) {
                break;
            }
            size += static_cast<std::size_t>(std::max<ssize_t>(found, 0));
        }
        bytes.resize(size);
        return bytes;
    }

    std::vector<std::string> list(const std::filesystem::path& folder) override {
        std::vector<std::string> names;
        std::error_code error;
        for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
             entry.increment(error)) {
            names.push_back(entry->path().filename().string());
        }
        if (error && error != std::errc::no_such_file_or_directory) {
            throw std::system_error(error, "cannot list '" + folder.string() + "'");
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
        if (::rename(from.c_str(), to.c_str()) != 0) {
            fail("give its final name to", from);
        }
    }

    void remove(const std::filesystem::path& path) override {
        if (unlink(path.c_str()) != 0 && errno != ENOENT) {
            fail("remove", path);
        }
    }

    void create_folder(const std::filesystem::path& folder) override {
        if (mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
            fail("create the folder", folder);
        }
    }

    void sync_folder(const std::filesystem::path& folder) override {
        const Descriptor file(folder, O_RDONLY | O_DIRECTORY, "open the folder");
        // Some network file systems know no fsync of a folder: their servers sync names on their own.
        if (fsync(file.number()) != 0 && errno != EINVAL && errno != ENOTSUP) {
            fail("bring to disk the folder", folder);
        }
    }
};

}  // namespace

std::unique_ptr<DurableFiles> make_system_files() {
    return std::make_unique<SystemFiles>();
}

void write_durably(DurableFiles& files, const std::filesystem::path& path,
                   std::span<const std::span<const std::byte>> pieces) {
    const std::filesystem::path unfinished = path.string() + kUnfinishedSuffix;
    try {
        {
            const auto file = files.create(unfinished);
            for (const auto piece : pieces) {
                file->write(piece);
            }
            // Before the rename: the name must never stand for less than the whole.
            file->sync();
        }
        files.rename(unfinished, path);
    } catch (const std::system_error&) {
        try {
            files.remove(unfinished);
        } catch (const std::system_error&) {
            // What could not be written is the error to tell.
        }
        throw;
    }
    files.sync_folder(path.parent_path());
}

void create_folders_durably(DurableFiles& files, const std::filesystem::path& folder) {
    const std::filesystem::path parent = folder.parent_path();
    if (folder.empty() || parent == folder) {
        return;
    }
    if (files.list(folder).empty()) {
        create_folders_durably(files, parent);
        files.create_folder(folder);
        if (!parent.empty()) {
            files.sync_folder(parent);
        }
    }
}

}  // namespace orchestrate
