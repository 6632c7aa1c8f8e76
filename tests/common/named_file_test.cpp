// What is no regular file is refused in words, and never waited for.
#include "common/base/named_file.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/base/strict_json.h"
#include "common/base/temporary_folder.h"
#include "common/data/vocabulary.h"

namespace orchestrate {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class NamedFile : public testing::Test {
  protected:
    NamedFile() { mkfifo(pipe_.c_str(), 0600); }

    template <class Action>
    static std::string error_of(Action action) {
        try {
            action();
        } catch (const UserError& error) {
            return error.what();
        }
        return "no error";
    }

    TemporaryFolder folder_;
    std::filesystem::path pipe_ = folder_.path() / "pipe";
};

TEST_F(NamedFile, SaysWhatThereIsInstead) {
    const auto file = folder_.path() / "file";
    std::ofstream(file) << "text";
    std::filesystem::create_symlink("file", folder_.path() / "link");
    std::filesystem::create_symlink("nowhere", folder_.path() / "broken");
    EXPECT_FALSE(why_no_file(file));
    EXPECT_FALSE(why_no_file(folder_.path() / "link"));
    EXPECT_EQ(why_no_file(folder_.path()), "is a directory");
    EXPECT_EQ(why_no_file(pipe_), "is a named pipe");
    EXPECT_EQ(why_no_file("/dev/zero"), "is a device");
    EXPECT_EQ(why_no_file(folder_.path() / "nothing"), "does not exist");
    EXPECT_EQ(why_no_file(folder_.path() / "broken"), "is a link to something that does not exist");
    EXPECT_EQ(no_file_sentence(folder_.path() / "nothing"),
              "there is no file '" + (folder_.path() / "nothing").string() + "'");
    EXPECT_THAT(error_of([&] { open_named_file(pipe_, "a script"); }),
                HasSubstr("is a named pipe; expected a script"));
}

TEST_F(NamedFile, APipeFromAnotherProgramIsNoNamedOne) {
    int ends[2] = {};
    ASSERT_EQ(pipe(ends), 0);
    EXPECT_THAT(why_no_file("/dev/fd/" + std::to_string(ends[0])).value_or(""),
                HasSubstr("a pipe from another program"));
    close(ends[0]);
    close(ends[1]);
}

TEST_F(NamedFile, IsWhatAllReadersWant) {
    const auto named = [&] { return HasSubstr("pipe' is a named pipe; expected"); };
    EXPECT_THAT(error_of([&] { Sha256().add_file(pipe_); }), named());
    EXPECT_THAT(error_of([&] { sha256_hex_of_content(pipe_); }), named());
    EXPECT_THAT(error_of([&] { read_strict_json(pipe_); }), named());
    mkfifo((folder_.path() / "vocab.txt").c_str(), 0600);
    EXPECT_THAT(error_of([&] { sha256_hex_of_vocabulary(folder_.path()); }),
                HasSubstr("vocab.txt' is a named pipe"));
    EXPECT_THAT(error_of([&] { vocabulary_size(folder_.path()); }), HasSubstr("vocab.txt' is a named pipe"));
    mkfifo((folder_.path() / "tokenizer_config.json").c_str(), 0600);
    EXPECT_THAT(error_of([&] { vocabulary_kind(folder_.path()); }),
                HasSubstr("tokenizer_config.json' is a named pipe"));
}

}  // namespace
}  // namespace orchestrate
