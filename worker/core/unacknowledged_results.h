// What a worker has reported and its coordinator has not acknowledged yet, and results that workers before it left on
// disk. A result that took long to compute is on disk before it is reported; one that took less than a second, and so is
// worth less than the two fsyncs, only when nobody acknowledges it soon: without a connection, or at a heartbeat.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "common/base/log.h"
#include "common/protocol/result_spool.h"

namespace orchestrate {

// A result that the disk does not take is kept in memory only, and the log says so.
class UnacknowledgedResults {
  public:
    struct Report {
        AttemptEnded ended;
        bool on_disk = false;  // or has no result that could be lost
        bool waited = false;   // since a heartbeat before
    };

    // `files` must outlive it.
    UnacknowledgedResults(DurableFiles& files, Log log);

    // Before the first result; again: does nothing. Takes up what lies in the folder.
    void open(const std::filesystem::path& folder);

    // Puts a result that took long on disk. Thread-safe; before add().
    void save_if_costly(const AttemptEnded& ended);

    void add(AttemptEnded ended);
    void acknowledged(const AttemptId& attempt);

    // No acknowledgement can come for a while: puts all on disk that is not there.
    void save_all();
    // To be called from time to time: puts on disk what waited at the last call already.
    void save_old();

    // Of this worker, in order.
    const std::vector<Report>& own() const { return own_; }
    const std::vector<AttemptEnded>& leftovers() const { return leftovers_; }

  private:
    void put(const AttemptEnded& ended);

    DurableFiles& files_;
    Log log_;
    std::optional<ResultSpool> spool_;
    std::vector<Report> own_;
    std::vector<AttemptEnded> leftovers_;
};

}  // namespace orchestrate
