#include "worker/agent/checkpoint_fetcher.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace orchestrate {
namespace {

constexpr std::int64_t kChecksumBytes = 64;  // hexadecimal, at the end of every checkpoint
constexpr std::int64_t kBytesAhead = 4 * static_cast<std::int64_t>(kUploadChunkBytes);

}  // namespace

CheckpointFetcher::CheckpointFetcher(AttemptId attempt, std::vector<StoredCheckpoint> candidates,
                                     std::filesystem::path folder, Log log, Done done)
    : attempt_(attempt),
      candidates_(std::move(candidates)),
      folder_(std::move(folder)),
      log_(std::move(log)),
      done_(std::move(done)) {}

std::filesystem::path CheckpointFetcher::path() const {
    return folder_ / std::filesystem::path(candidate().file).filename();
}

void CheckpointFetcher::connected(Send send) {
    send_ = std::move(send);
    if (there_ == 0) {
        begin();
    } else {
        asked_ = there_;
        ask_ahead();
    }
}

void CheckpointFetcher::begin() {
    if (next_ == candidates_.size()) {
        finish({});
        return;
    }
    file_ = std::ofstream(path(), std::ios::binary | std::ios::trunc);
    hash_ = Sha256();
    checksum_.clear();
    total_ = there_ = asked_ = 0;
    ask_ahead();
}

void CheckpointFetcher::ask_ahead() {
    while (send_ && (total_ == 0 ? asked_ == 0 : asked_ < total_ && asked_ - there_ < kBytesAhead)) {
        send_(CheckpointRequest{attempt_, candidate(), asked_});
        asked_ += static_cast<std::int64_t>(kUploadChunkBytes);
    }
}

void CheckpointFetcher::on_chunk(const CheckpointChunk& chunk) {
    if (next_ == candidates_.size() || chunk.attempt != attempt_ || chunk.file != candidate().file) {
        return;
    }
    if (!chunk.refused.empty()) {
        pass_over(chunk.refused);
        return;
    }
    if (chunk.offset != there_) {
        return;  // of an earlier connection
    }
    try {
        take(chunk);
        if (there_ == total_) {
            check_whole();
            StoredCheckpoint found = candidate();
            found.file = path().string();
            finish({found});
            return;
        }
        ask_ahead();
    } catch (const std::exception& error) {
        pass_over(error.what());
    }
}

void CheckpointFetcher::take(const CheckpointChunk& chunk) {
    total_ = chunk.total_bytes;
    const auto size = static_cast<std::int64_t>(chunk.bytes.values.size());
    if (size == 0 || there_ + size > total_) {
        throw std::runtime_error("the coordinator sent " + std::to_string(size) + " bytes at " +
                                 std::to_string(there_) + " of " + std::to_string(total_));
    }
    const auto* const begin = reinterpret_cast<const char*>(chunk.bytes.values.data());
    const std::int64_t hashed = std::clamp(total_ - kChecksumBytes - there_, std::int64_t{0}, size);
    hash_.add(begin, static_cast<std::size_t>(hashed));
    checksum_.append(begin + hashed, static_cast<std::size_t>(size - hashed));
    if (!file_.write(begin, size)) {
        throw std::runtime_error("'" + path().string() + "' cannot be written");
    }
    there_ += size;
}

void CheckpointFetcher::check_whole() {
    file_.close();
    if (!file_) {
        throw std::runtime_error("'" + path().string() + "' cannot be written");
    }
    const std::string found = hash_.hex();
    const std::string& expected = candidate().sha256.empty() ? checksum_ : candidate().sha256;
    if (found != checksum_ || found != expected) {
        throw std::runtime_error("its checksum is " + found + ", expected " + expected);
    }
}

void CheckpointFetcher::pass_over(const std::string& why) {
    log_->warn("job {}, attempt {}: the checkpoint '{}' cannot be brought here: {}; passed over",
               attempt_.job, attempt_.number, candidate().file, why);
    file_ = {};
    std::error_code ignored;
    std::filesystem::remove(path(), ignored);
    ++next_;
    begin();
}

void CheckpointFetcher::finish(std::vector<StoredCheckpoint> found) {
    next_ = candidates_.size();
    const Done done = std::exchange(done_, nullptr);
    done(std::move(found));
}

}  // namespace orchestrate
