// Stands where a worker stands: takes a worker's arguments, meets its ranks over MPI, tells the test through
// the named pipe LOG_FOLDER/events what it sees, and stays until SIGTERM (SIGUSR1 for the worker
// "deaf"). The worker "slow" takes two seconds to save its work then.
#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <string>

#include <mpi.h>
#include <unistd.h>

#include "event_pipe.h"

// Read by the address sanitizer, where it is built in: MPI libraries keep memory until the very end.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
    return "detect_leaks=0";
}

int main(int argc, char** argv) {
    std::map<std::string, std::string> options;
    for (int index = 1; index + 1 < argc; index += 2) {
        options[argv[index]] = argv[index + 1];
    }
    const std::string name = options.at("--name");
    const bool deaf = name == "deaf";
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, deaf ? SIGUSR1 : SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, nullptr);
    if (deaf) {
        std::signal(SIGTERM, SIG_IGN);
    }

    // A test may watch whether we live: this pipe, if it made one, is held open until we end.
    ::open((options.at("--log-folder") + "/alive").c_str(), O_WRONLY);

    const bool with_mpi = options.at("--ranks") != "1";
    int rank = 0;
    int size = 1;
    int sum_of_ranks = 0;
    if (with_mpi) {
        MPI_Init(&argc, &argv);
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        MPI_Comm_size(MPI_COMM_WORLD, &size);
        MPI_Allreduce(&rank, &sum_of_ranks, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    }
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    const char* const threads = std::getenv("OMP_NUM_THREADS");

    const std::string events = options.at("--log-folder") + "/events";
    const std::string who = name + " " + std::to_string(rank) + "/" + std::to_string(size);
    std::cout << "this is " + who + "\n" << std::flush;
    orchestrate::EventPipe::write_line(events, "up " + who + " on " + host.data() + " sum " +
                                                   std::to_string(sum_of_ranks) + " threads " +
                                                   (threads != nullptr ? threads : "none"));
    if (name == "dying" && rank == size - 1) {
        std::raise(SIGKILL);
    }
    const timespec two_minutes{120, 0};
    const int signal = sigtimedwait(&ends, nullptr, &two_minutes);
    orchestrate::EventPipe::write_line(events, "down " + who + " by " + std::to_string(signal));
    if (name == "slow") {
        ::sleep(2);
        orchestrate::EventPipe::write_line(events, "saved " + who);
    }
    if (with_mpi) {
        MPI_Finalize();
    }
    return 0;
}
