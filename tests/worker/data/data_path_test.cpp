// From a table to tokens: split, scaling, texts, metrics and the whole preparation, through their public
// interfaces.
#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/counter_random.h"
#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/base/temporary_folder.h"
#include "common/data/csv.h"
#include "common/data/split.h"
#include "common/data/vocabulary.h"
#include "common/metrics/classification_metrics.h"
#include "golden.h"
#include "worker/data/bpe_trainer.h"
#include "worker/data/leaks.h"
#include "worker/data/prepared_data.h"
#include "worker/data/text_form.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

double uniform(std::uint64_t counter) {
    return static_cast<double>(counter_random(11, 0, counter) >> 11U) / 9007199254740992.0;
}

// `rows` rows of four classes (40, 30, 20, 10 %) with a number; without groups.
Dataset make_dataset(std::size_t rows) {
    Dataset dataset;
    dataset.classes = {"a", "b", "c", "d"};
    FeatureColumn number{"speed_bpm", ColumnKind::numeric, {}, {}};
    for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t tenth = row % 10;
        dataset.label.push_back(tenth < 4 ? 0 : tenth < 7 ? 1 : tenth < 9 ? 2 : 3);
        dataset.line.push_back(static_cast<std::int64_t>(row) + 2);
        number.numbers.push_back(uniform(row));
    }
    dataset.features.push_back(std::move(number));
    return dataset;
}

std::map<std::pair<DataPart, std::int32_t>, int> rows_by_part_and_class(const Dataset& dataset,
                                                                        const std::vector<DataPart>& parts) {
    std::map<std::pair<DataPart, std::int32_t>, int> rows;
    for (std::size_t row = 0; row < parts.size(); ++row) {
        ++rows[{parts[row], dataset.label[row]}];
    }
    return rows;
}

TEST(Split, KeepsTheShareOfEachClass) {
    const auto dataset = make_dataset(1000);
    const auto parts = split_rows(dataset, SplitConfig{});
    const std::array<double, 4> rows_of_class = {400, 300, 200, 100};
    for (const auto& [key, count] : rows_by_part_and_class(dataset, parts)) {
        const double fraction = key.first == DataPart::train ? 0.8 : 0.1;
        EXPECT_NEAR(count, fraction * rows_of_class[static_cast<std::size_t>(key.second)], 1);
    }
}

TEST(Split, IsTheSameOnEveryMachine) {
    // The digest is that of the same rule in exact rational arithmetic; it changes only together with
    // kNumericsVersion.
    const auto dataset = make_dataset(500);
    SplitConfig config;
    config.seed = 3;
    std::string parts;
    for (const auto part : split_rows(dataset, config)) {
        parts += static_cast<char>('0' + static_cast<int>(part));
    }
    EXPECT_EQ(sha256_hex(parts), "aa535402b6e37a760ce5ff56cda6e671409c9c80d352d8a4ea09d0a085551513")
        << parts.substr(0, 40);
}

TEST(Split, DependsOnTheSeed) {
    const auto dataset = make_dataset(500);
    SplitConfig one;
    SplitConfig other;
    other.seed = 1;
    EXPECT_NE(split_rows(dataset, one), split_rows(dataset, other));
}

TEST(Split, KeepsGroupsTogetherAndSharesNear) {
    auto dataset = make_dataset(3000);
    for (std::size_t row = 0; row < dataset.rows(); ++row) {
        // Groups of very different sizes, up to a tenth of the rows.
        const double u = uniform(1'000'000 + row);
        dataset.group.push_back(std::to_string(static_cast<int>(200 * u * u * u)));
    }
    const auto parts = split_rows(dataset, SplitConfig{});
    std::map<std::string, std::set<DataPart>> parts_of_group;
    for (std::size_t row = 0; row < dataset.rows(); ++row) {
        parts_of_group[dataset.group[row]].insert(parts[row]);
    }
    for (const auto& [group, found] : parts_of_group) {
        EXPECT_THAT(found, SizeIs(1)) << group;
    }
    const std::array<double, 4> rows_of_class = {1200, 900, 600, 300};
    for (const auto& [key, count] : rows_by_part_and_class(dataset, parts)) {
        const double wanted =
            (key.first == DataPart::train ? 0.8 : 0.1) * rows_of_class[static_cast<std::size_t>(key.second)];
        EXPECT_NEAR(count, wanted, 0.2 * wanted);
    }
}

TEST(Split, ManySmallClassesStillFillEveryPart) {
    Dataset dataset;
    for (std::size_t row = 0; row < 500; ++row) {
        dataset.label.push_back(static_cast<std::int32_t>(row / 5));
        dataset.line.push_back(static_cast<std::int64_t>(row) + 2);
    }
    dataset.classes.resize(100);
    const auto parts = split_rows(dataset, SplitConfig{});
    EXPECT_NEAR(static_cast<double>(std::count(parts.begin(), parts.end(), DataPart::validation)), 50, 6);
    EXPECT_NEAR(static_cast<double>(std::count(parts.begin(), parts.end(), DataPart::test)), 50, 6);
}

TEST(Split, RefusesFractionsThatDoNotAddUpAndPartsWithoutRows) {
    SplitConfig config;
    config.train = 0.9;
    EXPECT_THROW(split_rows(make_dataset(100), config), UserError);
    auto one_group = make_dataset(100);
    one_group.group.assign(100, "same");
    EXPECT_THROW(split_rows(one_group, SplitConfig{}), UserError);
    config = {};
    config.train = 1;
    config.validation = config.test = 0;
    EXPECT_THAT(split_rows(one_group, config), testing::Each(DataPart::train));
}

TEST(Split, LeaksAreRowsAlsoFoundInTrain) {
    Dataset dataset;
    dataset.classes = {"a", "b"};
    dataset.label = {0, 1, 0, 1, 0, 1};
    dataset.line = {2, 3, 4, 5, 6, 7};
    dataset.group = {"g", "h", "g", "i", "j", "k"};
    dataset.features = {{"x", ColumnKind::numeric, {1, 2, 3, 2, -0.0, 5}, {}}};
    dataset.features.push_back({"t", ColumnKind::text, {}, {"p", "q", "r", "q", "s", "q"}});
    const std::vector<DataPart> parts = {DataPart::train, DataPart::train,      DataPart::test,
                                         DataPart::test,  DataPart::validation, DataPart::test};
    const auto leaks = find_leaks(dataset, parts, {"t1", "t2", "t3", "t1", "t2", "t1"});
    std::map<std::string, std::int64_t> rows;
    for (const auto& leak : leaks) {
        rows[leak.part + " " + leak.kind] = leak.rows;
    }
    EXPECT_THAT(rows, ElementsAre(testing::Pair("test features", 1), testing::Pair("test group", 1),
                                  testing::Pair("test text", 2), testing::Pair("validation features", 0),
                                  testing::Pair("validation group", 0), testing::Pair("validation text", 1)));
    EXPECT_DOUBLE_EQ(leaks.back().share, 2.0 / 3);
}

TEST(QuantileBins, TiesShareTheLowestBinTheySpan) {
    const std::vector<double> values = {0, 0, 0, 0, 0, 0, 1, 2, 3, 4};
    const auto bins = QuantileBins::fit(values, 5);
    EXPECT_EQ(bins.bin_of(-1), 0U);
    EXPECT_EQ(bins.bin_of(0), 0U);
    EXPECT_EQ(bins.bin_of(4), 4U);
    EXPECT_EQ(bins.bin_of(1e9), 4U);
    std::vector<double> even(100);
    for (std::size_t i = 0; i < even.size(); ++i) {
        even[i] = static_cast<double>(99 - i);
    }
    const auto quarters = QuantileBins::fit(even, 4);
    EXPECT_THAT(quarters.cuts(), ElementsAre(24.75, 49.5, 74.25));
    std::map<std::size_t, int> rows;
    for (const double value : even) {
        ++rows[quarters.bin_of(value)];
    }
    EXPECT_THAT(rows, ElementsAre(testing::Pair(0, 25), testing::Pair(1, 25), testing::Pair(2, 25),
                                  testing::Pair(3, 25)));
}

class TextForms : public testing::Test {
  protected:
    TextForms() {
        dataset_.classes = {"a"};
        dataset_.label = {0, 0, 0, 0};
        dataset_.line = {2, 3, 4, 5};
        dataset_.features = {{"duration_ms", ColumnKind::numeric, {1000, 2000, 3000, 4000}, {}},
                             {"energy", ColumnKind::numeric, {0.125, -0.001, 0.875, 9}, {}},
                             {"is_explicit", ColumnKind::boolean, {1, 0, 0, 1}, {}},
                             {"track_name", ColumnKind::text, {}, {"Hello, you", "", "c", "d"}}};
    }
    std::string text(std::size_t row, const TextConfig& config) const {
        return TextWriter(dataset_, parts_, config).text(row);
    }
    Dataset dataset_;
    std::vector<DataPart> parts_ = {DataPart::train, DataPart::train, DataPart::train, DataPart::test};
};

TEST_F(TextForms, RoundedNumbersHaveDecimalsUnlessTheColumnIsWhole) {
    EXPECT_EQ(text(0, {TextForm::rounded, 5, 2}),
              "duration 1000, energy 0.12, is explicit yes, track name Hello, you");
    EXPECT_EQ(text(1, {TextForm::rounded, 5, 2}), "duration 2000, energy 0.00, is explicit no, track name ");
}

TEST_F(TextForms, StandardizationIsFittedOnTrainingRows) {
    // Training rows of "duration": mean 2000, population deviation 816.4966.
    EXPECT_THAT(text(0, {TextForm::standardized, 5, 1}), HasSubstr("duration -1.2,"));
    EXPECT_THAT(text(1, {TextForm::standardized, 5, 1}), HasSubstr("duration 0.0,"));
    EXPECT_THAT(text(3, {TextForm::standardized, 5, 1}), HasSubstr("duration 2.4,"));
}

TEST_F(TextForms, QuantilesAreWordsUpToSevenAndNumbersAbove) {
    EXPECT_EQ(text(3, {TextForm::quantile_words, 5, 2}),
              "duration very high, energy very high, is explicit yes, track name d");
    EXPECT_THAT(text(1, {TextForm::quantile_words, 3, 2}), HasSubstr("duration medium, energy low"));
    EXPECT_THAT(text(3, {TextForm::quantile_words, 16, 2}), HasSubstr("duration 16, energy 16"));
    for (std::int64_t quantiles = 2; quantiles <= 100; ++quantiles) {
        const auto words = quantile_words(quantiles);
        EXPECT_THAT(words, SizeIs(quantiles));
        EXPECT_EQ(std::set<std::string>(words.begin(), words.end()).size(), words.size());
    }
    EXPECT_THROW(text(0, {TextForm::quantile_words, 101, 2}), UserError);
}

TEST(TextNames, UnitsGoUnlessNamesWouldBecomeEqual) {
    EXPECT_THAT(readable_names({"duration_ms", "tempo_bpm", "time_signature", "_ms"}),
                ElementsAre("duration", "tempo", "time signature", " ms"));
    EXPECT_THAT(readable_names({"length_ms", "length_km"}), ElementsAre("length ms", "length km"));
}

TEST(Metrics, HarmonicMeanOfMacroAveragesIsNotMacroF1) {
    ConfusionMatrix confusion(3);
    confusion.add(0, 0, 8);
    confusion.add(0, 1, 2);
    confusion.add(1, 1, 1);
    confusion.add(2, 0, 4);
    const auto metrics = metrics_of_predictions(MetricPart::test, confusion);
    const auto value = [&](TrainingMetric metric) {
        return find_metric(metrics, key_of(MetricPart::test, metric)).value();
    };
    EXPECT_NEAR(value(TrainingMetric::macro_precision), (8.0 / 12 + 1.0 / 3) / 3, 1e-15);
    EXPECT_NEAR(value(TrainingMetric::macro_recall), (0.8 + 1) / 3, 1e-15);
    EXPECT_NEAR(value(TrainingMetric::macro_f1), (16.0 / 22 + 0.5) / 3, 1e-15);
    EXPECT_NEAR(value(TrainingMetric::f1_of_macro_averages), 2 * (1.0 / 3) * 0.6 / (1.0 / 3 + 0.6), 1e-15);
    EXPECT_THAT(confusion.sparse(), SizeIs(4));
    EXPECT_FALSE(confusion.is_collapsed());
    confusion.add(1, 0, 1000);
    EXPECT_TRUE(confusion.is_collapsed());
    EXPECT_THROW(confusion.add(0, 3), std::out_of_range);
}

class Preparation : public testing::Test {
  protected:
    Preparation() {
        std::ofstream file(folder_ / "data.csv");
        file << "genre,energy,name,id\n";
        for (std::uint64_t row = 0; row < 600; ++row) {
            file << (row % 3 == 0   ? "rock"
                     : row % 3 == 1 ? "pop"
                                    : "\"r\"\"n\"\"b\"")
                 << ',' << uniform(row) << ",\"song " << row % 50 << ", live\"," << row / 2 << '\n';
        }
        file.close();
        data_.label = "genre";
        data_.features = {"energy", "name"};
        data_.split.group_by = {{"id", ""}};
        paths_.data = folder_ / "data.csv";
    }

    TemporaryFolder temporary_;
    const std::filesystem::path folder_ = temporary_.path();
    DataConfig data_;
    TokenizerConfig tokenizer_;
    JobPaths paths_;
};

TEST_F(Preparation, GivesTokensLabelsAndReport) {
    const auto prepared = prepare_data(data_, tokenizer_, paths_, 1);
    EXPECT_THAT(prepared.classes, ElementsAre("pop", "r\"n\"b", "rock"));
    EXPECT_EQ(prepared.report.train_rows, 480);
    EXPECT_EQ(prepared.report.validation_rows, 60);
    EXPECT_EQ(prepared.report.test_rows, 60);
    EXPECT_EQ(prepared.report.data_sha256, sha256_hex_of_content(paths_.data));
    EXPECT_GT(prepared.vocabulary_size, kSmallestVocabulary);
    EXPECT_LE(prepared.vocabulary_size, tokenizer_.vocabulary_size);
    EXPECT_EQ(prepared.special.mask, prepared.vocabulary_size - 1);
    std::set<std::int64_t> lines;
    std::size_t tokens = 0;
    for (const auto* part : {&prepared.train, &prepared.validation, &prepared.test}) {
        ASSERT_EQ(part->offsets.size(), part->label.size() + 1);
        tokens += part->token_ids.size();
        for (std::int64_t row = 0; row < part->rows(); ++row) {
            const auto ids = part->tokens(row);
            EXPECT_EQ(ids.front(), prepared.special.bos);
            EXPECT_EQ(ids.back(), prepared.special.eos);
            lines.insert(part->line[static_cast<std::size_t>(row)]);
        }
        EXPECT_LT(*std::max_element(part->token_ids.begin(), part->token_ids.end()),
                  prepared.vocabulary_size);
    }
    EXPECT_EQ(lines.size(), 600U);
    EXPECT_EQ(*lines.begin(), 2);
    EXPECT_DOUBLE_EQ(prepared.report.mean_tokens, static_cast<double>(tokens) / 600);
    EXPECT_THAT(prepared.report.example_text, HasSubstr("energy "));
    for (const auto& leak : prepared.report.leaks) {
        EXPECT_TRUE(leak.kind != "group" || leak.rows == 0);
    }
}

TEST_F(Preparation, NumberOfThreadsChangesNothing) {
    const auto one = prepare_data(data_, tokenizer_, paths_, 1);
    const auto four = prepare_data(data_, tokenizer_, paths_, 4);
    EXPECT_EQ(one.train.token_ids, four.train.token_ids);
    EXPECT_EQ(one.train.texts_sha256, four.train.texts_sha256);
    EXPECT_EQ(one.test.offsets, four.test.offsets);
}

TEST_F(Preparation, TruncatesAndSaysHowOften) {
    tokenizer_.max_length = 6;
    const auto prepared = prepare_data(data_, tokenizer_, paths_, 2);
    EXPECT_EQ(prepared.report.longest_text_tokens, 6);
    EXPECT_EQ(prepared.report.truncated_texts, 600);
    tokenizer_.max_length = 2;
    EXPECT_THROW(prepare_data(data_, tokenizer_, paths_, 1), UserError);
}

TEST_F(Preparation, RefusesDataAndVocabularyOfAnotherHash) {
    data_.sha256 = std::string(64, '0');
    EXPECT_THROW(prepare_data(data_, tokenizer_, paths_, 1), UserError);
    data_.sha256 = sha256_hex_of_content(paths_.data);
    EXPECT_NO_THROW(prepare_data(data_, tokenizer_, paths_, 1));
    tokenizer_.vocabulary_sha256 = std::string(64, '0');
    EXPECT_THROW(prepare_data(data_, tokenizer_, paths_, 1), UserError);

    const std::vector<std::string> texts = {"energy very high", "energy low"};
    const auto trained = train_byte_level_bpe(texts, 270);
    trained.save(folder_ / "vocabulary");
    paths_.vocabulary = folder_ / "vocabulary";
    EXPECT_THROW(prepare_data(data_, tokenizer_, paths_, 1), UserError);
    tokenizer_.vocabulary_sha256 = sha256_hex_of_vocabulary(paths_.vocabulary);
    EXPECT_EQ(prepare_data(data_, tokenizer_, paths_, 1).vocabulary_size, trained.vocabulary_size());
}

TEST_F(Preparation, ReadsTheVocabularyOfBert) {
    std::filesystem::create_directories(folder_ / "bert");
    std::ofstream(folder_ / "bert" / "vocab.txt")
        << "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nenergy\nname\n,\nvery\nhigh\nlow\n";
    paths_.vocabulary = folder_ / "bert";
    EXPECT_THROW(prepare_data(data_, tokenizer_, paths_, 1), UserError);  // the job is about the other kind
    tokenizer_.kind = TokenizerKind::word_piece;
    const auto prepared = prepare_data(data_, tokenizer_, paths_, 1);
    EXPECT_EQ(prepared.vocabulary_size, 11);
    EXPECT_EQ(prepared.special.pad, 0);
    const auto tokens = prepared.train.tokens(0);
    EXPECT_EQ(tokens.front(), 2);
    EXPECT_EQ(tokens[1], 5);  // "energy"
    EXPECT_EQ(tokens.back(), 3);
    prepared.tokenizer->save(folder_ / "again");
    EXPECT_EQ(sha256_hex_of_vocabulary(folder_ / "again"), sha256_hex_of_vocabulary(folder_ / "bert"));
    paths_.vocabulary.clear();
    EXPECT_THROW(prepare_data(data_, tokenizer_, paths_, 1), UserError);  // only BPE is trained
}

TEST_F(Preparation, AblatingAFeatureLeavesTheSplitAlone) {
    const auto with = prepare_data(data_, tokenizer_, paths_, 1);
    data_.features = {"name"};
    const auto without = prepare_data(data_, tokenizer_, paths_, 1);
    EXPECT_EQ(with.test.line, without.test.line);
    EXPECT_NE(with.test.texts_sha256, without.test.texts_sha256);
}

TEST_F(Preparation, WritesTheTextsAsCsv) {
    const auto prepared = prepare_data(data_, tokenizer_, paths_, 1);
    write_texts_csv(data_, paths_, folder_ / "texts.csv");
    CsvReader reader(folder_ / "texts.csv");
    EXPECT_THAT(reader.header(), ElementsAre("line", "part", "label", "text"));
    std::map<std::string, std::vector<std::int64_t>> lines;
    Sha256 training_texts;
    while (reader.next()) {
        const auto& fields = reader.fields();
        lines[std::string(fields[1])].push_back(std::stoll(std::string(fields[0])));
        if (fields[1] == "train") {
            const std::string text(fields[3]);
            training_texts.add(text.c_str(), text.size() + 1);
        }
    }
    EXPECT_EQ(lines["train"], prepared.train.line);
    EXPECT_EQ(lines["validation"], prepared.validation.line);
    EXPECT_EQ(lines["test"], prepared.test.line);
    EXPECT_EQ(training_texts.hex(), prepared.train.texts_sha256);
    EXPECT_THROW(write_texts_csv(data_, paths_, folder_ / "no" / "texts.csv"), UserError);
}

TEST_F(Preparation, AClassThatTrainingNeverSeesIsRefused) {
    std::ofstream(folder_ / "small.csv")
        << "genre,energy,name,id\nrock,1,x,a\nrock,2,x,b\nrock,3,x,c\nrock,4,x,d\nrock,5,x,e\n"
           "rock,1,x,f\nrock,2,x,g\nrock,3,x,h\npop,1,x,A\npop,2,x,B\n";
    paths_.data = folder_ / "small.csv";
    data_.split = {0.5, 0.25, 0.25, {{"genre", ""}}, true, 0};
    EXPECT_THROW(prepare_data(data_, tokenizer_, paths_, 1), UserError);
}

TEST(PreparedDataKey, TellsConfigurationsApart) {
    DataConfig data;
    TokenizerConfig tokenizer;
    const auto key = prepared_data_key(data, tokenizer);
    EXPECT_EQ(key, prepared_data_key(data, tokenizer));
    data.text.quantiles = 7;
    EXPECT_NE(key, prepared_data_key(data, tokenizer));
}

}  // namespace
}  // namespace orchestrate
