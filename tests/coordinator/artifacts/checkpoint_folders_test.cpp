#include "coordinator/artifacts/checkpoint_folders.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/temporary_folder.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

class CheckpointFoldersTest : public testing::Test {
  protected:
    std::string write(const CheckpointFolders& folders, const AttemptId& attempt, const std::string& name) {
        const fs::path file = folders.folder(attempt) / name;
        fs::create_directories(file.parent_path());  // as a worker does
        std::ofstream(file) << "values";
        return file.string();
    }

    TemporaryFolder temporary_;
    const fs::path folder_ = temporary_.path();
};

TEST_F(CheckpointFoldersTest, CandidatesAreTheStoredOnesAndThoseThatCouldNotBeReported) {
    CheckpointFolders folders(folder_);
    folders.begin({JobId(7), 1});
    const auto first = write(folders, {JobId(7), 1}, "step-0000000100.safetensors");
    const auto unreported = write(folders, {JobId(7), 1}, "step-0000000120.safetensors");
    write(folders, {JobId(7), 1}, "step-0000000130.safetensors.part");
    folders.begin({JobId(7), 2});
    const auto second = write(folders, {JobId(7), 2}, "step-0000000110.safetensors");
    folders.begin({JobId(7), 3});
    write(folders, {JobId(7), 3}, "step-0000000200.safetensors");  // its own: not to be read
    const auto found = folders.candidates({JobId(7), 3}, {{2, 110, "step-0000000110.safetensors", "aa", 6},
                                                          {1, 100, "step-0000000100.safetensors", "bb", 6}});
    const std::vector<StoredCheckpoint> expected{
        {2, 110, second, "aa", 6}, {1, 120, unreported, "", 0}, {1, 100, first, "bb", 6}};
    EXPECT_EQ(found, expected);
}

TEST_F(CheckpointFoldersTest, OfACommandTheNewestTwoAttemptsWithFinishedFilesStay) {
    CheckpointFolders folders(folder_);
    for (int number = 1; number <= 3; ++number) {
        write(folders, {JobId(7), number}, "w");
    }
    write(folders, {JobId(7), 4},
          "step-100.safetensors");  // looks like a training's, and is as good as any other
    write(folders, {JobId(7), 5}, "w.tmp");
    fs::create_directories(folders.folder({JobId(7), 6}));
    write(folders, {JobId(7), 7}, "deep/state");
    write(folders, {JobId(7), 8}, "w.part");  // of the attempt that runs
    write(folders, {JobId(7), 9}, "w");       // of its successor
    write(folders, {JobId(8), 1}, "w");
    folders.keep_newest_attempts({JobId(7), 8});
    for (const int number : {1, 2, 3, 5, 6}) {
        EXPECT_FALSE(fs::exists(folders.folder({JobId(7), number}))) << number;
    }
    for (const int number : {4, 7, 8, 9}) {
        EXPECT_TRUE(fs::exists(folders.folder({JobId(7), number}))) << number;
    }
    EXPECT_TRUE(fs::exists(folders.folder({JobId(8), 1})));
    EXPECT_EQ(folders.candidates({JobId(7), 8}, {}).front().attempt, 7);
    fs::create_directory_symlink(folders.folder({JobId(8), 1}), folders.folder({JobId(7), 3}));
    folders.keep_newest_attempts({JobId(7), 8});
    EXPECT_TRUE(fs::exists(folders.folder({JobId(8), 1}) / "w"));
    EXPECT_FALSE(fs::is_symlink(folders.folder({JobId(7), 3})));
}

TEST_F(CheckpointFoldersTest, WhatIsNotKeptGoesButForWhatIsNewerOrOfLaterAttempts) {
    CheckpointFolders folders(folder_);
    const auto old = write(folders, {JobId(7), 1}, "step-0000000100.safetensors");
    const auto kept = write(folders, {JobId(7), 1}, "step-0000000120.safetensors");
    const auto unreported = write(folders, {JobId(7), 1}, "step-0000000130.safetensors");
    const auto unfinished = write(folders, {JobId(7), 1}, "step-0000000140.safetensors.part");
    const auto other = write(folders, {JobId(7), 1}, "notes.txt");
    const auto older = write(folders, {JobId(7), 2}, "step-0000000125.safetensors");
    const auto newest = write(folders, {JobId(7), 2}, "step-0000000130.safetensors");
    const auto just_written = write(folders, {JobId(7), 2}, "step-0000000135.safetensors");
    const auto being_written = write(folders, {JobId(7), 2}, "step-0000000140.safetensors.part");
    const auto of_successor = write(folders, {JobId(7), 3}, "step-0000000100.safetensors");
    const auto of_other_job = write(folders, {JobId(8), 1}, "step-0000000100.safetensors");
    folders.keep({JobId(7), 2}, {{2, 130, "step-0000000130.safetensors", "aa", 6},
                                 {1, 120, "step-0000000120.safetensors", "bb", 6}});
    for (const auto& file : {old, unreported, unfinished, older}) {
        EXPECT_FALSE(fs::exists(file)) << file;
    }
    for (const auto& file : {kept, other, newest, just_written, being_written, of_successor, of_other_job}) {
        EXPECT_TRUE(fs::exists(file)) << file;
    }
    folders.remove_job(JobId(8));
    EXPECT_FALSE(fs::exists(of_other_job));
    EXPECT_EQ(folders.jobs(), std::vector<JobId>{JobId(7)});
}

TEST_F(CheckpointFoldersTest, AFolderThatCannotBeReadKeepsNothingElseFromBeingRemoved) {
    CheckpointFolders folders(folder_);
    const auto needless = write(folders, {JobId(7), 2}, "step-0000000100.safetensors");
    std::ofstream(folders.folder({JobId(7), 1})) << "no folder";
    folders.keep({JobId(7), 3}, {});
    EXPECT_FALSE(fs::exists(needless));
}

TEST_F(CheckpointFoldersTest, AFirstAttemptFindsNothingOfARemovedDatabase) {
    CheckpointFolders folders(folder_);
    folders.begin({JobId(7), 1});
    write(folders, {JobId(7), 1}, "step-0000000100.safetensors");
    folders.begin({JobId(7), 1});
    EXPECT_FALSE(fs::exists(folders.folder({JobId(7), 1})));
}

TEST_F(CheckpointFoldersTest, AnEmptyFolderGoesOnToTheNextJob) {
    {
        CheckpointFolders folders(folder_);
        const auto made = [&](JobId job) {
            fs::create_directories(folders.folder({job, 1}));  // as a worker does
            struct stat status {};
            EXPECT_EQ(stat(folders.folder({job, 1}).c_str(), &status), 0);
            return status.st_ino;
        };
        folders.begin({JobId(7), 1});
        const auto first = made(JobId(7));
        folders.remove_job(JobId(7));
        folders.begin({JobId(8), 1});
        EXPECT_FALSE(fs::exists(folders.folder({JobId(7), 1})));
        EXPECT_EQ(made(JobId(8)), first);
        // Not one with content, nor one of several attempts.
        write(folders, {JobId(8), 1}, "step-0000000100.safetensors");
        folders.remove_job(JobId(8));
        made(JobId(9));
        write(folders, {JobId(9), 2}, "step-0000000100.safetensors");
        folders.remove_job(JobId(9));
        EXPECT_EQ(folders.jobs(), std::vector<JobId>{});
        folders.begin({JobId(10), 1});
        EXPECT_FALSE(fs::exists(folders.folder({JobId(10), 1})));
        made(JobId(11));
        folders.remove_job(JobId(11));
    }
    EXPECT_EQ(CheckpointFolders(folder_).jobs(), std::vector<JobId>{});
}

}  // namespace
}  // namespace orchestrate
