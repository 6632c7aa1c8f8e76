// Sends one upload at a time to the coordinator: a checkpoint or a model, in chunks, a few ahead of what has been
// acknowledged, so that heartbeats never wait long behind them. Goes on after a broken connection. Knows no socket.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <vector>

#include "common/base/sha256.h"
#include "common/protocol/worker_messages.h"

namespace orchestrate {

// Not thread-safe.
class UploadSender {
  public:
    using Send = std::function<void(const TransferRequest&)>;
    // Whether it is stored, and where; or why not.
    using Done = std::function<void(const UploadProgress&)>;

    // Only when none is under way. A file that cannot be read is told by `done` as a refusal.
    void start(Upload upload, std::vector<std::filesystem::path> files, Done done);
    bool busy() const { return current_.has_value(); }
    // Forgets what is under way; its Done is not called.
    void drop() { current_.reset(); }

    // A coordinator is there: what is under way is offered again.
    void connected(Send send);
    void disconnected() { send_ = nullptr; }
    void on_progress(const UploadProgress& progress);

  private:
    struct Outgoing {
        Upload upload;
        std::vector<std::filesystem::path> paths;
        std::vector<UploadFile> files;
        Done done;
        std::ifstream file;  // of the next chunk
        Sha256 hash;         // of what was read of it
        std::size_t next_file = 0;
        std::int64_t next_offset = 0;
        std::int64_t chunks_ahead = 0;  // sent, and not acknowledged
        bool accepted = false;          // the coordinator has answered the offer
    };
    void offer();
    void send_ahead();
    void send_chunk(Outgoing& outgoing);
    // Makes the chunk at that place the next.
    void go_to(Outgoing& outgoing, std::size_t file, std::int64_t offset);
    void finish(const UploadProgress& progress);

    Send send_;
    std::optional<Outgoing> current_;
};

}  // namespace orchestrate
