#include "worker/agent/command_end.h"

#include <csignal>
#include <cstring>

#include <fmt/format.h>

namespace orchestrate {
namespace {

constexpr std::size_t kMaxWords = 2000;     // bytes of the last words in a message
constexpr std::size_t kMaxLineWords = 300;  // of those the last line

// Not in the middle of a character of UTF-8.
std::string_view last_bytes(std::string_view text, std::size_t count) {
    if (text.size() <= count) {
        return text;
    }
    text.remove_prefix(text.size() - count);
    while (!text.empty() && (static_cast<unsigned char>(text.front()) & 0xc0U) == 0x80U) {
        text.remove_prefix(1);
    }
    return text;
}

std::string how_it_ended(const CommandEnd& end) {
    const CommandExit& exit = end.exit;
    if (end.was_killed && exit.signal == SIGKILL) {
        return fmt::format("the command was killed, since it had not ended {:.1f} s after it was asked to",
                           std::chrono::duration<double>(end.stop_grace).count());
    }
    if (exit.signal == SIGKILL && end.kernel_killed_for_memory) {
        return "the command was killed (signal 9) while the kernel ended processes for lack of memory";
    }
    if (exit.signal == SIGKILL) {
        return "the command was killed (signal 9), not by orchestrate; the kernel reports no lack of memory";
    }
    return exit.signal > 0
               ? fmt::format("the command was ended by signal {} ({})", exit.signal, strsignal(exit.signal))
               : fmt::format("the command ended with exit code {}", exit.code);
}

bool speaks_of_a_full_disk(const CommandEnd& end) {
    for (const char* words : {"No space left on device", "ENOSPC", "Errno 28", "Disk quota exceeded"}) {
        if (end.last_words.find(words) != std::string::npos) {
            return true;
        }
    }
    return end.exit.signal == SIGBUS;  // memory that is a file on a full file system, such as /dev/shm
}

}  // namespace

std::string with_last_words(const std::string& message, const std::string& last_words) {
    if (last_words.empty()) {
        return message;
    }
    const std::size_t last_line = last_words.rfind('\n');
    if (last_line == std::string::npos) {
        return message + ": " + std::string(last_bytes(last_words, kMaxWords));
    }
    std::string text =
        message + ": " +
        std::string(last_bytes(std::string_view(last_words).substr(last_line + 1), kMaxLineWords));
    text += "\nits last lines:";
    std::string_view rest = last_bytes(last_words, kMaxWords);
    if (rest.size() < last_words.size()) {
        text += "\n  ...";
    }
    while (true) {
        const std::size_t end = rest.find('\n');
        text += "\n  " + std::string(rest.substr(0, end));
        if (end == std::string_view::npos) {
            return text;
        }
        rest.remove_prefix(end + 1);
    }
}

CommandVerdict judge_end(const CommandEnd& end) {
    const CommandExit& exit = end.exit;
    if (exit.signal == 0 && exit.code == 0) {
        return {};
    }
    if (end.was_asked) {
        const bool as_agreed = exit.signal == 0 && exit.code == kExitPreempted;
        const bool says_so = end.was_killed && exit.signal == SIGKILL;
        return {Cause::preempted, as_agreed ? "" : how_it_ended(end) + (says_so ? "" : " when asked to end")};
    }
    if (exit.signal == 0 && exit.code == kExitPreempted) {
        if (end.has_new_checkpoint) {
            return {Cause::preempted, "the command asked to be started again (exit code 75)", true};
        }
        // Counted, or a command that never gets on would be started for ever.
        return {
            Cause::worker_crashed,
            with_last_words("the command asked to be started again (exit code 75), but has written no new "
                            "finished file to ORCHESTRATE_CHECKPOINTS",
                            end.last_words)};
    }
    if (!end.full_places.empty() && speaks_of_a_full_disk(end)) {
        return {Cause::node_lost,
                with_last_words(how_it_ended(end) + " while this host had no room left (" + end.full_places +
                                    "); this is not counted against the job",
                                end.last_words)};
    }
    return {exit.signal > 0 ? Cause::worker_crashed : Cause::user_error,
            with_last_words(how_it_ended(end), end.last_words)};
}

}  // namespace orchestrate
