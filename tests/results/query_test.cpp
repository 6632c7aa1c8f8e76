// Queries that users type, and finding the logs of a job.
#include <algorithm>
#include <array>
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "filled_database.h"
#include "results/job_logs.h"
#include "results/schema.h"
#include "results/tables.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

std::string user_error_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const UserError& error) {
        return error.what();
    }
    ADD_FAILURE() << "no UserError";
    return {};
}

class QueryTest : public ::testing::Test {
  protected:
    std::string run(const std::string& sql, std::size_t width = 0,
                    OutputFormat format = OutputFormat::table) {
        return render_query(filled_.database(), sql, width, format);
    }
    std::string error(const std::string& sql) {
        return user_error_of([&] { run(sql); });
    }

    FilledDatabase filled_;
};

TEST_F(QueryTest, ShowsValuesOfEveryType) {
    EXPECT_THAT(run("select 1 as i, 0.1 + 0.2 as r, 'text' as t, null as n, x'00ff' as b, 3.0 as whole"),
                HasSubstr("1  0.30000000000000004  text  NULL  x'00ff'    3.0\n"));
}

TEST_F(QueryTest, ShowsNumbersExactlyInEveryFormat) {
    const std::vector<std::pair<std::string, std::string>> numbers{
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"1e-310", "1e-310"},
        {"-0.0", "-0.0"},
        {"1e16 + 0.0", "1e+16"},
        {"0.1", "0.1"},
        {"9007199254740993", "9007199254740993"},
        {"9223372036854775807", "9223372036854775807"},
        {"-9223372036854775807 - 1", "-9223372036854775808"}};
    for (const auto& [sql, shown] : numbers) {
        const std::string query = "select " + sql + " as n";
        EXPECT_THAT(run(query), EndsWith("\n" + shown + "\n")) << sql;
        EXPECT_EQ(run(query, 0, OutputFormat::csv), "n\n" + shown + "\n");
        EXPECT_EQ(run(query, 0, OutputFormat::json), "[\n  {\"n\":" + shown + "}\n]\n");
    }
    for (const auto& [sql, shown, json] :
         std::vector<std::array<std::string, 3>>{{"9e999", "inf", "1e999"}, {"-9e999", "-inf", "-1e999"}}) {
        const std::string query = "select " + sql + " as n";
        EXPECT_THAT(run(query), EndsWith("\n" + shown + "\n"));
        EXPECT_EQ(run(query, 0, OutputFormat::csv), "n\n" + shown + "\n");
        EXPECT_EQ(run(query, 0, OutputFormat::json), "[\n  {\"n\":" + json + "}\n]\n");
    }
}

TEST_F(QueryTest, NoTextControlsTheTerminalOrBreaksTheTable) {
    const std::string sql =
        "select 'a' || char(0) || 'b' || char(10) || 'c' || char(27) || '[2J' as \"x\ny\", cast(x'ff41' as "
        "text) as u, "
        "char(0x202e) || 'd' || char(0x9b) || char(0x2028) as v, x'' as b";
    const std::string table = run(sql);
    EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 3);
    EXPECT_THAT(table, AllOf(HasSubstr("a\\x00b\\nc\\x1b[2J"), HasSubstr("\uFFFDA"),
                             HasSubstr("\\u202ed\\x9b\\u2028"), HasSubstr("x''"), HasSubstr("x\\ny")));
    EXPECT_THAT(run(sql, 0, OutputFormat::json),
                AllOf(HasSubstr("a\\u0000b\\nc\\u001b[2J"), HasSubstr("\uFFFDA")));
}

TEST_F(QueryTest, AlignsByColumnsOfTheTerminal) {
    EXPECT_EQ(run("select 'm\u00fcller' as a, 1 as b union all select '\u97f3\u697d', 2"),
              "a       b\n\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\u2500\nm\u00fcller  "
              "1\n\u97f3\u697d    2\n");
}

TEST_F(QueryTest, SaysWhenThereAreNoRows) {
    EXPECT_THAT(run("select study from comparison"), HasSubstr("study\n"));
    EXPECT_THAT(run("select study from comparison"), HasSubstr("(no rows)"));
}

TEST_F(QueryTest, ShortensLongCellsOnATerminalOnly) {
    EXPECT_THAT(run("select hex(zeroblob(200)) || 'g' as x", 60),
                AllOf(HasSubstr("\u2026"), Not(HasSubstr("g"))));
    EXPECT_THAT(run("select hex(zeroblob(200)) || 'g' as x", 0), HasSubstr("00g"));
}

TEST_F(QueryTest, ShowsRowsAsBlocksWhereATableCannotFit) {
    add_punk_or_funk(filled_);
    const std::string text = run("select * from job_overview limit 2", 80);
    EXPECT_THAT(
        text, AllOf(HasSubstr("row 1\n"), HasSubstr("row 2\n"), HasSubstr("  macro_f1             0.51\n")));
}

TEST_F(QueryTest, AcceptsATrailingSemicolonAndComment) {
    EXPECT_THAT(run("select 5 as five; -- that is all\n"), HasSubstr("5"));
    EXPECT_THAT(run("-- first a comment\nwith x as (select 5 as five) select * from x"), HasSubstr("5"));
    EXPECT_THAT(run("values (1, 2)"), HasSubstr("1"));
    EXPECT_THAT(run("explain query plan select * from studies"), HasSubstr("SCAN"));
    EXPECT_THAT(run("select name from pragma_table_info('studies')"), HasSubstr("created_at"));
    EXPECT_THAT(run("pragma user_version"), HasSubstr(std::to_string(kSchemaVersion)));
    EXPECT_THAT(run("select * from sqlite_schema where name = 'comparison'"), HasSubstr("CREATE VIEW"));
    EXPECT_THAT(run("pragma table_info(studies)"), HasSubstr("created_at"));
}

TEST_F(QueryTest, RefusesWhateverIsNotReading) {
    filled_.add_study("s");
    for (const char* sql : {"delete from studies",
                            "update studies set name = 'x'",
                            "insert into studies default values",
                            "drop table studies",
                            "create table x (y)",
                            "create temp table x (y)",
                            "pragma user_version = 5",
                            "pragma journal_mode = wal",
                            "pragma foreign_keys = off",
                            "pragma wal_checkpoint",
                            "begin",
                            "begin immediate",
                            "attach 'other.db' as other",
                            "vacuum",
                            "vacuum into 'copy.db'",
                            "reindex",
                            "analyze",
                            "savepoint a",
                            "delete from studies returning name",
                            "with x as (select 1) delete from studies"}) {
        EXPECT_THAT(error(sql), HasSubstr("only queries that read")) << sql;
    }
    EXPECT_EQ(filled_.rows("select count(*) from studies").front(), "1");
    EXPECT_EQ(filled_.rows("pragma foreign_keys").front(), "1");
    EXPECT_EQ(filled_.rows("pragma user_version").front(), std::to_string(kSchemaVersion));
}

TEST_F(QueryTest, RefusesSeveralStatements) {
    filled_.add_study("s");
    EXPECT_THAT(error("select 1; select 2"), HasSubstr("one statement"));
    EXPECT_THAT(error("select 1; delete from studies"), HasSubstr("one statement"));
    EXPECT_THAT(error("select 1; nonsense"), HasSubstr("one statement"));
    EXPECT_EQ(filled_.rows("select count(*) from studies").front(), "1");
}

TEST_F(QueryTest, RefusesAnEmptyQuery) {
    EXPECT_THAT(error(""), HasSubstr("empty"));
    EXPECT_THAT(error("  -- nothing\n"), HasSubstr("empty"));
}

TEST_F(QueryTest, PointsAtMistakesAndSuggestsNames) {
    EXPECT_THAT(error("select * from comparsion"),
                HasSubstr("no such table: comparsion; did you mean 'comparison'?"));
    EXPECT_THAT(
        error("select macro_f1,\n  acuracy from comparison"),
        HasSubstr("no such column: acuracy; did you mean 'accuracy'?\n    acuracy from comparison\n    ^"));
    EXPECT_THAT(error("select c.acuracy from comparison c"), HasSubstr("did you mean 'accuracy'?"));
    EXPECT_THAT(error("select 12 from comparison order by \"acuracy\""),
                HasSubstr("did you mean 'accuracy'?"));
    EXPECT_THAT(error("select medain(accuracy) from comparison"), HasSubstr("no such function: medain"));
    EXPECT_THAT(error("select averge(1)"), Not(HasSubstr("''")));
    EXPECT_THAT(error("selct 1"), HasSubstr("syntax error"));
    EXPECT_THAT(error("select json_extract('{', '$')"), HasSubstr("malformed JSON"));
}

TEST_F(QueryTest, AColumnOfAnotherViewIsNamedWithIt) {
    const std::string text = error("select accuracy from metric_comparison");
    EXPECT_THAT(text, AllOf(HasSubstr("no such column: accuracy; a column of that name is in "),
                            HasSubstr("comparison"), Not(HasSubstr("did you mean"))));
    EXPECT_THAT(error("select m.Accuracy from metric_comparison m"),
                HasSubstr("a column of that name is in"));
}

TEST_F(QueryTest, WritesJson) {
    const std::string text =
        run("select 1 as i, 0.1 + 0.2 as r, 'say \"hi\"' || char(10) || 'there' as t, null as n, x'00ff' as "
            "b, 2 as i",
            20, OutputFormat::json);
    const auto json = nlohmann::json::parse(text);
    EXPECT_EQ(json, nlohmann::json::parse(
                        R"([{"i": 1, "r": 0.30000000000000004, "t": "say \"hi\"\nthere", "n": null,
                                              "b": "00ff", "i:1": 2}])"));
    EXPECT_LT(text.find("\"r\""), text.find("\"n\"")) << "columns keep their order";
    EXPECT_EQ(run("select 1 where 0", 0, OutputFormat::json), "[]\n");
    EXPECT_TRUE(
        nlohmann::json::accept(run("select cast(x'61ff62' as text) as broken", 0, OutputFormat::json)));
}

TEST_F(QueryTest, WritesCsv) {
    EXPECT_EQ(run("select 1 as \"a,b\", 0.1 + 0.2 as r, 'say \"hi\"' as q, 'x' || char(10) || 'y' as l, null "
                  "as n, '' "
                  "as e, 'plain' as p, 1e300 as big, 2.0 as whole",
                  10, OutputFormat::csv),
              "\"a,b\",r,q,l,n,e,p,big,whole\n"
              "1,0.30000000000000004,\"say \"\"hi\"\"\",\"x\ny\",,\"\",plain,1e+300,2.0\n");
}

class JobLogsTest : public ::testing::Test {
  protected:
    JobLogsTest() {
        variant_ = filled_.add_variant(filled_.add_stage(filled_.add_study("s"), 0, "a"), 0, "v", true);
    }
    std::string error(const std::string& job) {
        return user_error_of([&] { find_job_logs(filled_.database(), job); });
    }

    FilledDatabase filled_;
    std::int64_t variant_ = 0;
};

TEST_F(JobLogsTest, ListsAttemptsNewestLast) {
    const auto job = filled_.add_job(variant_, 0);
    filled_.add_attempt(job, 2, "");
    filled_.add_attempt(job, 1, "node_lost");
    const auto logs = find_job_logs(filled_.database(), "1");
    ASSERT_EQ(logs.size(), 2U);
    EXPECT_EQ(logs[0].file, "/logs/job-1-1.log");
    EXPECT_EQ(logs[0].cause, "node_lost");
    EXPECT_EQ(logs[1].file, "/logs/job-1-2.log");
    EXPECT_EQ(logs[1].attempt, 2);
    EXPECT_EQ(logs[1].cause, "");
}

TEST_F(JobLogsTest, FindsAJobByTheBeginningOfItsIdentity) {
    for (int seed = 0; seed < 2; ++seed) {
        filled_.add_attempt(filled_.add_job(variant_, seed), 1, "");
    }
    EXPECT_EQ(find_job_logs(filled_.database(), "AB02").front().file, "/logs/job-2-1.log");
    EXPECT_THAT(error("ab0"), HasSubstr("no job 'ab0'"));
}

TEST_F(JobLogsTest, AsksForMoreWhereSeveralJobsMatch) {
    for (int seed = 0; seed < 2; ++seed) {
        filled_.add_job(variant_, seed);
    }
    filled_.database().exec("UPDATE jobs SET identity = 'abcdef' || id");
    EXPECT_THAT(error("abcd"), AllOf(HasSubstr("2 jobs"), HasSubstr("(1, 2)")));
}

TEST_F(JobLogsTest, HelpsWhereThereIsNoSuchJob) {
    EXPECT_THAT(error("7"), HasSubstr("there are no jobs in this database yet"));
    filled_.add_job(variant_, 0);
    filled_.add_job(variant_, 1);
    EXPECT_THAT(error("7"), AllOf(HasSubstr("no job '7'"), HasSubstr("jobs go from 1 to 2")));
    EXPECT_THAT(error("first"), HasSubstr("expected a job's number"));
    EXPECT_THAT(error("99999999999999999999999"), HasSubstr("no job"));
    EXPECT_THAT(error("-1"), HasSubstr("no job"));
    EXPECT_THAT(error(""), HasSubstr("no job"));
}

TEST_F(JobLogsTest, SaysWhenAJobHasNoLogYet) {
    filled_.add_job(variant_, 0);
    EXPECT_THAT(error("1"), AllOf(HasSubstr("no log yet"), HasSubstr("waiting")));
}

}  // namespace
}  // namespace orchestrate
