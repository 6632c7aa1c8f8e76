#include "common/data/dataset.h"

#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "common/base/sha256.h"
#include "common/base/temporary_folder.h"
#include "common/data/csv.h"

namespace orchestrate {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using Kind = DatasetProblem::Kind;

class DatasetTest : public testing::Test {
  protected:
    std::filesystem::path write(const std::string& name, const std::string& content) const {
        const auto path = folder_ / name;
        std::ofstream(path, std::ios::binary) << content;
        return path;
    }

    std::filesystem::path write_gzip(const std::string& name, const std::string& content) const {
        const auto path = folder_ / name;
        gzFile file = gzopen(path.c_str(), "wb");
        gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
        gzclose(file);
        return path;
    }

    static std::vector<std::vector<std::string>> records(const std::filesystem::path& path) {
        CsvReader reader(path);
        std::vector<std::vector<std::string>> all;
        while (reader.next()) {
            all.emplace_back(reader.fields().begin(), reader.fields().end());
        }
        return all;
    }

    static std::vector<DatasetProblem> problems_of(const std::filesystem::path& path,
                                                   const DataConfig& config) {
        try {
            read_dataset(path, config, config.features);
        } catch (const DatasetError& error) {
            return error.problems();
        }
        return {};
    }

    static DataConfig config(std::vector<std::string> features) {
        DataConfig data;
        data.label = "genre";
        data.features = std::move(features);
        return data;
    }

    TemporaryFolder temporary_;
    const std::filesystem::path folder_ = temporary_.path();
};

TEST_F(DatasetTest, ReadsQuotesNewlinesAndDoubledQuotes) {
    const auto path = write("a.csv", "a,b\n\"x, \"\"y\"\"\",\"two\nlines\"\n\"\",z\n");
    EXPECT_THAT(records(path), ElementsAre(ElementsAre("x, \"y\"", "two\nlines"), ElementsAre("", "z")));
}

TEST_F(DatasetTest, CountsLinesThroughQuotedNewlinesAndBlankLines) {
    CsvReader reader(write("a.csv", "a,b\n\n\"1\n2\n3\",x\n\n7,y"));
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.line(), 3);
    ASSERT_TRUE(reader.next());
    EXPECT_EQ(reader.line(), 7);
    EXPECT_FALSE(reader.next());
}

TEST_F(DatasetTest, SkipsByteOrderMarkAndCarriageReturns) {
    CsvReader reader(write("a.csv", "\xEF\xBB\xBF\"a\",b\r\n1,\"2\"\r\n3,4\r\n"));
    EXPECT_THAT(reader.header(), ElementsAre("a", "b"));
    ASSERT_TRUE(reader.next());
    EXPECT_THAT(reader.fields(), ElementsAre("1", "2"));
    ASSERT_TRUE(reader.next());
    EXPECT_THAT(reader.fields(), ElementsAre("3", "4"));
}

TEST_F(DatasetTest, TakesDelimiterFromNameOrHeader) {
    EXPECT_EQ(CsvReader(write("a.tsv", "a,b\tc\n")).delimiter(), '\t');
    EXPECT_EQ(CsvReader(write_gzip("a.tsv.gz", "a,b\n")).delimiter(), '\t');
    EXPECT_EQ(CsvReader(write("a.csv", "a;b;\"c,d,e,f\"\n")).delimiter(), ';');
    EXPECT_EQ(CsvReader(write("a.txt", "a\tb\n")).delimiter(), '\t');
    EXPECT_EQ(CsvReader(write("b.csv", "one\n")).delimiter(), ',');
}

TEST_F(DatasetTest, RecordsLongerThanTheBufferAreWhole) {
    const std::string longest(3'000'000, 'x');
    const auto path = write("a.csv", "a,b\n1,\"" + longest + "\"\"\n" + longest + "\"\n2,y\n");
    const auto all = records(path);
    ASSERT_THAT(all, SizeIs(2));
    EXPECT_TRUE(all[0][1] == longest + "\"\n" + longest);
    EXPECT_EQ(all[1][1], "y");
}

TEST_F(DatasetTest, EveryPlaceOfTheBufferEndGivesTheSameRecords) {
    // The reader's buffer ends after 2^18 bytes: move quotes, doubled quotes and line ends across that
    // border.
    for (std::size_t shift = 0; shift < 24; ++shift) {
        const std::string filler((1U << 18) - 30 + shift, 'f');
        const auto path =
            write("a.csv", "a,b\n" + filler + ",\"q\"\"u\"\r\n\"x\",\"\"\"\"\r\nend,\"\n\"\r\n");
        EXPECT_THAT(records(path), ElementsAre(ElementsAre(filler, "q\"u"), ElementsAre("x", "\""),
                                               ElementsAre("end", "\n")))
            << "shift " << shift;
    }
}

TEST_F(DatasetTest, WrongNumberOfFieldsNamesTheLineAndReadingGoesOn) {
    CsvReader reader(write("a.csv", "a,b\n1,2\n3\n4,5,6\n7,8\n"));
    ASSERT_TRUE(reader.next());
    try {
        reader.next();
        FAIL() << "no error";
    } catch (const CsvError& error) {
        EXPECT_EQ(error.line(), 3);
        EXPECT_THAT(error.what(), HasSubstr("has 1 field, expected 2"));
    }
    EXPECT_THROW(reader.next(), CsvError);
    ASSERT_TRUE(reader.next());
    EXPECT_THAT(reader.fields(), ElementsAre("7", "8"));
}

TEST_F(DatasetTest, UnclosedQuoteNamesTheLineWhereItOpened) {
    CsvReader reader(write("a.csv", "a,b\n1,2\n3,\"open\n5,6\n"));
    ASSERT_TRUE(reader.next());
    try {
        reader.next();
        FAIL() << "no error";
    } catch (const CsvError& error) {
        EXPECT_EQ(error.line(), 3);
        EXPECT_THAT(error.what(), HasSubstr("column 'b'"));
        EXPECT_THAT(error.what(), HasSubstr("never closed"));
    }
    EXPECT_FALSE(reader.next());
}

TEST_F(DatasetTest, TextAfterAClosingQuoteIsAnError) {
    CsvReader reader(write("a.csv", "a,b\n\"1\"x,2\n3,4\n"));
    EXPECT_THROW(reader.next(), CsvError);
    ASSERT_TRUE(reader.next());
    EXPECT_THAT(reader.fields(), ElementsAre("3", "4"));
}

TEST_F(DatasetTest, UnreadableFilesAreNamed) {
    EXPECT_THROW(read_column_names(folder_ / "none.csv"), DatasetError);
    EXPECT_THROW(read_column_names(folder_), DatasetError);
    EXPECT_THROW(read_column_names(write("empty.csv", "")), DatasetError);
    EXPECT_THROW(read_column_names(write("utf16.csv",
                                         "\xFF\xFE"
                                         "a")),
                 DatasetError);

    const auto whole = write_gzip("a.csv.gz", "genre,x\n" + std::string(100'000, 'y'));
    std::ifstream in(whole, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(in)), {});
    const auto cut = write("cut.csv.gz", bytes.substr(0, bytes.size() - 20));
    const auto found = problems_of(cut, config({"x"}));
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_EQ(found[0].kind, Kind::unreadable_file);
    EXPECT_THAT(found[0].message, HasSubstr("cut.csv.gz"));
}

TEST_F(DatasetTest, HashIsThatOfTheUncompressedContent) {
    const std::string content = "genre,x\nrock,1\npop,2\n";
    const auto plain = read_dataset(write("a.csv", content), config({"x"}), {"x"});
    const auto compressed = read_dataset(write_gzip("a.csv.gz", content), config({"x"}), {"x"});
    EXPECT_EQ(plain.sha256, sha256_hex(content));
    EXPECT_EQ(compressed.sha256, plain.sha256);
    EXPECT_EQ(sha256_hex_of_content(folder_ / "a.csv.gz"), plain.sha256);
}

TEST_F(DatasetTest, ColumnsAreNumbersTruthValuesOrTexts) {
    const auto path = write("a.csv",
                            "genre,n,b,t,mixed\n"
                            "rock,1e-3,True,hello,1\n"
                            "pop, +2 ,no,true,x\n"
                            "rock,-3.5,YES,x y,y\n");
    const std::vector<std::string> features = {"t", "b", "n", "mixed"};
    const auto dataset = read_dataset(path, config(features), features);
    ASSERT_THAT(dataset.features, SizeIs(4));
    EXPECT_EQ(dataset.features[0].kind, ColumnKind::text);
    EXPECT_THAT(dataset.features[0].texts, ElementsAre("hello", "true", "x y"));
    EXPECT_EQ(dataset.features[1].kind, ColumnKind::boolean);
    EXPECT_THAT(dataset.features[1].numbers, ElementsAre(1.0, 0.0, 1.0));
    EXPECT_EQ(dataset.features[2].kind, ColumnKind::numeric);
    EXPECT_THAT(dataset.features[2].numbers, ElementsAre(1e-3, 2.0, -3.5));
    EXPECT_EQ(dataset.features[3].kind, ColumnKind::text);
    EXPECT_THAT(dataset.line, ElementsAre(2, 3, 4));
}

TEST_F(DatasetTest, ClassesAreSortedByCodePoint) {
    const auto path = write("a.csv", "genre,x\nétude,1\nzouk,1\nRock,1\n10,1\n9,1\n🎵,1\n～,1\nzouk,2\n");
    const auto dataset = read_dataset(path, config({"x"}), {"x"});
    EXPECT_THAT(dataset.classes, ElementsAre("10", "9", "Rock", "zouk", "étude", "～", "🎵"));
    EXPECT_THAT(dataset.label, ElementsAre(4, 3, 2, 0, 1, 6, 5, 3));
}

TEST_F(DatasetTest, OnlyRowsOfConfiguredClassesAreUsed) {
    auto data = config({"x"});
    data.classes = {"pop", "rock"};
    const auto path = write("a.csv", "genre,x\nrock,1\njazz,not a number\npop,2\n,3\nrock,4\n");
    const auto dataset = read_dataset(path, data, data.features);
    EXPECT_THAT(dataset.line, ElementsAre(2, 4, 6));
    EXPECT_THAT(dataset.label, ElementsAre(1, 0, 1));
    EXPECT_EQ(dataset.features[0].kind, ColumnKind::numeric);
}

TEST_F(DatasetTest, GroupKeysAreTrimmedLowerCasedAndCutAtTheSeparator) {
    auto data = config({"x"});
    data.split.group_by = {{"artists", ";"}, {"name", ""}};
    const auto path = write("a.csv",
                            "genre,x,artists,name\n"
                            "rock,1,\" ÉMILE ;Bob\",Song\n"
                            "pop,2,émile;Carl, SONG \n"
                            "pop,3,émile,other\n"
                            "pop,3,ém,ileother\n");
    const auto dataset = read_dataset(path, data, data.features);
    ASSERT_THAT(dataset.group, SizeIs(4));
    EXPECT_EQ(dataset.group[0], dataset.group[1]);
    EXPECT_EQ(std::set<std::string>(dataset.group.begin(), dataset.group.end()).size(), 3U);
}

TEST_F(DatasetTest, UnknownColumnsAndClassesAreReportedTogetherWithCandidates) {
    auto data = config({"enrgy", "tempo"});
    data.classes = {"hip-hop", "rok"};
    data.split.group_by = {{"trackid", ""}};
    const auto path = write("a.csv", "genre,energy,tempo,track_id\nrock,1,2,a\nhip-hop,1,2,b\n");
    const auto found = problems_of(path, data);
    ASSERT_THAT(found, SizeIs(3));
    EXPECT_EQ(found[0].kind, Kind::unknown_column);
    EXPECT_EQ(found[0].found, "enrgy");
    EXPECT_THAT(found[0].candidates, ElementsAre("genre", "energy", "tempo", "track_id"));
    EXPECT_EQ(found[1].found, "trackid");
    EXPECT_EQ(found[2].kind, Kind::unknown_class);
    EXPECT_EQ(found[2].found, "rok");
    EXPECT_THAT(found[2].candidates, ElementsAre("hip-hop", "rock"));
    EXPECT_THAT(DatasetError(found).what(), HasSubstr("did you mean 'rock'?"));
}

TEST_F(DatasetTest, ANumberMissingInSomeRowsIsReportedRowByRow) {
    std::string content = "genre,x\n";
    for (int row = 0; row < 40; ++row) {
        const std::string value = row % 3 == 0 ? (row == 3   ? "fast"
                                                  : row == 6 ? "nan"
                                                             : "")
                                               : std::to_string(row);
        content += (row % 2 == 0 ? "rock," : "pop,") + value + "\n";
    }
    const auto found = problems_of(write("a.csv", content), config({"x"}));
    ASSERT_THAT(found, SizeIs(10));
    EXPECT_EQ(found[0].line, 2);
    EXPECT_THAT(found[0].message, HasSubstr("column 'x' is empty"));
    EXPECT_EQ(found[1].line, 5);
    EXPECT_THAT(found[1].message, HasSubstr("holds 'fast'"));
    EXPECT_EQ(found[2].line, 8);
    EXPECT_THAT(found[9].message, HasSubstr("4 more such rows"));
}

TEST_F(DatasetTest, BadRecordsAreReportedWithTheirLines) {
    const auto found =
        problems_of(write("a.csv", "genre,x\nrock,1\npop\n\"p\"op,1\n,5\npop,2\npop,\xE9\n"), config({"x"}));
    ASSERT_THAT(found, SizeIs(4));
    EXPECT_EQ(found[0].line, 3);
    EXPECT_EQ(found[1].line, 4);
    EXPECT_EQ(found[2].line, 5);
    EXPECT_THAT(found[2].message, HasSubstr("label column 'genre' is empty"));
    EXPECT_EQ(found[3].line, 7);
    EXPECT_THAT(found[3].message, HasSubstr("UTF-8"));
}

TEST_F(DatasetTest, TooFewRowsOrClassesAreReported) {
    auto found = problems_of(write("a.csv", "genre,x\nrock,1\nrock,2\n"), config({"x"}));
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_EQ(found[0].kind, Kind::too_few_rows);
    auto data = config({"x"});
    data.max_rows = 2;
    found = problems_of(write("a.csv", "genre,x\na,1\nb,2\nc,3\n"), data);
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_THAT(found[0].message, HasSubstr("3 classes"));
}

TEST_F(DatasetTest, SamplesEachClassInProportionAndGrows) {
    std::string content = "genre,x\n";
    for (int row = 0; row < 1000; ++row) {
        content += (row % 10 == 0 ? "pop," : "rock,") + std::to_string(row) + "\n";
    }
    const auto path = write("a.csv", content);
    auto data = config({"x"});
    const auto lines_of_sample = [&](std::int64_t max_rows, std::uint64_t seed) {
        data.max_rows = max_rows;
        data.split.seed = seed;
        const auto dataset = read_dataset(path, data, data.features);
        for (std::size_t row = 0; row < dataset.rows(); ++row) {
            EXPECT_EQ(dataset.features[0].numbers[row], static_cast<double>(dataset.line[row] - 2));
            EXPECT_EQ(dataset.classes[static_cast<std::size_t>(dataset.label[row])],
                      (dataset.line[row] - 2) % 10 == 0 ? "pop" : "rock");
        }
        EXPECT_TRUE(std::is_sorted(dataset.line.begin(), dataset.line.end()));
        EXPECT_NEAR(static_cast<double>(std::count(dataset.label.begin(), dataset.label.end(), 0)),
                    static_cast<double>(max_rows) / 10, 1);
        return dataset.line;
    };
    const auto small = lines_of_sample(100, 7);
    EXPECT_THAT(small, SizeIs(100));
    EXPECT_EQ(small, lines_of_sample(100, 7));
    EXPECT_NE(small, lines_of_sample(100, 8));
    const auto large = lines_of_sample(150, 7);
    EXPECT_TRUE(std::includes(large.begin(), large.end(), small.begin(), small.end()));
}

TEST_F(DatasetTest, ReadsTheRealTracks) {
    const char* const given = std::getenv("ORCHESTRATE_DATA");
    const auto folder = given != nullptr ? std::filesystem::path(given)
                                         : std::filesystem::path(ORCHESTRATE_SOURCE_DIR) / "../shared/data";
    const auto path = folder / "spotify-tracks.csv.gz";
    if (!std::filesystem::exists(path)) {
        GTEST_SKIP() << path << " is absent; set ORCHESTRATE_DATA to the folder that holds it";
    }
    DataConfig data;
    data.label = "track_genre";
    data.features = {"popularity", "explicit", "energy", "track_name"};
    data.missing = MissingValues::word;  // one track has no name
    data.split.group_by = {{"track_id", ""}};
    const auto dataset = read_dataset(path, data, data.features);
    EXPECT_EQ(dataset.rows(), 114'000U);
    EXPECT_THAT(dataset.classes, SizeIs(114));
    EXPECT_EQ(dataset.sha256, "b202fa49909b2d5cef71a04b1d21243cfeb36414535f2ca9272aa646721177bd");
    EXPECT_EQ(std::set<std::string>(dataset.group.begin(), dataset.group.end()).size(), 89'741U);
    EXPECT_EQ(dataset.features[0].kind, ColumnKind::numeric);
    EXPECT_EQ(dataset.features[1].kind, ColumnKind::boolean);
    EXPECT_EQ(dataset.features[3].kind, ColumnKind::text);
    EXPECT_EQ(std::count(dataset.features[3].missing.begin(), dataset.features[3].missing.end(), 1), 1);
    std::map<std::int32_t, int> rows_of_class;
    for (const auto label : dataset.label) {
        ++rows_of_class[label];
    }
    EXPECT_THAT(rows_of_class, Each(testing::Pair(testing::_, 1000)));
}

}  // namespace
}  // namespace orchestrate
