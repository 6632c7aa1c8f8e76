#include "worker/agent/bounded_log.h"

#include <algorithm>
#include <utility>

namespace orchestrate {
namespace {

constexpr std::int64_t kMaxTailBytes = 1 << 20;  // kept in memory
constexpr std::int64_t kLineBytes = 40;          // of a line in the file, beside its text
constexpr std::int64_t kMiB = 1 << 20;

std::int64_t bytes_of(const std::string& line) {
    return static_cast<std::int64_t>(line.size()) + kLineBytes;
}

}  // namespace

BoundedLog::BoundedLog(Log log, std::int64_t max_bytes) : log_(std::move(log)) {
    tail_bytes_ = std::min(kMaxTailBytes, max_bytes / 4);
    head_bytes_ = max_bytes > 0 ? max_bytes - tail_bytes_ : -1;
}

BoundedLog::~BoundedLog() {
    try {
        finish();
    } catch (...) {  // a log that cannot be written is no reason to end
    }
}

void BoundedLog::add(const std::string& line) {
    if (!is_cut_ && head_bytes_ >= 0 && written_ + bytes_of(line) > head_bytes_) {
        is_cut_ = true;
        log_->warn(
            "the log has reached its limit: from here on its last lines are kept, and "
            "written when the attempt ends");
    }
    if (is_cut_) {
        keep(line);
        return;
    }
    written_ += bytes_of(line);
    log_->info("{}", line);
}

void BoundedLog::keep(const std::string& line) {
    tail_.push_back(line.substr(0, static_cast<std::size_t>(tail_bytes_)));
    bytes_in_tail_ += bytes_of(tail_.back());
    while (bytes_in_tail_ > tail_bytes_ && tail_.size() > 1) {
        bytes_in_tail_ -= bytes_of(tail_.front());
        bytes_left_out_ += static_cast<std::int64_t>(tail_.front().size()) + 1;
        ++lines_left_out_;
        tail_.pop_front();
    }
}

void BoundedLog::finish() {
    if (!std::exchange(is_cut_, false)) {
        return;
    }
    head_bytes_ = -1;
    log_->warn("{} lines ({:.1f} MiB) are left out here; the last lines follow", lines_left_out_,
               static_cast<double>(bytes_left_out_) / static_cast<double>(kMiB));
    for (const auto& line : std::exchange(tail_, {})) {
        log_->info("{}", line);
    }
}

}  // namespace orchestrate
