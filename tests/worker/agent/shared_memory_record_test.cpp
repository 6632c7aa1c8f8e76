// What ranks that were killed leave in shared memory. Processes are real; the directory is the test's own.
#include "worker/agent/shared_memory_record.h"

#include <csignal>
#include <fstream>
#include <functional>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/temporary_folder.h"
#include "worker/agent/command_scratch.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Makes a file as MPI libraries do, and maps it until this process ends.
void map_file(const fs::path& path) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 4096) != 0 ||
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED) {
        _exit(1);
    }
    close(file);
}

// A rank: a process that does something, says that it has, and stays until it is killed.
class Rank {
  public:
    explicit Rank(const std::function<void()>& work) {
        int ends[2];
        if (pipe(ends) != 0) {
            throw std::runtime_error("no pipe");
        }
        process_ = fork();
        if (process_ == 0) {
            work();
            if (write(ends[1], "x", 1) != 1) {
                _exit(1);
            }
            while (true) {
                pause();
            }
        }
        close(ends[1]);
        char done = 0;
        EXPECT_EQ(read(ends[0], &done, 1), 1);
        close(ends[0]);
    }
    ~Rank() { kill(); }
    Rank(const Rank&) = delete;
    Rank& operator=(const Rank&) = delete;

    void kill() {
        if (process_ > 0) {
            ::kill(process_, SIGKILL);
            waitpid(process_, nullptr, 0);
            process_ = 0;
        }
    }

  private:
    pid_t process_ = 0;
};

class SharedMemoryRecordTest : public ::testing::Test {
  protected:
    std::vector<std::string> names() const {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator(memory_)) {
            const std::string name = entry.path().filename().string();
            found.push_back(name.starts_with("orchestrate-memory-") ? "record" : name);
        }
        return found;
    }
    fs::path record() const {
        for (const auto& entry : fs::directory_iterator(memory_)) {
            if (entry.path().filename().string().starts_with("orchestrate-memory-")) {
                return entry.path();
            }
        }
        return {};
    }
    // Maps files and records them, as a rank does after the start of MPI.
    void record_files(const std::vector<std::string>& files) const {
        for (const auto& file : files) {
            map_file(memory_ / file);
        }
        new SharedMemoryRecord(memory_);  // never destroyed: its process is killed
    }

    TemporaryFolder folder_{scratch_places().front()};  // in memory where there is a place for it
    fs::path memory_ = fs::canonical(folder_.path());
};

TEST_F(SharedMemoryRecordTest, WhatAKilledRankHadMappedIsRemoved) {
    std::ofstream(memory_ / "of another program") << "x";
    Rank rank([&] { record_files({"segment 0", "segment 1"}); });
    remove_recorded_files(memory_);  // it lives
    EXPECT_THAT(names(), UnorderedElementsAre("segment 0", "segment 1", "record", "of another program"));
    rank.kill();
    remove_recorded_files(memory_);
    EXPECT_THAT(names(), UnorderedElementsAre("of another program"));
}

TEST_F(SharedMemoryRecordTest, WhatALivingRankHasMappedStaysUntilItEnds) {
    Rank first([&] { record_files({"segment 0", "segment 1"}); });
    Rank second([&] { map_file(memory_ / "segment 1"); });
    first.kill();
    remove_recorded_files(memory_);
    EXPECT_THAT(names(), UnorderedElementsAre("segment 1", "record"));
    second.kill();
    remove_recorded_files(memory_);
    EXPECT_THAT(names(), IsEmpty());
}

TEST_F(SharedMemoryRecordTest, AnotherFileOfTheSameNameStays) {
    Rank rank([&] { record_files({"segment"}); });
    rank.kill();
    std::ofstream(memory_ / "new") << "x";  // before the other is gone: an inode of its own
    fs::rename(memory_ / "new", memory_ / "segment");
    remove_recorded_files(memory_);
    EXPECT_THAT(names(), UnorderedElementsAre("segment"));
}

TEST_F(SharedMemoryRecordTest, ARecordReachesNothingElse) {
    const TemporaryFolder other;
    std::ofstream(other.path() / "file") << "x";
    struct stat status {};
    ASSERT_EQ(stat((other.path() / "file").c_str(), &status), 0);
    Rank rank([&] { record_files({"segment"}); });
    rank.kill();
    fs::create_symlink(other.path() / "file", memory_ / "link");
    const std::string inode = std::to_string(status.st_ino);
    std::ofstream(record(), std::ios::app) << inode << " ../" << other.path().filename().string() << "/file\n"
                                           << inode << " link\n"
                                           << "no number\n\n7\n"
                                           << inode << " ..\n"
                                           << inode << " cut off";
    remove_recorded_files(memory_);
    EXPECT_THAT(names(), UnorderedElementsAre("link"));
    EXPECT_TRUE(fs::exists(other.path() / "file"));
}

TEST_F(SharedMemoryRecordTest, AProcessThatEndsByItselfLeavesNoRecord) {
    map_file(memory_ / "segment");
    {
        const SharedMemoryRecord record(memory_);
        EXPECT_THAT(names(), UnorderedElementsAre("segment", "record"));
    }
    EXPECT_THAT(names(), UnorderedElementsAre("segment"));  // MPI removes it
}

TEST_F(SharedMemoryRecordTest, WithoutSharedMemoryThereIsNoRecord) {
    const SharedMemoryRecord record(memory_);
    EXPECT_THAT(names(), IsEmpty());
    remove_recorded_files(memory_ / "nowhere");
}

TEST_F(SharedMemoryRecordTest, ARecordThatIsALinkIsNoRecord) {
    Rank rank([&] { record_files({"segment"}); });
    rank.kill();
    const fs::path name = record();
    const TemporaryFolder other;
    fs::copy(name, other.path() / "record");
    fs::remove(name);
    fs::create_symlink(other.path() / "record", name);
    remove_recorded_files(memory_);
    EXPECT_THAT(names(), SizeIs(2));
}

}  // namespace
}  // namespace orchestrate
