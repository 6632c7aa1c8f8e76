// Brings a checkpoint from the coordinator to this worker's disk, before an attempt goes on from it. Knows no socket.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "common/base/log.h"
#include "common/base/sha256.h"
#include "common/job/checkpoint.h"
#include "common/protocol/worker_messages.h"

namespace orchestrate {

// Not thread-safe.
class CheckpointFetcher {
  public:
    using Send = std::function<void(const TransferRequest&)>;
    // The one that was brought, its file on this disk; none if none could be.
    using Done = std::function<void(std::vector<StoredCheckpoint>)>;

    // `candidates`: the best first; the next is tried where one is not whole. Files are written into `folder`.
    CheckpointFetcher(AttemptId attempt, std::vector<StoredCheckpoint> candidates,
                      std::filesystem::path folder, Log log, Done done);

    // A coordinator is there: asks for the first, or for what is left of it. Done may be called within, as by
    // on_chunk(), and may destroy this object.
    void connected(Send send);
    void disconnected() { send_ = nullptr; }
    void on_chunk(const CheckpointChunk& chunk);

  private:
    const StoredCheckpoint& candidate() const { return candidates_.at(next_); }
    std::filesystem::path path() const;
    void begin();
    void ask_ahead();
    void take(const CheckpointChunk& chunk);
    void check_whole();
    void pass_over(const std::string& why);
    void finish(std::vector<StoredCheckpoint> found);

    AttemptId attempt_;
    std::vector<StoredCheckpoint> candidates_;
    std::filesystem::path folder_;
    Log log_;
    Done done_;
    Send send_;
    std::size_t next_ = 0;  // the candidate that is being brought
    std::ofstream file_;
    Sha256 hash_;             // of what stands before the checksum
    std::string checksum_;    // the last bytes
    std::int64_t total_ = 0;  // 0: not known yet
    std::int64_t there_ = 0;  // written
    std::int64_t asked_ = 0;  // the first byte that was not asked for
};

}  // namespace orchestrate
