// Stands where `orchestrate pilot` stands: runs in a Slurm allocation and starts and stops probe workers as
// steps when the test says so through the named pipe FOLDER/commands ("start NAME RANKS", "stop NAME
// GRACE_MS"); tells exits through FOLDER/events. Ends at SIGTERM. Arguments: FOLDER MPI_TYPE
#include <csignal>
#include <iostream>
#include <sstream>

#include "cluster/launcher.h"
#include "event_pipe.h"

namespace {

volatile std::sig_atomic_t asked_to_end = 0;

void run(const std::filesystem::path& folder, const std::string& mpi_type) {
    using orchestrate::EventPipe;
    const std::unique_ptr<orchestrate::Launcher> launcher = orchestrate::make_srun_launcher(mpi_type, 500);
    const std::filesystem::path events = folder / "events";
    EventPipe commands(folder / "commands");
    EventPipe::write_line(events, "pilot ready");
    while (asked_to_end == 0) {
        std::istringstream command(commands.next_line(std::chrono::milliseconds(50)));
        std::string verb;
        std::string name;
        int number = 0;
        command >> verb >> name >> number;
        if (verb == "start") {
            orchestrate::WorkerSpec spec;
            spec.name = name;
            spec.ranks = number;
            spec.access_file = folder / "access";
            spec.log_folder = folder;
            spec.worker_program = folder / "probe_worker";
            launcher->start(spec);
        } else if (verb == "stop") {
            launcher->stop(name, std::chrono::milliseconds(number));
        }
        for (const orchestrate::WorkerExit& exit : launcher->poll()) {
            EventPipe::write_line(events, "exit " + exit.name + " code " + std::to_string(exit.exit_code) +
                                              " signal " + std::to_string(exit.signal));
        }
    }
    EventPipe::write_line(events, "pilot down");
}

}  // namespace

int main(int /*argc*/, char** argv) {
    std::signal(SIGTERM, [](int) { asked_to_end = 1; });
    try {
        run(argv[1], argv[2]);
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    return 0;
}
