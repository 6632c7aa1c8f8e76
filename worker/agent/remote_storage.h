// Checkpoints and models of a worker that does not see the coordinator's folders. Training writes them to this host's
// disk; they travel to the coordinator in the background, and are reported once they are stored there. An attempt that
// goes on from a checkpoint begins when that has been brought here.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "common/base/log.h"
#include "common/protocol/worker_messages.h"
#include "worker/agent/checkpoint_fetcher.h"
#include "worker/agent/upload_sender.h"

namespace orchestrate {

// Whether this process sees the place that was marked, and may write there. A mark without a file: yes.
bool sees(const SharedFolderMark& mark);

// All calls on one thread, but for holds(). Throws nothing: what the disk does ends as a missing checkpoint, or as an
// attempt that could not save its model.
class RemoteStorage {
  public:
    // `pass_on` gets the reports whose files have arrived; `begin` leases with paths on this host.
    // Files lie in a folder of this process in `scratch`, which is made when it is needed and removed at the end; those of
    // processes that were killed go as well.
    RemoteStorage(const std::filesystem::path& scratch, Log log,
                  std::function<void(const AttemptReport&)> pass_on, std::function<void(const Lease&)> begin);
    ~RemoteStorage();
    RemoteStorage(const RemoteStorage&) = delete;
    RemoteStorage& operator=(const RemoteStorage&) = delete;

    // Begins the attempt at once, or when the checkpoint to go on from is here.
    void take(const Lease& lease);
    // Ends an attempt that has not begun yet; false if there is none such.
    bool cancel(AttemptId attempt);
    // A report of the runner. False if it is none of an attempt that was taken here.
    bool report(const AttemptReport& message);
    // Whether a file lies here, and so means nothing to others. Thread-safe.
    bool holds(const std::filesystem::path& file) const;
    void on_reply(const TransferReply& reply);
    // The attempt holds its lease no more: what of it waits for its files is passed on without them.
    void drop(AttemptId attempt);

    void connected(UploadSender::Send send);
    void disconnected();

    // Grows with every chunk that arrives.
    std::int64_t advances() const { return advances_; }

  private:
    using Held = std::variant<CheckpointWritten, AttemptEnded>;  // reports that wait for their files

    bool hold(const Held& report);
    std::filesystem::path folder(const AttemptId& attempt) const;
    void make_folder(const std::filesystem::path& folder);
    void remove_stale_scratch_directories() const;
    void begin_fetched(std::vector<StoredCheckpoint> found);
    // Passes on the reports that are held, up to the first whose files are not there.
    void go_on();
    void send_checkpoint(const CheckpointWritten& written);
    void send_model(const AttemptEnded& ended);
    void let_go(const AttemptEnded& ended);

    std::filesystem::path scratch_;
    Log log_;
    std::function<void(const AttemptReport&)> pass_on_;
    std::function<void(const Lease&)> begin_;
    std::vector<AttemptId> taken_;  // not let go yet
    UploadSender::Send send_;
    UploadSender sender_;
    std::deque<Held> held_;  // the first one's files are under way
    std::optional<Lease> fetching_;
    std::unique_ptr<CheckpointFetcher> fetcher_;
    std::int64_t advances_ = 0;
};

}  // namespace orchestrate
