// What is guessed, refused and warned of when a data file is read: formats, delimiters, forms of numbers, missing cells,
// labels and given parts.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/temporary_folder.h"
#include "common/data/cell_values.h"
#include "common/data/dataset.h"
#include "common/data/split.h"

namespace orchestrate {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using Kind = DatasetProblem::Kind;

class DataReading : public testing::Test {
  protected:
    std::filesystem::path write(const std::string& content, const std::string& name = "t.csv") const {
        const auto path = directory_.path() / name;
        std::ofstream(path, std::ios::binary) << content;
        return path;
    }

    // Reads the features of `config`; the report is in report_.
    Dataset read(const std::string& content) {
        return read_dataset(write(content), config_, config_.features, &report_);
    }

    std::vector<std::string> errors(const std::string& content, const std::string& name = "t.csv") {
        std::vector<std::string> messages;
        try {
            read_dataset(write(content, name), config_, config_.features, &report_);
        } catch (const DatasetError& error) {
            for (const auto& problem : error.problems()) {
                messages.push_back(problem.message);
            }
        }
        return messages;
    }

    std::vector<std::string> warnings(const std::string& content) {
        read(content);
        std::vector<std::string> messages;
        for (const auto& warning : report_.warnings) {
            messages.push_back(warning.message);
        }
        return messages;
    }

    // Rows "rock,CELL" and "pop,CELL" in turn.
    static std::string table(const std::vector<std::string>& cells, const std::string& delimiter = ",") {
        std::string content = "genre" + delimiter + "x\n";
        for (std::size_t i = 0; i < cells.size(); ++i) {
            content += (i % 2 == 0 ? "rock" : "pop") + delimiter + cells[i] + "\n";
        }
        return content;
    }

    DataConfig config_ = [] {
        DataConfig config;
        config.label = "genre";
        config.features = {"x"};
        return config;
    }();
    DatasetReport report_;
    TemporaryFolder directory_;
};

TEST(CellValues, NumbersHaveOneFormUntilTheStudySaysTheOther) {
    EXPECT_EQ(finite_number(" -6.5e2 "), -650);
    EXPECT_FALSE(finite_number("1,5"));
    EXPECT_EQ(grouped_number("1,5", ','), 1.5);
    EXPECT_EQ(grouped_number("-1.234.567,25", ','), -1234567.25);
    EXPECT_EQ(grouped_number("1 234", ','), 1234);
    EXPECT_EQ(grouped_number("1\xC2\xA0"
                             "234,5",
                             ','),
              1234.5);
    EXPECT_EQ(grouped_number("1'234.5", '.'), 1234.5);
    EXPECT_EQ(grouped_number("1,5e3", ','), 1500);
    EXPECT_EQ(grouped_number("0,000001", ','), 1e-6);
    EXPECT_FALSE(grouped_number("0,444", '.')) << "no group of thousands begins with 0";
    EXPECT_FALSE(grouped_number("1.5", ','));
    EXPECT_FALSE(grouped_number("1,23,456", '.'));
    EXPECT_FALSE(grouped_number("1234,567.0", '.'));
    EXPECT_FALSE(grouped_number("1,2,3", ','));
    EXPECT_FALSE(grouped_number(",", ','));
    EXPECT_FALSE(grouped_number("", '.'));
    EXPECT_TRUE(is_number_of_other_form("3,25"));
    EXPECT_FALSE(is_number_of_other_form("3.25"));
    EXPECT_FALSE(is_number_of_other_form("a, b"));
    EXPECT_TRUE(is_number_with_unit("12 %"));
    EXPECT_TRUE(is_number_with_unit("$1,200.50"));
    EXPECT_FALSE(is_number_with_unit("12"));
    EXPECT_FALSE(is_number_with_unit("hello"));
    EXPECT_FALSE(is_number_with_unit("track 7"));
    EXPECT_TRUE(is_missing_word(" n/A "));
    EXPECT_FALSE(is_missing_word("nano"));
    EXPECT_FALSE(is_missing_word(""));
}

TEST_F(DataReading, OtherFormatsAreRefusedWithWhatToDo) {
    using namespace std::string_literals;
    const std::vector<std::pair<std::string, std::string>> formats = {
        {"PK\x03\x04 data", "unzip"},
        {"\xFF\xFEg\0e\0"s, "iconv -f UTF-16"},
        {"\xFF\xFE\0\0g\0\0\0"s, "iconv -f UTF-32"},
        {"g\0e\0n\0r\0e\0,\0x\0\n\0"s, "without a byte order mark"},
        {"genre,x\nrock,\0\n"s, "NUL byte (at byte 14)"},
        {"BZh91AY", "bunzip2"},
        {"PAR1....", "Parquet"},
        {"\x28\xB5\x2F\xFD", "unzstd"},
    };
    for (const auto& [content, remedy] : formats) {
        for (const std::string name : {"t.csv", "t.csv.zip"}) {
            EXPECT_THAT(errors(content, name), ElementsAre(AllOf(HasSubstr(name), HasSubstr(remedy))))
                << remedy;
        }
    }
}

TEST_F(DataReading, NumbersInFormsThatAreNotReadAreWarnedOf) {
    const std::vector<std::vector<std::string>> columns = {
        {"\"1,23,456\"", "\"12,34,567\"", "\"1,00,000.5\""},
        {"0x1f", "0x2A", "-0x0"},
        {"1_000", "2_000.5", "1_000_000"},
        {"1.5D3", "2d-3", "1D10"},
        {"\xD9\xA1\xD9\xA2", "\xD9\xA3\xD9\xAB\xD9\xA4", "\xD9\xA5"},
        {"\xE2\x88\x92"
         "5",
         "\xE2\x88\x92"
         "6.5",
         "\xE2\x88\x92"
         "7"},
        {"3:45", "4:00", "1:02:03"},
        {"1/7", "2/7", "1 1/2"}};
    for (const auto& cells : columns) {
        EXPECT_THAT(warnings(table(cells)),
                    Contains(AllOf(HasSubstr("form that is not read"), HasSubstr("in 3 rows"))))
            << cells[0];
        EXPECT_EQ(read(table(cells)).features[0].kind, ColumnKind::text) << "as before";
    }
    for (const std::string cell : {"2020-01-02", "1.2.3", "a/b", "track 1/7", "0x", "_1"}) {
        EXPECT_FALSE(is_number_of_unread_form(cell)) << cell;
    }
}

TEST_F(DataReading, APointThatTheDecimalCommaMakesASeparatorIsWarnedOf) {
    const std::string content = table({"1.288", "1.305", "2.117"});
    config_.decimal = ",";
    EXPECT_THAT(warnings(content),
                Contains(AllOf(HasSubstr("'1.288' and the like in 3 rows"), HasSubstr("read as 1288"),
                               HasSubstr("set data.decimal = \".\""))));
    EXPECT_THAT(warnings(table({"1.288", "1.305", "\"2,5\""})), IsEmpty())
        << "a comma shows what the point is";
    EXPECT_THAT(warnings(table({"1.288", "1.305", "1.000.000"})), IsEmpty());
    EXPECT_THAT(errors(table({"1.288", "1.305", "0.005"})),
                ElementsAre(AllOf(HasSubstr("'0.005'"), HasSubstr("set data.decimal = \".\""))));
    EXPECT_THAT(warnings(table({"0.5", "0.25", "1.5"})), Contains(HasSubstr("no number with data.decimal")));
}

TEST_F(DataReading, LineEndsOfOldMacsAreNamed) {
    EXPECT_THAT(errors("genre,x\rrock,1\rpop,2\r"), ElementsAre(HasSubstr("CR line ends")));
    EXPECT_THAT(errors("genre,x\rrock,1\rpop,2\n"), ElementsAre(HasSubstr("CR line ends")));
    EXPECT_THAT(errors("genre,x\r\nrock,1\r\npop,2\r\n"), IsEmpty());
}

TEST_F(DataReading, ALineThatNamesTheDelimiterIsHeeded) {
    for (const std::string first : {"sep=;\n", "\xEF\xBB\xBFsep=;\r\n", "\"sep=;\"\n"}) {
        const auto data = read(first + "genre;x\nrock;1\npop;2\n");
        EXPECT_THAT(data.features[0].numbers, ElementsAre(1, 2));
        EXPECT_THAT(data.line, ElementsAre(3, 4));
        EXPECT_FALSE(report_.delimiter_matters);
    }
}

TEST_F(DataReading, DelimitersAreGuessedFromTheHeaderOrGiven) {
    EXPECT_THAT(read(table({"1", "2"}, "|")).features[0].numbers, ElementsAre(1, 2));
    const std::string odd = "genre:x,unit\nrock:1\npop:2\n";
    EXPECT_THAT(errors(odd), Not(IsEmpty()));
    config_.delimiter = ":";
    config_.features = {"x,unit"};
    EXPECT_THAT(read(odd).features[0].numbers, ElementsAre(1, 2));
    EXPECT_TRUE(report_.delimiter_matters);
    config_.delimiter.reset();
    EXPECT_THAT(warnings("genre;x,unit;y\nrock;1;2\npop;2;3\n"),
                Contains(AllOf(HasSubstr("separated by ';'"), HasSubstr("data.delimiter"))));
}

TEST_F(DataReading, ADelimiterTooManyIsSaidOfItsRowsAndHidesNothing) {
    std::string content = "genre,x\n";
    for (int i = 0; i < 30; ++i) {
        content += "rock,0.5,\n";
    }
    const auto found = errors(content);
    ASSERT_THAT(found, SizeIs(10)) << "and none about classes, whose rows may be among these";
    EXPECT_THAT(found[0], AllOf(HasSubstr("line 2"), HasSubstr("3 fields, expected 2"),
                                HasSubstr("last one is empty")));
    EXPECT_THAT(found[9], HasSubstr("; 20 more such rows"));
}

TEST_F(DataReading, EachKindOfBadRowsIsCountedOfItsOwn) {
    std::string content = "genre,x,y\n";
    for (int i = 0; i < 40; ++i) {
        content += i % 4 == 0   ? "rock,1\n"
                   : i % 4 == 1 ? ",1,2\n"
                   : i % 8 == 2 ? "pop,fast,2\n"
                                : "pop,1,2\n";
    }
    config_.features = {"x", "y"};
    config_.classes = {};
    const auto found = errors(content);
    ASSERT_THAT(found, SizeIs(9));
    EXPECT_THAT(found, Contains(AllOf(HasSubstr("2 fields, expected 3"), HasSubstr("; 7 more such rows"))));
    EXPECT_THAT(found, Contains(AllOf(HasSubstr("label column"), HasSubstr("; 7 more such rows"))));
    EXPECT_THAT(found, Contains(AllOf(HasSubstr("'fast'"), HasSubstr("; 2 more such rows"))));
}

TEST_F(DataReading, ADecimalCommaIsAnErrorUntilItIsSaid) {
    const std::string content = table({"\"1,5\"", "\"-2,25\"", "3", "\"1.000,5\""});
    EXPECT_THAT(errors(content),
                ElementsAre(AllOf(HasSubstr("column 'x'"), HasSubstr("'1,5' (line 2) and 2 like it"),
                                  HasSubstr("data.decimal = \",\""))));
    config_.decimal = ",";
    EXPECT_THAT(read(content).features[0].numbers, ElementsAre(1.5, -2.25, 3, 1000.5));
    EXPECT_TRUE(report_.decimal_matters);
    config_.decimal = ".";
    const auto as_strings = read(content);
    EXPECT_EQ(as_strings.features[0].kind, ColumnKind::text);
    EXPECT_THAT(report_.warnings, SizeIs(1)) << "said, since it looks like numbers";
}

TEST_F(DataReading, GroupedDigitsAreAnErrorUntilTheDecimalMarkIsSaid) {
    const std::string content = table({"\"1,234.5\"", "7", "\"2,000.0\""});
    EXPECT_THAT(errors(content), ElementsAre(HasSubstr("Set data.decimal = \".\"")));
    config_.decimal = ".";
    EXPECT_THAT(read(content).features[0].numbers, ElementsAre(1234.5, 7, 2000));
    config_.decimal.reset();
    EXPECT_THAT(errors(table({"\"1,234\"", "\"5,678\""})),
                ElementsAre(HasSubstr("another number with a decimal comma")));
}

TEST_F(DataReading, ADecimalMarkThatNoCellNeedsDoesNotMatter) {
    for (const std::string mark : {".", ","}) {
        config_.decimal = mark;
        EXPECT_THAT(read(table({"1", "20", "-3"})).features[0].numbers, ElementsAre(1, 20, -3));
        EXPECT_FALSE(report_.decimal_matters);
    }
}

TEST_F(DataReading, MissingCellsAreRefusedWithTheSettingHoweverMany) {
    for (const int of_ten : {1, 5, 9}) {
        std::vector<std::string> cells;
        for (int i = 0; i < 100; ++i) {
            cells.push_back(i % 10 < of_ten ? (i % 20 < 10 ? "" : "NA") : std::to_string(i));
        }
        const auto found = errors(table(cells));
        ASSERT_THAT(found, SizeIs(10)) << of_ten;
        EXPECT_THAT(found[0], AllOf(HasSubstr("line 2"), HasSubstr("column 'x' is empty"),
                                    HasSubstr("data.missing"), HasSubstr("\"median\"")));
    }
    EXPECT_THAT(errors(table({"red", "", "blue", "red"})),
                ElementsAre(AllOf(HasSubstr("line 3"), HasSubstr("data.missing"))));
    EXPECT_THAT(errors(table({"yes", "no", "null"})), ElementsAre(HasSubstr("a truth value")));
    EXPECT_THAT(errors(table({"", " ", ""})), ElementsAre(HasSubstr("empty in all 3 rows")));
}

TEST_F(DataReading, MissingCellsKeepTheKindOfTheirColumn) {
    config_.missing = MissingValues::word;
    auto data = read(table({"", "NA", "2", "nan", "4", ""}));
    EXPECT_EQ(data.features[0].kind, ColumnKind::numeric);
    EXPECT_THAT(data.features[0].missing, ElementsAre(1, 1, 0, 1, 0, 1));
    EXPECT_EQ(report_.columns[0].missing, 4);
    EXPECT_EQ(report_.columns[0].distinct, 2);
    data = read(table({"yes", "", "no", "N/A"}));
    EXPECT_EQ(data.features[0].kind, ColumnKind::boolean);
    EXPECT_THAT(data.features[0].missing, ElementsAre(0, 1, 0, 1));
    data = read(table({"red", "", "NA", "red"}));
    EXPECT_EQ(data.features[0].kind, ColumnKind::text);
    EXPECT_THAT(data.features[0].missing, ElementsAre(0, 1, 0, 0)) << "NA is a value among strings";
    EXPECT_THAT(report_.warnings, Contains(testing::Field(&DatasetWarning::message, HasSubstr("'NA'"))));
}

TEST_F(DataReading, DropLeavesOutTheSameRowsWhateverFeaturesAVariantHas) {
    const std::string content = "genre,x,y\nrock,1,1\npop,,2\nrock,3,\n,4,4\npop,5,5\n";
    config_.missing = MissingValues::drop;
    config_.features = {"x", "y"};
    EXPECT_THAT(read(content).line, ElementsAre(2, 6));
    EXPECT_EQ(report_.dropped_rows, 3);
    config_.complete_columns = std::vector<std::string>{"x", "y"};
    config_.features = {"x"};
    const auto without_y = read(content);
    EXPECT_THAT(without_y.line, ElementsAre(2, 6));
    ASSERT_THAT(without_y.features, SizeIs(1));
    EXPECT_THAT(without_y.features[0].missing, IsEmpty());
    EXPECT_THAT(errors("genre,x,y\nrock,1,1\npop,,2\nrock,3,3\n"),
                Contains(HasSubstr("leaves no row of class 'pop'")));
}

TEST_F(DataReading, LabelsThatLookAlikeAreWarnedOf) {
    EXPECT_THAT(warnings("genre,x\nRock,1\nrock ,2\npop,3\nrock,4\npop,5\n"),
                ElementsAre(AllOf(HasSubstr("'Rock' (1 row)"), HasSubstr("'rock ' (1 row)"),
                                  HasSubstr("'rock' (1 row)"), Not(HasSubstr("pop")))));
    config_.classes = {"pop", "rock"};
    EXPECT_THAT(warnings("genre,x\nROCK,1\nrock,2\npop,3\n"),
                ElementsAre(HasSubstr("'ROCK' (1 row, not used)")));
    config_.classes = {};
    EXPECT_THAT(warnings("genre,x\nNA,1\nrock,2\npop,3\n"), ElementsAre(HasSubstr("'NA' (1 row)")));
    std::string numbers = "genre,x\n";
    for (int i = 0; i < 60; ++i) {
        numbers += std::to_string(i % 30) + ".5," + std::to_string(i) + "\n";
    }
    EXPECT_THAT(warnings(numbers), ElementsAre(HasSubstr("30 different numbers")));
    EXPECT_THAT(errors("genre,x\n  ,1\nrock,2\npop,3\n"),
                ElementsAre(HasSubstr("label column 'genre' is empty")));
}

TEST_F(DataReading, SuspiciousColumnsAreWarnedOf) {
    EXPECT_THAT(warnings(table({"7", "7", "7"})), ElementsAre(HasSubstr("the same value in all 3 rows")));
    EXPECT_THAT(warnings(table({"1", "2", "a", "b", "c"})), ElementsAre(HasSubstr("numbers in 2 rows")));
    EXPECT_THAT(warnings(table({"00123", "04567", "89012"})),
                ElementsAre(HasSubstr("leading zeros in 2 rows")));
    EXPECT_THAT(warnings(table({"12345678901234567", "2"})), ElementsAre(HasSubstr("last digits are lost")));
    std::vector<std::string> shares;
    for (int i = 0; i < 20; ++i) {
        shares.push_back(std::to_string(i) + " %");
    }
    EXPECT_THAT(warnings(table(shares)), ElementsAre(HasSubstr("read as strings")));
    EXPECT_THAT(warnings(table({"red", "blue", "red", "green"})), IsEmpty());
}

TEST_F(DataReading, ColumnsAreSummarized) {
    config_.features = {"n", "c", "b", "t"};
    std::string content = "genre,n,c,b,t\n";
    for (int i = 0; i < 2400; ++i) {
        content += std::string(i % 2 == 0 ? "rock," : "pop,") + std::to_string(i) +
                   (i % 3 == 0 ? ",red" : ",blue") + (i % 5 == 0 ? ",yes," : ",no,") + "title " +
                   std::to_string(i) + "\n";
    }
    read(content);
    ASSERT_THAT(report_.columns, SizeIs(4));
    EXPECT_EQ(report_.columns[0].distinct, ColumnSummary::kMaxDistinct + 1);
    EXPECT_TRUE(report_.columns[1].is_category());
    EXPECT_EQ(report_.columns[1].distinct, 2);
    EXPECT_EQ(report_.columns[2].kind, ColumnKind::boolean);
    EXPECT_FALSE(report_.columns[3].is_category());
    EXPECT_THAT(report_.warnings, IsEmpty());
}

TEST_F(DataReading, RowsMayNameTheirPart) {
    config_.split.column = "part";
    const std::string content =
        "genre,x,part\nrock,1,train\npop,2, Train\nrock,3,validation\npop,4,test\nrock,5,TEST\n";
    const auto data = read(content);
    EXPECT_THAT(
        split_rows(data, config_.split),
        ElementsAre(DataPart::train, DataPart::train, DataPart::validation, DataPart::test, DataPart::test));
    EXPECT_THAT(
        errors("genre,x,part\nrock,1,train\npop,2,valid\nrock,3,\n"),
        ElementsAre(AllOf(HasSubstr("line 3"), HasSubstr("'valid'"), HasSubstr("train, validation or test")),
                    HasSubstr("'part' is empty")));
    const auto split_error = [&](const std::string& text) -> std::string {
        try {
            split_rows(read(text), config_.split);
        } catch (const UserError& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_THAT(split_error("genre,x,part\nrock,1,train\npop,2,test\n"), HasSubstr("'validation'"));
    config_.split.group_by = {{"x", ""}};
    EXPECT_THAT(split_error("genre,x,part\nrock,1,train\npop,1,test\nrock,2,validation\n"),
                AllOf(HasSubstr("lines 2 and 3"), HasSubstr("same group")));
}

TEST_F(DataReading, ClassesThatAPartLacksAreFound) {
    const std::vector<DataPart> parts = {DataPart::train, DataPart::train, DataPart::train, DataPart::test};
    const auto data = read("genre,x\na,1\nb,2\nc,3\na,4\n");
    EXPECT_THAT(absent_classes(data, parts), ElementsAre(AbsentClasses{"test", {"b", "c"}}))
        << "a part without any row lacks no class";
}

TEST_F(DataReading, EmptyGroupsAreWarnedOf) {
    config_.split.group_by = {{"artist", ""}};
    EXPECT_THAT(warnings("genre,x,artist\nrock,1,\npop,2,\nrock,3,abba\n"),
                ElementsAre(AllOf(HasSubstr("'artist' is empty in 2 rows"))));
}

}  // namespace
}  // namespace orchestrate
