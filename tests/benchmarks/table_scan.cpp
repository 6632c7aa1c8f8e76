// What a bare scan of the rows behind a study's table costs, for `orchestrate table` to be compared with. Usage:
// table_scan DATABASE STUDY; both with: perf stat -r 10 -e task-clock.
#include <cstdint>
#include <cstdio>
#include <string>

#include <SQLiteCpp/SQLiteCpp.h>

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fputs("usage: table_scan DATABASE STUDY\n", stderr);
        return 2;
    }
    const SQLite::Database database(argv[1], SQLite::OPEN_READONLY);
    SQLite::Statement query(
        database,
        "select variants.id, variants.name, seeds.seed_index, jobs.state, test.value "
        "from variants join variant_jobs as seeds on seeds.variant_id = variants.id "
        "join jobs on jobs.id = seeds.job_id join job_metrics as test on test.job_id = jobs.id "
        "where variants.stage_id = (select stages.id from stages join studies on studies.id = study_id "
        "where studies.name = ?)");
    query.bind(1, argv[2]);
    double sum = 0;
    std::size_t characters = 0;
    std::int64_t rows = 0;
    for (; query.executeStep(); ++rows) {
        sum += query.getColumn(4).getDouble() + static_cast<double>(query.getColumn(0).getInt64()) +
               static_cast<double>(query.getColumn(2).getInt64());
        characters += query.getColumn(1).getString().size() + query.getColumn(3).getString().size();
    }
    std::printf("%lld rows, %zu characters, sum %g\n", static_cast<long long>(rows), characters, sum);
    return 0;
}
