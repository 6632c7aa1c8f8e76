// Files that are whole or not there, on the real disk and on one whose power fails at every call in turn.
#include <cerrno>
#include <cstring>
#include <system_error>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/temporary_folder.h"
#include "tests/common/simulated_disk.h"

namespace orchestrate::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

void write_text(DurableFiles& files, const std::filesystem::path& path, std::string_view text) {
    const std::size_t half = text.size() / 2;
    const std::array pieces{bytes_of(text.substr(0, half)), bytes_of(text.substr(half))};
    write_durably(files, path, pieces);
}

std::string read_text(DurableFiles& files, const std::filesystem::path& path) {
    const auto bytes = files.read(path);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class SystemFilesTest : public testing::Test {
  protected:
    TemporaryFolder temporary_;
    const std::filesystem::path folder_ = temporary_.path();
    std::unique_ptr<DurableFiles> files_ = make_system_files();
};

TEST_F(SystemFilesTest, WritesReadsListsAndRemoves) {
    create_folders_durably(*files_, folder_ / "a/b");
    write_text(*files_, folder_ / "a/b/x", "first");
    write_text(*files_, folder_ / "a/b/x", "second");
    write_text(*files_, folder_ / "a/b/w", "");
    EXPECT_EQ(read_text(*files_, folder_ / "a/b/x"), "second");
    EXPECT_THAT(files_->list(folder_ / "a/b"), ElementsAre("w", "x"));
    files_->remove(folder_ / "a/b/x");
    files_->remove(folder_ / "a/b/x");
    EXPECT_THAT(files_->list(folder_ / "a/b"), ElementsAre("w"));
    EXPECT_THAT(files_->list(folder_ / "nowhere"), IsEmpty());
}

TEST_F(SystemFilesTest, ErrorsNameTheFile) {
    try {
        write_text(*files_, folder_ / "nowhere/x", "text");
        FAIL() << "wrote into a folder that does not exist";
    } catch (const std::system_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("nowhere/x"));
        EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    }
}

TEST(DurableFiles, AFileThatCannotBeWrittenLeavesNothing) {
    SimulatedDisk disk;
    write_text(disk, "/x", "before");
    disk.fail_writes(ENOSPC);
    EXPECT_THROW(write_text(disk, "/x", "after"), std::system_error);
    EXPECT_THAT(disk.list("/"), ElementsAre("x"));
    EXPECT_EQ(read_text(disk, "/x"), "before");
}

// Replaces a file in a new folder several times; whoever reads it finds what was last said to be written, or what
// was being written then.
int damages_of_replacing(Swallowed swallowed) {
    const std::vector<std::string> texts{"the first text", "the second, longer text", "the third"};
    std::size_t written = 0;
    return damages_by_power_cuts(
        swallowed,
        [&](SimulatedDisk& disk) {
            written = 0;
            create_folders_durably(disk, "/a/b");
            for (const auto& text : texts) {
                write_text(disk, "/a/b/x", text);
                ++written;
            }
        },
        [&](SimulatedDisk& disk) {
            const auto names = disk.list("/a/b");
            if (std::find(names.begin(), names.end(), "x") == names.end()) {
                return written == 0;
            }
            const std::string found = read_text(disk, "/a/b/x");
            return (written > 0 && found == texts[written - 1]) ||
                   (written < texts.size() && found == texts[written]);
        });
}

TEST(DurableFiles, SurviveAPowerCutAtEveryCall) {
    EXPECT_EQ(damages_of_replacing(Swallowed::nothing), 0);
}

TEST(DurableFiles, WouldBeDamagedWithoutTheSyncBeforeTheRename) {
    EXPECT_GT(damages_of_replacing(Swallowed::file_sync), 0);
}

TEST(DurableFiles, WouldBeDamagedWithoutTheSyncOfTheFolder) {
    EXPECT_GT(damages_of_replacing(Swallowed::folder_sync), 0);
}

}  // namespace
}  // namespace orchestrate::test
