// Run by mpirun: every rank checks what a Collective promises; the exit status says whether it held.
// Usage: mpi_collective_ranks SHARED_OBJECT
#include <cmath>
#include <cstring>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include <dlfcn.h>

#include "worker/collective.h"

namespace {

using orchestrate::Collective;
using orchestrate::CollectiveError;
using std::chrono::milliseconds;

constexpr milliseconds kDeadline{60000};

void expect(bool condition, const std::string& what) {
    if (!condition) {
        throw std::runtime_error("not true: " + what);
    }
}

// A sum whose rounding depends on the order of its terms, so that ranks that add in different orders are
// found out.
float awkward_value(int rank, std::size_t index) {
    return std::sin(static_cast<float>(index * 7 + static_cast<std::size_t>(rank) * 131)) *
           std::pow(10.0F, static_cast<float>(static_cast<int>(index % 9) - 4 + rank));
}

void sums_are_right_and_the_same_bits_everywhere(Collective& collective) {
    for (const std::size_t count : {1UL, 7UL, 1000UL, 300000UL}) {
        std::vector<float> values(count);
        std::vector<double> expected(count, 0.0);
        for (std::size_t i = 0; i < count; ++i) {
            values[i] = awkward_value(collective.rank(), i);
            for (int rank = 0; rank < collective.size(); ++rank) {
                expected[i] += awkward_value(rank, i);
            }
        }
        collective.all_reduce_sum(std::span(values))->wait(kDeadline);
        for (std::size_t i = 0; i < count; ++i) {
            const double scale = std::pow(10.0, static_cast<int>(i % 9) - 4 + collective.size());
            expect(std::abs(values[i] - expected[i]) < 1e-5 * scale, "sum of element " + std::to_string(i));
        }
        const auto gathered = collective.gather(std::as_bytes(std::span(values)), kDeadline);
        expect(gathered.size() == (collective.rank() == 0 ? static_cast<std::size_t>(collective.size()) : 0),
               "one part per rank is gathered on rank 0 and none elsewhere");
        for (const auto& part : gathered) {
            expect(part == gathered.front(), "the same bits on every rank");
        }
    }
}

void several_sums_at_a_time(Collective& collective) {
    std::vector<double> first(1000, 1.0);
    std::vector<float> second(1000, 2.0F);
    auto pending_first = collective.all_reduce_sum(std::span(first));
    auto pending_second = collective.all_reduce_sum(std::span(second));
    pending_second->wait(kDeadline);
    pending_first->wait(kDeadline);
    expect(pending_first->test() && pending_second->test(), "finished sums test as finished");
    expect(first[999] == collective.size() && second[0] == 2.0F * static_cast<float>(collective.size()),
           "two sums in progress");
}

void broadcasts_resize(Collective& collective) {
    std::vector<std::byte> bytes(collective.rank() == 0 ? 12345 : 3, std::byte{0});
    if (collective.rank() == 0) {
        bytes[12344] = std::byte{42};
    }
    collective.broadcast(bytes, kDeadline);
    expect(bytes.size() == 12345 && bytes[12344] == std::byte{42}, "broadcast of 12345 bytes");
    std::vector<std::byte> none(collective.rank() == 0 ? 0 : 5);
    collective.broadcast(none, kDeadline);
    expect(none.empty(), "broadcast of nothing");
}

void gathers_parts_of_different_sizes(Collective& collective) {
    const std::vector<std::byte> mine(static_cast<std::size_t>(collective.rank()) * 3,
                                      static_cast<std::byte>(collective.rank()));
    const auto parts = collective.gather(mine, kDeadline);
    for (std::size_t rank = 0; rank < parts.size(); ++rank) {
        expect(parts[rank] == std::vector<std::byte>(rank * 3, static_cast<std::byte>(rank)),
               "part of rank " + std::to_string(rank));
    }
}

// A sum that nobody asks about is complete when the ranks have computed for a while.
void sums_go_on_while_the_ranks_compute(Collective& collective) {
    std::vector<float> values(1'000'000, 1.0F);
    const auto pending = collective.all_reduce_sum(std::span(values));
    const auto begun_at = std::chrono::steady_clock::now();
    double work = 1;
    while (std::chrono::steady_clock::now() - begun_at < milliseconds(2000)) {
        work = std::sqrt(work + 1);
    }
    const auto computed_at = std::chrono::steady_clock::now();
    pending->wait(kDeadline);
    expect(work > 0 && values.back() == static_cast<float>(collective.size()), "the sum is right");
    const auto took = std::chrono::duration<double>(*pending->completed_at() - begun_at);
    std::cout << "rank " << collective.rank() << ": 4 MB were summed after " << took.count()
              << " s of computing\n";
    expect(*pending->completed_at() < computed_at, "a sum makes progress without being waited for");
}

// While rank 0 is busy elsewhere, the others wait in a broadcast.
void waiting_leaves_the_core_to_others(Collective& collective) {
    constexpr milliseconds kWait{2000};
    if (collective.rank() == 0) {
        std::this_thread::sleep_for(kWait);
    }
    const std::clock_t before = std::clock();
    std::vector<std::byte> bytes(1);
    collective.broadcast(bytes, std::nullopt);
    const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    const double share = used / std::chrono::duration<double>(kWait).count();
    if (collective.rank() != 0) {
        std::cout << "rank " << collective.rank() << " waited with " << share * 100 << " % of a core\n";
        expect(share < 0.01, "under 1 % of a core while waiting, not " + std::to_string(share * 100) + " %");
    }
}

// Rank 0 takes part too late. That is the last check: a Collective is not used any more after an error, if its
// operation does not come to an end after all.
void a_late_peer_is_noticed_at_the_deadline(Collective& collective) {
    std::vector<float> values(10);
    if (collective.rank() == 0) {
        std::this_thread::sleep_for(milliseconds(1500));
        collective.all_reduce_sum(std::span(values))->wait(kDeadline);
        return;
    }
    const auto start = std::chrono::steady_clock::now();
    const auto pending = collective.all_reduce_sum(std::span(values));
    bool noticed = false;
    try {
        pending->wait(milliseconds(300));
    } catch (const CollectiveError&) {
        const auto waited = std::chrono::steady_clock::now() - start;
        expect(waited >= milliseconds(300) && waited < milliseconds(1400), "the deadline is kept");
        noticed = true;
    }
    expect(noticed, "a sum without rank 0 does not end");
    bool refused = false;
    try {
        collective.all_reduce_sum(std::span(values));
    } catch (const CollectiveError&) {
        refused = true;
    }
    expect(refused, "nothing is begun while an operation that was given up is under way");
    pending->wait(kDeadline);  // so that MPI can be finalised
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: mpi_collective_ranks SHARED_OBJECT\n";
        return 2;
    }
    void* const library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        std::cerr << dlerror() << '\n';
        return 1;
    }
    const auto open =
        reinterpret_cast<orchestrate::OpenCollective>(dlsym(library, orchestrate::kOpenCollectiveSymbol));
    if (open == nullptr) {
        std::cerr << dlerror() << '\n';
        return 1;
    }
    std::unique_ptr<Collective> collective;
    try {
        collective.reset(open({}));
        sums_are_right_and_the_same_bits_everywhere(*collective);
        several_sums_at_a_time(*collective);
        broadcasts_resize(*collective);
        gathers_parts_of_different_sizes(*collective);
        sums_go_on_while_the_ranks_compute(*collective);
        waiting_leaves_the_core_to_others(*collective);
        a_late_peer_is_noticed_at_the_deadline(*collective);
    } catch (const std::exception& error) {
        std::cerr << "rank " << (collective ? collective->rank() : -1) << ": " << error.what() << std::endl;
        _Exit(1);
    }
    return 0;
}
