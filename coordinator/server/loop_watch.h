// Names whatever holds a thread that should never be held for long: the time that each handler takes by itself, without
// the handlers it calls.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace orchestrate {

// Not thread-safe: used by the thread that it watches.
class LoopWatch {
  public:
    using Clock = std::function<std::chrono::steady_clock::time_point()>;
    // Called when a handler is done that took longer than the limit by itself.
    using Report = std::function<void(const std::string& handler, std::chrono::milliseconds held)>;

    static constexpr std::chrono::milliseconds kLimit{100};

    LoopWatch(Clock clock, Report report, std::chrono::milliseconds limit = kLimit)
        : clock_(std::move(clock)), report_(std::move(report)), limit_(limit) {}
    LoopWatch(const LoopWatch&) = delete;
    LoopWatch& operator=(const LoopWatch&) = delete;

    // A handler that runs until this goes. Must not live across a suspension of its coroutine. The texts must outlive it.
    class Hold {
      public:
        Hold(LoopWatch& watch, std::string_view handler, std::string_view of);
        ~Hold();
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;

      private:
        LoopWatch& watch_;
        std::string_view handler_;
        std::string_view of_;
        Hold* outer_;
        std::chrono::steady_clock::time_point begun_at_;
        std::chrono::steady_clock::duration inner_{};  // time of the handlers that it called
    };

    // Reported as "handler" or "handler of".
    [[nodiscard]] Hold hold(std::string_view handler, std::string_view of = {}) {
        return {*this, handler, of};
    }

    // The longest time that a handler took by itself, and which one that was; empty: none has ended yet.
    std::chrono::milliseconds longest() const { return longest_; }
    const std::string& longest_handler() const { return longest_handler_; }

  private:
    void ended(std::string_view handler, std::string_view of, std::chrono::steady_clock::duration own);

    Clock clock_;
    Report report_;
    std::chrono::milliseconds limit_;
    Hold* current_ = nullptr;
    std::chrono::milliseconds longest_{0};
    std::string longest_handler_;
};

}  // namespace orchestrate
