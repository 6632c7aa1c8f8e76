// [command] files by pattern and directory, and the warning for what a script imports.
#include <gmock/gmock.h>

#include "common/base/sha256.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class CommandFiles : public ::testing::Test {
  protected:
    void write(const std::string& name, const std::string& content = "") {
        std::filesystem::create_directories((folder_.path() / name).parent_path());
        folder_.write(name, content);
    }

    std::string study(const std::string& files, const std::string& run = "[\"true\"]") {
        return "[command]\nrun = " + run + "\nmetrics = [\"a\"]\n" +
               (files.empty() ? "" : "files = " + files + "\n");
    }

    std::vector<std::string> found(const std::string& files) {
        std::vector<std::string> names;
        const auto loaded = folder_.load(study(files));
        for (const auto& file : loaded.base.command->files) {
            names.push_back(file.name);
        }
        return names;
    }

    // The warnings of a study that runs t.py, in one string.
    std::string warnings(const std::string& files, const std::string& run = "[\"python3\", \"t.py\"]") {
        std::string text;
        const auto loaded = folder_.load(study(files, run));
        for (const auto& warning : loaded.warnings) {
            text += warning.message + "\n";
        }
        return text;
    }

    StudyFolder folder_;
};

TEST_F(CommandFiles, AreNamedByPatternAndByDirectory) {
    for (const char* name : {"a.py", "b.py", "c.txt", "lib/d.py", "lib/deep/e.py", "lib/.hidden/f.py",
                             "lib/__pycache__/d.pyc", ".g.py"}) {
        write(name);
    }
    EXPECT_THAT(found("\"*.py\""), ElementsAre("a.py", "b.py"));
    EXPECT_THAT(found("\"**/*.py\""), ElementsAre("a.py", "b.py", "lib/d.py", "lib/deep/e.py"));
    EXPECT_THAT(found("\"lib\""), ElementsAre("lib/d.py", "lib/deep/e.py"));
    EXPECT_THAT(found("[\"lib/\", \"lib/d.py\", \"c.*\"]"),
                ElementsAre("c.txt", "lib/d.py", "lib/deep/e.py"));
    EXPECT_THAT(found("\".g.py\""), ElementsAre(".g.py"));
}

TEST_F(CommandFiles, OfAPatternAreWhatTheJobIs) {
    write("a.py", "1");
    const auto before = job_identity(folder_.load(study("\"*.py\"")).base);
    EXPECT_EQ(before, job_identity(folder_.load(study("\"a.py\"")).base));
    write("b.py", "2");
    EXPECT_NE(before, job_identity(folder_.load(study("\"*.py\"")).base));
}

TEST_F(CommandFiles, APatternWithoutFilesIsAMistake) {
    const auto mistakes = folder_.mistakes(study("[\"src/*.py\"]"));
    ASSERT_THAT(mistakes, SizeIs(1));
    EXPECT_THAT(mistakes[0].message, HasSubstr("'src/*.py' stands for no file"));
    EXPECT_EQ(mistakes[0].line, 4);
}

TEST_F(CommandFiles, ImportedModulesThatAreNotNamedAreWarnedOf) {
    write("t.py",
          "'''import in_a_string'''\nimport os, helper as h  # import in_a_comment\nfrom package.part import "
          "(x,\n"
          "    module)\ntry: import maybe\nexcept ImportError: pass\n");
    write("helper.py", "from other import y\n");
    write("other.py");
    write("maybe.py");
    write("in_a_string.py");
    write("in_a_comment.py");
    write("package/__init__.py");
    write("package/part/__init__.py", "from . import module\nfrom .. import upper\n");
    write("package/part/module.py");
    write("package/upper.py");
    const auto text = warnings("\"t.py\"");
    for (const char* name : {"helper.py", "other.py", "maybe.py", "package/__init__.py",
                             "package/part/__init__.py", "package/part/module.py", "package/upper.py"}) {
        EXPECT_THAT(text, HasSubstr(name));
    }
    EXPECT_THAT(text, AllOf(Not(HasSubstr("in_a_string")), Not(HasSubstr("in_a_comment"))));
    EXPECT_THAT(warnings("[\"**/*.py\"]"), IsEmpty());
}

TEST_F(CommandFiles, ModulesThatAreRunAreFollowedToo) {
    write("package/__init__.py");
    write("package/train.py", "import helper\n");
    write("helper.py");
    EXPECT_THAT(warnings("", "[\"python3\", \"-m\", \"package.train\"]"),
                AllOf(HasSubstr("package/train.py"), HasSubstr("helper.py")));
}

TEST_F(CommandFiles, AScriptThatImportsItselfInACircleIsReadOnce) {
    write("t.py", "import u\n");
    write("u.py", "import t\n");
    EXPECT_THAT(warnings("[\"t.py\", \"u.py\"]"), IsEmpty());
}

TEST(CommandIdentity, OnlyTheFileNameOfAnAbsoluteProgramCounts) {
    const auto with = [](const std::string& program, const std::string& argument = "t.py") {
        JobConfig config;
        config.command.emplace();
        config.command->run = {program, argument};
        return job_identity(config);
    };
    EXPECT_EQ(with("/home/a/venv/bin/python3"), with("python3"));
    EXPECT_NE(with("/usr/bin/python3.11"), with("python3"));
    EXPECT_NE(with("bin/python3"), with("python3")) << "of a relative one all of it";
    EXPECT_NE(with("python3", "/home/a/t.py"), with("python3", "/home/b/t.py")) << "of arguments all of it";
}

}  // namespace
}  // namespace orchestrate::testing
