#include "results/job_logs.h"

#include <algorithm>
#include <fstream>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/protocol/database_place.h"
#include "results/job_lookup.h"

namespace orchestrate {

std::string present_log(SQLite::Database& database, const std::string& stored) {
    const std::filesystem::path path = stored;
    const std::filesystem::path logs = path.parent_path();
    const std::string& name = database.getFilename();
    if (name.empty() || name == ":memory:" || logs.filename() != "logs" ||
        logs.parent_path().extension() != ".d") {
        return stored;
    }
    const std::filesystem::path own =
        std::filesystem::path(resolve_database(name).string() + ".d") / "logs" / path.filename();
    std::error_code ignored;
    return std::filesystem::is_regular_file(own, ignored) ? own.string() : stored;
}

std::vector<AttemptLog> find_job_logs(SQLite::Database& database, const std::string& job) {
    const JobReference found = find_job(database, job);
    SQLite::Statement query(database,
                            "SELECT number, worker, coalesce(cause, ''), log_file FROM attempts "
                            "WHERE job_id = ? AND log_file != '' ORDER BY number");
    query.bind(1, found.job.value());
    std::vector<AttemptLog> logs;
    while (query.executeStep()) {
        logs.push_back({query.getColumn(0).getInt(), query.getColumn(1).getString(),
                        query.getColumn(2).getString(),
                        present_log(database, query.getColumn(3).getString())});
    }
    if (logs.empty()) {
        throw UserError("job " + to_string(found.job) + " has no log yet: it is " + found.state +
                        " and no attempt of it has written one");
    }
    return logs;
}

LogReply read_log(SQLite::Database& database, const LogRequest& wanted) {
    const JobReference job = find_job(database, wanted.job);
    SQLite::Statement query(database,
                            "SELECT number, worker, host, coalesce(cause, ''), log_file FROM attempts "
                            "WHERE job_id = ?1 AND log_file != '' AND (?2 = 0 OR number = ?2) "
                            "ORDER BY number DESC LIMIT 1");
    query.bind(1, job.job.value());
    query.bind(2, wanted.attempt);
    if (!query.executeStep()) {
        throw UserError("job " + to_string(job.job) + " has no log" +
                        (wanted.attempt > 0 ? " of attempt " + std::to_string(wanted.attempt) : " yet") +
                        ": it is " + job.state);
    }
    LogReply reply;
    reply.attempt = query.getColumn(0).getInt64();
    reply.worker = query.getColumn(1).getString();
    reply.host = query.getColumn(2).getString();
    reply.cause = query.getColumn(3).getString();
    reply.file = present_log(database, query.getColumn(4).getString());
    reply.over = job.state != "waiting" && job.state != "running";
    std::ifstream file(reply.file, std::ios::binary);
    if (!file) {
        // One that runs may not have begun to write.
        if (reply.cause.empty() && reply.host == host_name()) {
            return reply;
        }
        throw UserError("the log '" + reply.file + "' lies on host " + reply.host +
                        " and cannot be read here");
    }
    file.seekg(wanted.offset);
    reply.bytes.values.resize(static_cast<std::size_t>(kMaximumLogBytes));
    file.read(reinterpret_cast<char*>(reply.bytes.values.data()), kMaximumLogBytes);
    reply.bytes.values.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, file.gcount())));
    return reply;
}

}  // namespace orchestrate
