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
    const auto diagnostics = folder_.diagnostics(study("[\"src/*.py\"]"));
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_THAT(diagnostics[0].message, HasSubstr("'src/*.py' stands for no file"));
    EXPECT_EQ(diagnostics[0].line, 4);
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

TEST_F(CommandFiles, ModulesAreFoundHoweverTheyAreImported) {
    write("t.py",
          "\xEF\xBB\xBFimport first\nimport importlib, sys\nimportlib.import_module(\"helper\")\n"
          "__import__('other')\nsys.path.insert(0, 'lib')\nsys.path.append(os.path.join(here, 'deep', "
          "'er'))\nimport hidden, deeper\nprint(\"import_module\", \"no\")\n");
    for (const char* name :
         {"first.py", "helper.py", "other.py", "lib/hidden.py", "deep/er/deeper.py", "no.py"}) {
        write(name);
    }
    EXPECT_THAT(warnings("\"t.py\""),
                AllOf(HasSubstr("first.py"), HasSubstr("helper.py"), HasSubstr("other.py"),
                      HasSubstr("lib/hidden.py"), HasSubstr("deep/er/deeper.py"), Not(HasSubstr("no.py"))));
    EXPECT_THAT(warnings("\"other.py\"", "[\"env\", \"PYTHONPATH=lib\", \"python3\", \"other.py\"]"),
                IsEmpty());
    write("other.py", "import hidden\n");
    EXPECT_THAT(warnings("\"other.py\"", "[\"env\", \"PYTHONPATH=lib\", \"python3\", \"other.py\"]"),
                HasSubstr("lib/hidden.py"));
}

TEST_F(CommandFiles, WhatAShellIsToldIsLookedAt) {
    write("t.py", "import helper\n");
    write("helper.py");
    write("data.csv");
    write("sub/run.sh",
          "#!/bin/sh\n# python3 commented.py\npython3 \"$(dirname \"$0\")/u.py\" < data.csv && ./t.py\n");
    write("sub/u.py");
    write("commented.py");
    EXPECT_THAT(warnings("", "[\"sh\", \"-c\", \"exec python3 t.py\"]"),
                AllOf(HasSubstr("'t.py' is not among"), HasSubstr("helper.py"),
                      HasSubstr("[\"t.py\", \"helper.py\"]")));
    EXPECT_THAT(warnings("\"sub/run.sh\"", "[\"bash\", \"sub/run.sh\"]"),
                AllOf(HasSubstr("'sub/u.py'"), HasSubstr("'t.py'"), HasSubstr("helper.py"),
                      Not(HasSubstr("data.csv")), Not(HasSubstr("commented"))));
    EXPECT_THAT(warnings("[\"**/*.py\", \"sub\"]", "[\"bash\", \"sub/run.sh\"]"), IsEmpty());
}

TEST_F(CommandFiles, AScriptIsAdvisedByTheNameItWouldHave) {
    write("t.py", "#!/usr/bin/env python3\n");
    EXPECT_THAT(warnings("", "[\"./t.py\"]"), HasSubstr("expected command.files = [\"t.py\"]"));
    EXPECT_THAT(warnings("\"t.py\"", "[\"./t.py\"]"), IsEmpty());
    const auto diagnostics = folder_.diagnostics(study("[\"t.py\", \"t.py\"]", "[\"./t.py\"]"));
    ASSERT_THAT(diagnostics, SizeIs(1)) << "and no warning that it is not among them";
    EXPECT_THAT(diagnostics[0].message, HasSubstr("listed twice"));
}

// Another file of the same name has results of its own.
TEST_F(CommandFiles, AScriptByItsAbsolutePathIsWhatTheJobIs) {
    const auto identity = [&](const std::string& program, const std::string& files = "") {
        return job_identity(folder_.load(study(files, "[\"" + program + "\"]")).base);
    };
    const std::string here = folder_.path().string();
    write("e1/train.sh", "echo 1\n");
    write("e2/train.sh", "#!/bin/sh\necho 2\n");
    const auto before = identity(here + "/e1/train.sh");
    EXPECT_NE(before, identity(here + "/e2/train.sh"));
    EXPECT_THAT(warnings("", "[\"" + here + "/e1/train.sh\"]"),
                HasSubstr("'e1/train.sh' is not among command.files"));
    write("e1/train.sh", "echo 3\n");
    EXPECT_NE(before, identity(here + "/e1/train.sh")) << "it was edited";
    write("e1/train.sh", "echo 1\n");
    EXPECT_EQ(before, identity(here + "/e1/train.sh"));
    // One that the files name is known by its name and content, as before.
    JobConfig by_name = folder_.load(study("\"e1/train.sh\"", "[\"" + here + "/e1/train.sh\"]")).base;
    EXPECT_THAT(by_name.command->files, SizeIs(1));
    const auto named = job_identity(by_name);
    by_name.command->run.front() = "train.sh";
    EXPECT_EQ(job_identity(by_name), named);
}

TEST_F(CommandFiles, AScriptElsewhereIsWarnedOf) {
    write("study/t.py");
    write("elsewhere/t.py");
    write("elsewhere/t.csv");
    const std::string there = folder_.path().string() + "/elsewhere/";
    const std::string end = "folder = \"study\"\n";
    const auto warned = [&](const std::string& run) {
        std::string text;
        for (const auto& warning : folder_.load(study("", run) + end).warnings) {
            text += warning.message + "\n";
        }
        return text;
    };
    EXPECT_THAT(
        warned("[\"python3\", \"" + there + "t.py\", \"" + there + "t.csv\"]"),
        AllOf(HasSubstr("elsewhere/t.py' is not among command.files: jobs that are done are not run again"),
              HasSubstr("named there as \"t.py\""), Not(HasSubstr("t.csv"))));
    EXPECT_THAT(warned("[\"" + there + "t.py\"]"),
                AllOf(HasSubstr("elsewhere/t.py' is not among command.files"), HasSubstr("edited or moved"),
                      HasSubstr("named there as \"./t.py\"")));
}

// It is the same job in another virtual environment.
TEST_F(CommandFiles, AnInterpreterAndWhatIsInstalledBesideItAreKnownByName) {
    using namespace std::string_literals;
    write("a/bin/python3", "\x7F"s + "ELF\0 1"s);
    write("b/bin/python3", "\x7F"s + "ELF\0 2"s);
    write("a/bin/torchrun", "#!/a/bin/python3\n");
    write("b/bin/torchrun", "#!/b/bin/python3\n");
    for (const std::string name : {"python3", "torchrun"}) {
        const auto in = [&](const std::string& environment) {
            const auto program = (folder_.path() / environment / "bin" / name).string();
            const auto loaded = folder_.load(study("", "[\"" + program + "\"]"));
            EXPECT_THAT(loaded.warnings, IsEmpty());
            EXPECT_THAT(loaded.base.command->files, IsEmpty());
            return job_identity(loaded.base);
        };
        EXPECT_EQ(in("a"), in("b")) << name;
        EXPECT_EQ(in("a"), in("not-there")) << name;
    }
}

TEST_F(CommandFiles, ACompiledProgramThatIsNotInstalledIsWarnedOf) {
    using namespace std::string_literals;
    write("build/train", "\x7F"s + "ELF\0 1"s);
    EXPECT_THAT(
        warnings("", "[\"" + (folder_.path() / "build/train").string() + "\"]"),
        HasSubstr("'build/train' is not among command.files: jobs that are done are not run again when "
                  "it changes, nor when another program of that name is run; expected command.files = "
                  "[\"build/train\"]"));
    EXPECT_THAT(warnings("", "[\"build/train\"]"), HasSubstr("'build/train' is not among command.files"));
}

TEST_F(CommandFiles, WhatEditorsLeaveBehindIsNotAmongThem) {
    for (const char* name : {"lib/a.py", "lib/a.py~", "lib/a.py.swp", "lib/#a.py#", "lib/a.pyc"}) {
        write(name);
    }
    EXPECT_THAT(found("\"lib\""), ElementsAre("lib/a.py"));
    EXPECT_THAT(found("\"lib/*\""), ElementsAre("lib/a.py"));
    EXPECT_THAT(found("\"**\""), ElementsAre("lib/a.py", "study.toml", "tracks.csv"));
    EXPECT_THAT(found("\"lib/*.pyc\""), ElementsAre("lib/a.pyc"));
    EXPECT_THAT(found("\"lib/a.py~\""), ElementsAre("lib/a.py~"));
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
