// Missing cells on their way into texts, and classes that a part lacks in the report.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "worker/data/leaks.h"
#include "worker/data/prepared_data.h"
#include "worker/data/text_form.h"

namespace orchestrate {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

class MissingValuesInTexts : public testing::Test {
  protected:
    MissingValuesInTexts() {
        dataset_.classes = {"a"};
        dataset_.label = {0, 0, 0, 0, 0, 0};
        dataset_.line = {2, 3, 4, 5, 6, 7};
        dataset_.features = {
            {"size", ColumnKind::numeric, {1, kNone, 3, 100, kNone, 900}, {}, {0, 1, 0, 0, 1, 0}},
            {"live", ColumnKind::boolean, {1, 0, kNone, 0, 1, 1}, {}, {0, 0, 1, 0, 0, 0}},
            {"key", ColumnKind::text, {}, {"C", "D", "E", "", "G", "A"}, {0, 0, 0, 1, 0, 0}}};
    }
    std::string text(std::size_t row, MissingValues missing, const TextConfig& form) const {
        return TextWriter(dataset_, parts_, form, missing).text(row);
    }
    Dataset dataset_;
    std::vector<DataPart> parts_ = {DataPart::train, DataPart::train,      DataPart::train,
                                    DataPart::train, DataPart::validation, DataPart::test};
};

TEST_F(MissingValuesInTexts, AreAWordOfTheirOwn) {
    const TextConfig rounded{TextForm::rounded, 5, 2};
    EXPECT_EQ(text(1, MissingValues::word, rounded), "size missing, live no, key D");
    EXPECT_EQ(text(2, MissingValues::word, rounded), "size 3, live missing, key E");
    EXPECT_EQ(text(3, MissingValues::word, rounded), "size 100, live no, key missing");
    EXPECT_EQ(text(4, MissingValues::word, {TextForm::quantile_words, 3, 2}),
              "size missing, live yes, key G");
}

TEST_F(MissingValuesInTexts, AreTheMedianOfTheTrainingPartAlone) {
    const TextConfig rounded{TextForm::rounded, 5, 2};
    EXPECT_EQ(text(1, MissingValues::median, rounded), "size 3, live no, key D")
        << "of 1, 3 and 100, not of 900";
    EXPECT_EQ(text(4, MissingValues::median, rounded), "size 3, live yes, key G");
    EXPECT_EQ(text(2, MissingValues::median, rounded), "size 3, live missing, key E");
    dataset_.features[0].numbers[5] = -1e6;
    EXPECT_EQ(text(4, MissingValues::median, rounded), "size 3, live yes, key G");
    dataset_.features[0].missing[2] = 1;
    EXPECT_THAT(text(1, MissingValues::median, rounded), HasSubstr("size 50"))
        << "the mean of the two in the middle";
}

TEST_F(MissingValuesInTexts, FitNothing) {
    const TextConfig scaled{TextForm::standardized, 5, 3};
    const std::string with = text(0, MissingValues::median, scaled);
    dataset_.features[0].numbers[1] = 1e9;  // a missing cell, whatever is stored there
    EXPECT_EQ(text(0, MissingValues::median, scaled), with);
    EXPECT_EQ(text(0, MissingValues::word, scaled), with);
}

TEST_F(MissingValuesInTexts, NeedAValueInTheTrainingPart) {
    dataset_.features[0].missing = {1, 1, 1, 1, 0, 0};
    try {
        text(0, MissingValues::median, {});
        FAIL() << "expected UserError";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("column 'size' has no value in any row of the training part"));
    }
}

class PreparationWithGaps : public testing::Test {
  protected:
    PreparationWithGaps() {
        std::ofstream file(directory_.path() / "t.csv");
        file << "genre,x,group\n";
        for (int i = 0; i < 400; ++i) {
            // Class c is one group, so that it is in one part only.
            file << (i % 4 == 0   ? "a"
                     : i % 4 == 1 ? "b"
                                  : "c")
                 << ',' << (i % 7 == 0 ? std::string() : std::to_string(i)) << ','
                 << (i % 4 > 1 ? std::string("all") : std::to_string(i)) << '\n';
        }
        config_.label = "genre";
        config_.features = {"x"};
        paths_.data = directory_.path() / "t.csv";
    }
    TemporaryFolder directory_;
    DataConfig config_;
    TokenizerConfig tokenizer_;
    JobPaths paths_;
};

TEST_F(PreparationWithGaps, ReadsAsTheCoordinatorDoes) {
    EXPECT_THROW(prepare_data(config_, tokenizer_, paths_, 1), UserError);
    config_.missing = MissingValues::drop;
    config_.complete_columns = std::vector<std::string>{"x"};
    const auto dropped = prepare_data(config_, tokenizer_, paths_, 1).report;
    EXPECT_EQ(dropped.train_rows + dropped.validation_rows + dropped.test_rows, 400 - 58);
    config_.missing = MissingValues::word;
    const auto word = prepare_data(config_, tokenizer_, paths_, 1).report;
    EXPECT_EQ(word.train_rows + word.validation_rows + word.test_rows, 400);
    EXPECT_THAT(word.example_text, "x missing");
    config_.missing = MissingValues::median;
    EXPECT_NE(prepare_data(config_, tokenizer_, paths_, 1).train.texts_sha256,
              prepare_data(DataConfig(config_), tokenizer_, paths_, 1).test.texts_sha256);
}

TEST_F(PreparationWithGaps, ReportsClassesThatAPartLacks) {
    config_.missing = MissingValues::word;
    EXPECT_THAT(prepare_data(config_, tokenizer_, paths_, 1).report.absent_classes, ElementsAre());
    config_.split.group_by = {{"group", ""}};
    config_.split.train = 0.5;
    config_.split.validation = config_.split.test = 0.25;
    const auto absent = prepare_data(config_, tokenizer_, paths_, 1).report.absent_classes;
    EXPECT_THAT(absent, Contains(AbsentClasses{"test", {"c"}}));
    EXPECT_THAT(absent, Contains(AbsentClasses{"validation", {"c"}}));
}

}  // namespace
}  // namespace orchestrate
