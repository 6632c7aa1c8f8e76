#include "worker/agent/remote_storage.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <unistd.h>

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/visit.h"
#include "common/protocol/message_codec.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

std::string folder_prefix() {
    return "orchestrate-" + host_name() + "-";
}

// What training on this host is told.
Lease with_local_paths(Lease lease, const fs::path& folder, std::vector<StoredCheckpoint> found) {
    if (!lease.checkpoints.folder.empty()) {
        lease.checkpoints.folder = folder.string();
    }
    lease.checkpoints.resume_from = std::move(found);
    lease.models_folder = (folder / "models").string();
    return lease;
}

void remove_quietly(const fs::path& path) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
}

std::vector<fs::path> files_in(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        files.push_back(entry->path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

bool sees(const SharedFolderMark& mark) {
    if (mark.file.empty()) {
        return true;
    }
    std::string content;
    std::ifstream(mark.file) >> content;
    return content == mark.content && access(fs::path(mark.file).parent_path().c_str(), W_OK) == 0;
}

RemoteStorage::RemoteStorage(const fs::path& scratch, Log log,
                             std::function<void(const AttemptReport&)> pass_on,
                             std::function<void(const Lease&)> begin)
    : scratch_(fs::absolute(scratch) / (folder_prefix() + std::to_string(getpid()))),
      log_(std::move(log)),
      pass_on_(std::move(pass_on)),
      begin_(std::move(begin)) {}

RemoteStorage::~RemoteStorage() {
    remove_quietly(scratch_);
}

fs::path RemoteStorage::folder(const AttemptId& attempt) const {
    return scratch_ / ("job-" + to_string(attempt.job) + "-attempt-" + std::to_string(attempt.number));
}

bool RemoteStorage::holds(const fs::path& file) const {
    const auto inside = file.lexically_relative(scratch_);
    return !inside.empty() && *inside.begin() != "..";
}

void RemoteStorage::make_folder(const fs::path& folder) {
    std::error_code error;
    if (!fs::exists(scratch_, error)) {
        remove_stale_scratch_directories();
    }
    fs::create_directories(folder, error);
    if (error) {
        log_->error("'{}' cannot be made: {}", folder.string(), error.message());
    }
}

void RemoteStorage::remove_stale_scratch_directories() const {
    const std::string prefix = folder_prefix();
    for (const auto& found : files_in(scratch_.parent_path())) {
        const std::string name = found.filename().string();
        long long process = 0;
        if (!name.starts_with(prefix)) {
            continue;
        }
        const auto [end, error] =
            std::from_chars(name.data() + prefix.size(), name.data() + name.size(), process);
        if (error == std::errc() && end == name.data() + name.size() && !process_is_alive(process)) {
            remove_quietly(found);
        }
    }
}

void RemoteStorage::take(const Lease& lease) {
    log_->info("job {}, attempt {}: this host does not see '{}': checkpoints and models go by the connection",
               lease.attempt.job, lease.attempt.number, lease.checkpoints.folder);
    taken_.push_back(lease.attempt);
    make_folder(folder(lease.attempt));
    if (lease.checkpoints.resume_from.empty()) {
        begin_(with_local_paths(lease, folder(lease.attempt), {}));
        return;
    }
    fetching_ = lease;
    const fs::path place = folder(lease.attempt) / "resume";
    make_folder(place);
    fetcher_ = std::make_unique<CheckpointFetcher>(
        lease.attempt, lease.checkpoints.resume_from, place, log_,
        [this](std::vector<StoredCheckpoint> found) { begin_fetched(std::move(found)); });
    if (send_) {
        fetcher_->connected(send_);
    }
}

void RemoteStorage::begin_fetched(std::vector<StoredCheckpoint> found) {
    const Lease lease = *std::exchange(fetching_, std::nullopt);
    fetcher_.reset();
    for (const auto& checkpoint : found) {
        log_->info("job {}, attempt {}: the checkpoint of attempt {} at step {} is here: {:.1f} MB",
                   lease.attempt.job, lease.attempt.number, checkpoint.attempt, checkpoint.step,
                   static_cast<double>(checkpoint.bytes) / 1e6);
    }
    begin_(with_local_paths(lease, folder(lease.attempt), std::move(found)));
}

bool RemoteStorage::cancel(AttemptId attempt) {
    if (!fetching_ || fetching_->attempt != attempt) {
        return false;
    }
    fetching_.reset();
    fetcher_.reset();
    std::erase(taken_, attempt);
    remove_quietly(folder(attempt));
    return true;
}

bool RemoteStorage::report(const AttemptReport& message) {
    return match(
        message, [&](const CheckpointWritten& written) { return hold(written); },
        [&](const AttemptEnded& ended) { return hold(ended); }, [](const AttemptProgress&) { return false; },
        [](const AttemptEpoch&) { return false; }, [](const AttemptResumed&) { return false; });
}

bool RemoteStorage::hold(const Held& report) {
    const AttemptId attempt = attempt_of(report).value();
    if (std::find(taken_.begin(), taken_.end(), attempt) == taken_.end()) {
        return false;
    }
    // A newer checkpoint replaces one that is not under way yet.
    if (std::holds_alternative<CheckpointWritten>(report) && held_.size() > 1) {
        if (const auto* older = std::get_if<CheckpointWritten>(&held_.back());
            older != nullptr && older->attempt == attempt) {
            remove_quietly(older->checkpoint.file);
            held_.pop_back();
        }
    }
    held_.push_back(report);
    go_on();
    return true;
}

void RemoteStorage::go_on() {
    while (!held_.empty() && !sender_.busy()) {
        const Held report = held_.front();
        match(
            report, [&](const CheckpointWritten& written) { send_checkpoint(written); },
            [&](const AttemptEnded& ended) {
                if (ended.result && ended.result->model && holds(ended.result->model->folder)) {
                    send_model(ended);
                } else {
                    held_.pop_front();
                    let_go(ended);
                }
            });
    }
}

void RemoteStorage::send_checkpoint(const CheckpointWritten& written) {
    const fs::path file = written.checkpoint.file;
    const Upload upload{written.attempt, UploadKind::checkpoint, file.filename().string()};
    sender_.start(upload, {file}, [this, written](const UploadProgress& progress) {
        held_.pop_front();
        remove_quietly(written.checkpoint.file);
        if (progress.stored) {
            pass_on_(written);
        } else {
            log_->warn("job {}, attempt {}: the coordinator does not take the checkpoint at step {}: {}",
                       written.attempt.job, written.attempt.number, written.checkpoint.step,
                       progress.refused);
        }
        go_on();
    });
}

void RemoteStorage::send_model(const AttemptEnded& ended) {
    const Upload upload{ended.attempt, UploadKind::model, ended.result->model->sha256};
    sender_.start(upload, files_in(ended.result->model->folder),
                  [this, ended](const UploadProgress& progress) {
                      held_.pop_front();
                      AttemptEnded told = ended;
                      if (progress.stored) {
                          told.result->model->folder = progress.folder;
                      } else {
                          told.cause = Cause::user_error;
                          told.message = "the trained model could not be saved: " + progress.refused;
                          told.result.reset();
                      }
                      let_go(told);
                      go_on();
                  });
}

void RemoteStorage::let_go(const AttemptEnded& ended) {
    std::erase(taken_, ended.attempt);
    remove_quietly(folder(ended.attempt));
    pass_on_(ended);
}

void RemoteStorage::drop(AttemptId attempt) {
    const bool first = !held_.empty() && attempt_of(held_.front()) == attempt;
    if (first) {
        sender_.drop();
    }
    std::vector<AttemptEnded> ends;
    std::erase_if(held_, [&](const Held& report) {
        if (attempt_of(report) != attempt) {
            return false;
        }
        match(
            report, [](const CheckpointWritten&) {},
            [&](const AttemptEnded& ended) { ends.push_back(ended); });
        return true;
    });
    std::erase(taken_, attempt);
    for (const auto& ended : ends) {
        let_go(ended);
    }
    go_on();
}

void RemoteStorage::on_reply(const TransferReply& reply) {
    ++advances_;
    match(
        reply, [&](const UploadProgress& progress) { sender_.on_progress(progress); },
        [&](const CheckpointChunk& chunk) {
            if (fetcher_) {
                fetcher_->on_chunk(chunk);
            }
        });
}

void RemoteStorage::connected(UploadSender::Send send) {
    send_ = std::move(send);
    sender_.connected(send_);
    if (fetcher_) {
        fetcher_->connected(send_);
    }
}

void RemoteStorage::disconnected() {
    send_ = nullptr;
    sender_.disconnected();
    if (fetcher_) {
        fetcher_->disconnected();
    }
}

}  // namespace orchestrate
