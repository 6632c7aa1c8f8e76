#include "coordinator/server/loop_watch.h"

#include <utility>

namespace orchestrate {

LoopWatch::Hold::Hold(LoopWatch& watch, std::string_view handler, std::string_view of)
    : watch_(watch),
      handler_(handler),
      of_(of),
      outer_(std::exchange(watch.current_, this)),
      begun_at_(watch.clock_()) {}

LoopWatch::Hold::~Hold() {
    const auto took = watch_.clock_() - begun_at_;
    watch_.current_ = outer_;
    if (outer_ != nullptr) {
        outer_->inner_ += took;
    }
    watch_.ended(handler_, of_, took - inner_);
}

void LoopWatch::ended(std::string_view handler, std::string_view of,
                      std::chrono::steady_clock::duration own) {
    const auto held = std::chrono::duration_cast<std::chrono::milliseconds>(own);
    if (held <= longest_ && held <= limit_) {
        return;
    }
    const std::string name = std::string(handler) + (of.empty() ? "" : " ") + std::string(of);
    if (held > longest_ || longest_handler_.empty()) {
        longest_ = held;
        longest_handler_ = name;
    }
    if (held > limit_) {
        report_(name, held);
    }
}

}  // namespace orchestrate
