// One training by mpirun that writes a checkpoint of every step into FOLDER, or goes on from the newest one there; driven
// by killed_ranks_test.py. Rank RANK kills itself after step STEP. At its end rank 0 writes FOLDER/result.json.
//   checkpoint_ranks SHARED_OBJECT FOLDER [STEP RANK]
#include <csignal>
#include <fstream>
#include <iostream>

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include "tests/worker/training/checkpointed_attempt.h"

int main(int argc, char** argv) {
    using namespace orchestrate;
    using namespace orchestrate::test;
    if (argc != 3 && argc != 5) {
        std::cerr << "usage: checkpoint_ranks SHARED_OBJECT FOLDER [STEP RANK]\n";
        return 2;
    }
    const std::filesystem::path folder = argv[2];
    const std::int64_t last_step = argc == 5 ? std::stoll(argv[3]) : 0;
    const int doomed_rank = argc == 5 ? std::stoi(argv[4]) : -1;
    at::set_num_threads(1);
    void* const library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) {
        std::cerr << dlerror() << '\n';
        return 1;
    }
    try {
        const auto open = reinterpret_cast<OpenCollective>(dlsym(library, kOpenCollectiveSymbol));
        const std::unique_ptr<Collective> collective(open({}));
        const auto files = make_system_files();
        const Attempt attempt = train_attempt(
            folder, checkpoints_in(folder), *files, *collective,
            [&](std::int64_t step, std::atomic<bool>&) {
                if (step == last_step && collective->rank() == doomed_rank) {
                    raise(SIGKILL);
                }
            },
            test_job());
        if (collective->rank() == 0) {
            std::ofstream(folder / "result.json")
                << Json{{"outcome", attempt.comparable()}, {"resumed_at", attempt.observer.resumed_at}};
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        _Exit(1);
    }
    return 0;
}
