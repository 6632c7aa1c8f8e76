#include "worker/training/runtime/all_ranks.h"

#include <algorithm>
#include <array>
#include <exception>
#include <optional>
#include <span>
#include <string>

#include "common/base/error.h"
#include "worker/training/runtime/out_of_memory.h"

namespace orchestrate {

namespace {

enum Failure : std::size_t { memory, user, other };

struct Failed {
    Failure kind;
    std::string message;
};

std::optional<Failed> failure_of(const std::function<void()>& work) {
    try {
        if (auto shortage = memory_shortage_in(work)) {
            return Failed{memory, *std::move(shortage)};
        }
        return std::nullopt;
    } catch (const UserError& error) {
        return Failed{user, error.what()};
    } catch (const std::exception& error) {
        return Failed{other, error.what()};
    }
}

[[noreturn]] void fail(Failure kind, const std::string& message) {
    switch (kind) {
        case memory:
            throw OnAllRanks<OutOfMemory>(message);
        case user:
            throw OnAllRanks<UserError>(message);
        case other:
            break;
    }
    throw OnAllRanks<std::runtime_error>(message);
}

}  // namespace

void run_on_all_ranks(Collective& collective, std::chrono::milliseconds deadline,
                      const std::function<void()>& work) {
    if (collective.size() == 1) {
        if (const auto shortage = memory_shortage_in(work)) {
            throw OutOfMemory(*shortage);
        }
        return;
    }
    const std::optional<Failed> mine = failure_of(work);
    std::array<double, 3> ranks{};  // that failed, by kind
    if (mine) {
        ranks[mine->kind] = 1;
    }
    collective.all_reduce_sum(std::span<double>(ranks))->wait(deadline);
    const auto first = std::find_if(ranks.begin(), ranks.end(), [](double count) { return count > 0; });
    if (first == ranks.end()) {
        return;
    }
    const auto kind = static_cast<Failure>(first - ranks.begin());
    const std::string message = mine && mine->kind == kind ? mine->message : "";
    const auto messages = collective.gather(std::as_bytes(std::span(message)), deadline);
    for (std::size_t rank = 0; rank < messages.size(); ++rank) {
        if (!messages[rank].empty()) {
            const std::string text(reinterpret_cast<const char*>(messages[rank].data()),
                                   messages[rank].size());
            fail(kind, rank == 0 ? text : "on rank " + std::to_string(rank) + ": " + text);
        }
    }
    fail(kind, message.empty() ? "another rank has failed" : message);
}

}  // namespace orchestrate
