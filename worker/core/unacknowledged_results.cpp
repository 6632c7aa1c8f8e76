#include "worker/core/unacknowledged_results.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace orchestrate {
namespace {

constexpr double kCostlySeconds = 1;

bool is_costly(const AttemptEnded& ended) {
    return ended.result && ended.result->total_seconds >= kCostlySeconds;
}

}  // namespace

UnacknowledgedResults::UnacknowledgedResults(DurableFiles& files, Log log)
    : files_(files), log_(std::move(log)) {}

void UnacknowledgedResults::open(const std::filesystem::path& folder) {
    if (spool_) {
        return;
    }
    try {
        spool_.emplace(files_, folder);
        auto found = spool_->leftovers();
        for (const auto& reason : found.unreadable) {
            log_->error("a result on disk cannot be read: {}", reason);
        }
        leftovers_ = std::move(found.results);
    } catch (const std::system_error& error) {
        log_->error("results are kept in memory only: {}", error.what());
    }
}

void UnacknowledgedResults::put(const AttemptEnded& ended) {
    if (!spool_) {
        return;
    }
    try {
        spool_->put(ended);
    } catch (const std::system_error& error) {
        log_->error("a result is kept in memory only: {}", error.what());
    }
}

void UnacknowledgedResults::save_if_costly(const AttemptEnded& ended) {
    if (is_costly(ended)) {
        put(ended);
    }
}

void UnacknowledgedResults::add(AttemptEnded ended) {
    const bool on_disk = !ended.result || is_costly(ended);
    own_.push_back({std::move(ended), on_disk, false});
}

void UnacknowledgedResults::acknowledged(const AttemptId& attempt) {
    const auto is_it = [&](const AttemptEnded& ended) { return ended.attempt == attempt; };
    const auto own =
        std::find_if(own_.begin(), own_.end(), [&](const Report& report) { return is_it(report.ended); });
    const bool on_disk = own != own_.end() ? own->on_disk && own->ended.result.has_value()
                                           : std::any_of(leftovers_.begin(), leftovers_.end(), is_it);
    if (own != own_.end()) {
        own_.erase(own);
    }
    std::erase_if(leftovers_, is_it);
    if (!on_disk || !spool_) {
        return;
    }
    try {
        spool_->remove(attempt);
    } catch (const std::system_error& error) {
        log_->error(error.what());
    }
}

void UnacknowledgedResults::save_all() {
    for (auto& report : own_) {
        if (!std::exchange(report.on_disk, true)) {
            put(report.ended);
        }
    }
}

void UnacknowledgedResults::save_old() {
    for (auto& report : own_) {
        if (std::exchange(report.waited, true) && !std::exchange(report.on_disk, true)) {
            put(report.ended);
        }
    }
}

}  // namespace orchestrate
