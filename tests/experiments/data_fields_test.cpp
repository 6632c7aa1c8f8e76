// [data] of a study: what is found out about the file before anything starts, and what becomes part of a job's identity.
#include <gmock/gmock.h>

#include "experiments/plan.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const std::string kStudy = R"([data]
path = "t.csv"
label = "genre"
features = ["x", "y"]
)";

// 60 rows of two genres; in every tenth, `gap` stands for y.
void write_table(const StudyFolder& folder, const std::string& gap, const std::string& delimiter = ",") {
    std::string rows = "genre" + delimiter + "x" + delimiter + "y" + delimiter + "z\n";
    for (int i = 0; i < 60; ++i) {
        const std::string y = i % 10 == 3 ? gap : std::to_string(i % 13);
        rows += std::string(i % 2 ? "punk" : "funk") + delimiter + std::to_string(i) + delimiter + y +
                delimiter + (i == 5 ? "" : std::to_string(i * i)) + "\n";
    }
    folder.write("t.csv", rows);
}

std::vector<std::string> messages(const std::vector<Diagnostic>& diagnostics) {
    std::vector<std::string> texts;
    for (const auto& diagnostic : diagnostics) {
        texts.push_back(diagnostic.message);
    }
    return texts;
}

std::string identity(const Study& study) {
    return job_identity(job_of(last_stage(study).front(), last_stage(study).front().runs.front()));
}

TEST(DataFields, WithoutMissingCellsTheirSettingIsNoPartOfTheIdentity) {
    const StudyFolder folder;
    write_table(folder, "4");
    const std::string plain = identity(folder.load(kStudy));
    for (const std::string value : {"refuse", "drop", "word", "median"}) {
        EXPECT_EQ(identity(folder.load(kStudy + "missing = \"" + value + "\"\n")), plain) << value;
    }
    EXPECT_EQ(identity(folder.load(kStudy + "decimal = \".\"\ndelimiter = \",\"\n")), plain);
    EXPECT_EQ(canonical_json(folder.load(kStudy).base).find("missing"), std::string::npos);
}

TEST(DataFields, MissingCellsAreRefusedAtTheirLineAndEachSettingIsAnotherJob) {
    const StudyFolder folder;
    write_table(folder, "NA");
    const auto diagnostics = folder.diagnostics(kStudy);
    ASSERT_THAT(diagnostics, SizeIs(6));
    EXPECT_EQ(diagnostics[0].file, (folder.path() / "t.csv").string());
    EXPECT_EQ(diagnostics[0].line, 5);
    EXPECT_THAT(diagnostics[0].message, AllOf(HasSubstr("column 'y' holds 'NA'"), HasSubstr("data.missing")));
    std::set<std::string> identities;
    for (const std::string value : {"drop", "word", "median"}) {
        identities.insert(identity(folder.load(kStudy + "missing = \"" + value + "\"\n")));
    }
    EXPECT_THAT(identities, SizeIs(3));
    EXPECT_THAT(messages(folder.diagnostics(kStudy + "missing = \"mean\"\n")),
                Contains(HasSubstr("data.missing cannot be")));
}

TEST(DataFields, RowsAreDroppedForAllVariantsOrNone) {
    const StudyFolder folder;
    write_table(folder, "");
    const auto study = folder.load(
        kStudy +
        "missing = \"drop\"\n[[ablation]]\nleave_one_out = \"data.features\"\n[[ablation]]\nadd = \"z\"\n");
    EXPECT_EQ(data_rows(study), 60 - 6 - 1);
    for (const auto& variant : last_stage(study)) {
        EXPECT_EQ(variant.config.data.complete_columns, (std::vector<std::string>{"y", "z"})) << variant.name;
    }
    EXPECT_THAT(render_plan(study), HasSubstr("7 rows with a missing cell left out"));
}

TEST(DataFields, ThePlanShowsTheKindOfEachColumn) {
    const StudyFolder folder;
    std::string header = "genre,flag,key,title";
    std::string rows;
    for (int i = 0; i < 60; ++i) {
        rows += std::string(i % 2 ? "punk" : "funk") + (i % 3 ? ",yes," : ",no,") +
                (i % 4 ? "C sharp" : "D") + ",song " + std::to_string(i);
        for (int k = 0; k < 30; ++k) {
            rows += i == 7 && k == 29 ? "," : "," + std::to_string(i * (k + 1) % 17);
        }
        rows += "\n";
    }
    std::string features = "\"flag\", \"key\", \"title\"";
    for (int k = 0; k < 30; ++k) {
        header += ",number_" + std::to_string(k);
        features += ", \"number_" + std::to_string(k) + "\"";
    }
    folder.write("t.csv", header + "\n" + rows);
    const std::string begin = "[data]\npath = \"t.csv\"\nlabel = \"genre\"\nmissing = \"median\"\n";
    const std::string plan = render_plan(folder.load(begin + "features = [" + features + "]\n"));
    EXPECT_THAT(plan, AllOf(HasSubstr("columns: number_29 (number, 17 values, 1.7 % missing)"),
                            HasSubstr("(boolean)"), HasSubstr("median of the training part")));
    std::istringstream lines(plan);
    for (std::string line; std::getline(lines, line);) {
        EXPECT_LE(line.size(), 80U) << line;
    }
    std::string unwrapped = plan;
    std::replace(unwrapped.begin(), unwrapped.end(), '\n', ' ');
    unwrapped.erase(
        std::unique(unwrapped.begin(), unwrapped.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
        unwrapped.end());
    EXPECT_THAT(unwrapped, AllOf(HasSubstr("key (category, 2 values)"), HasSubstr("title (text, 60 values)"),
                                 HasSubstr("and 21 columns of kind number")));
}

TEST(DataFields, FormsOfNumbersAndDelimitersCanBeSaid) {
    const StudyFolder folder;
    write_table(folder, "0,5", ";");
    auto diagnostics = folder.diagnostics(kStudy);
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_THAT(diagnostics[0].message, HasSubstr("data.decimal = \",\""));
    EXPECT_EQ(diagnostics[0].line, 4) << "where the study names the feature";
    EXPECT_EQ(folder.load(kStudy + "decimal = \",\"\n").base.data.decimal, ",");
    write_table(folder, "1", ":");
    EXPECT_THAT(folder.diagnostics(kStudy), Not(IsEmpty()));
    EXPECT_EQ(folder.load(kStudy + "delimiter = \":\"\n").base.data.delimiter, ":");
    for (const std::string value : {"\"\"", "\";;\"", "\"é\"", "3", "'\"'"}) {
        EXPECT_THAT(messages(folder.diagnostics(kStudy + "delimiter = " + value + "\n")),
                    Contains(HasSubstr("data.delimiter cannot be")))
            << value;
    }
}

TEST(DataFields, WhatWasGuessedIsWarnedOfWhereTheStudyNamesIt) {
    const StudyFolder folder;
    std::string rows = "genre,x,y\n";
    for (int i = 0; i < 60; ++i) {
        rows += std::string(i % 3 == 0   ? "Punk"
                            : i % 3 == 1 ? "punk"
                                         : "funk") +
                "," + std::to_string(i) + ",1\n";
    }
    folder.write("t.csv", rows);
    const auto study = folder.load(kStudy);
    ASSERT_THAT(study.warnings, SizeIs(2));
    EXPECT_EQ(study.warnings[0].line, 3);
    EXPECT_THAT(study.warnings[0].message, HasSubstr("differ only in case"));
    EXPECT_EQ(study.warnings[1].line, 4);
    EXPECT_THAT(study.warnings[1].message, HasSubstr("column 'y' has the same value"));
}

// Twelve classes, of which every other one is a single group.
std::string grouped_rows() {
    std::string rows = "genre,x,y,band\n";
    for (int k = 0; k < 12; ++k) {
        for (int i = 0; i < 20; ++i) {
            const std::string name = k < 10 ? "c0" + std::to_string(k) : "c" + std::to_string(k);
            rows += name + "," + std::to_string(i) + "," + std::to_string(k * i) + "," +
                    std::to_string(k % 2 ? k : 100 + 20 * k + i % 10) + "\n";
        }
    }
    return rows;
}

TEST(DataFields, ClassesWithoutATestRowAreNamed) {
    const StudyFolder folder;
    folder.write("t.csv", grouped_rows());
    const std::string split = "split = { train = 0.6, validation = 0.2, test = 0.2";
    EXPECT_THAT(folder.load(kStudy + split + " }\n").warnings, IsEmpty());
    const auto study = folder.load(kStudy + split + ", group_by = [\"band\"] }\n");
    ASSERT_THAT(study.warnings, SizeIs(2));
    EXPECT_THAT(study.warnings[0].message,
                AllOf(HasSubstr("of 12 classes have no row in the test part"), HasSubstr("'c01' (20 rows)"),
                      HasSubstr("counts as 0 in the macro averages"),
                      HasSubstr("group by a column with more values")));
    EXPECT_THAT(study.warnings[1].message, HasSubstr("no row in the validation part"));
}

TEST(DataFields, PartsWithoutARowAreErrorsBeforeAnythingStarts) {
    const StudyFolder folder;
    folder.write("t.csv", "genre,x,y\npunk,1,2\nfunk,2,1\n");
    EXPECT_THAT(messages(folder.diagnostics(kStudy)), ElementsAre(HasSubstr("gets none of the 2 rows")));
}

std::string rows_with_parts() {
    std::string rows = "genre,x,y,part\n";
    for (int i = 0; i < 60; ++i) {
        rows += std::string(i % 2 ? "punk" : "funk") + "," + std::to_string(i) + "," +
                std::to_string(i * 7 % 11) + "," +
                (i < 40   ? "train"
                 : i < 50 ? "validation"
                          : "test") +
                "\n";
    }
    return rows;
}

TEST(DataFields, AGivenSplitTakesThePlaceOfTheShares) {
    const StudyFolder folder;
    folder.write("t.csv", rows_with_parts());
    const std::string column = kStudy + "split.column = \"part\"\n";
    const auto study = folder.load(column + "[study]\nseeds = 2\n");
    EXPECT_EQ(study.base.data.split.column, "part");
    EXPECT_THAT(last_stage(study).front().runs, SizeIs(2));
    EXPECT_NE(identity(study), identity(folder.load(kStudy)));
    for (const std::string other : {"train = 0.5", "stratify = true", "folds = 5", "repeats = 2"}) {
        EXPECT_THAT(messages(folder.diagnostics(column + "split." + other + "\n")),
                    Contains(HasSubstr("and data.split.column contradict each other")))
            << other;
    }
    EXPECT_EQ(identity(folder.load(column + "split.seed = 3\n")), identity(folder.load(column)))
        << "a seed without effect";
    EXPECT_THAT(messages(folder.diagnostics(kStudy + "split.column = \"parts\"\n")),
                ElementsAre(HasSubstr("data.split.column 'parts' is no column")));
    EXPECT_THAT(messages(folder.diagnostics(kStudy + "split.column = \"genre\"\n")), Not(IsEmpty()));
    EXPECT_THAT(messages(folder.diagnostics(
                    "[data]\npath = \"t.csv\"\nlabel = \"genre\"\nfeatures = [\"x\", \"part\"]\n"
                    "split.column = \"part\"\n")),
                Contains(HasSubstr("is also one of data.features")));
}

}  // namespace
}  // namespace orchestrate::testing
