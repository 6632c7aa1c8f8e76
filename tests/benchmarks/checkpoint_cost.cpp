// What a checkpoint costs, by size, without a model: copying what training changes, for which training waits; writing the
// copy down to the disk, which a thread does meanwhile, but for the last one before a worker leaves; reading it back.
//   checkpoint_cost FOLDER [MILLIONS_OF_PARAMETERS...]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>

#include "worker/training/support/checkpoint_file.h"

namespace {

using namespace orchestrate;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void measure(const std::filesystem::path& folder, std::int64_t millions) {
    const auto files = make_system_files();
    const std::int64_t parameters = millions * 1'000'000;
    std::vector<float> values(static_cast<std::size_t>(parameters));
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = 1.0F / static_cast<float>(i + 1);
    }
    // Weights, two moments, the weights of the kept epoch.
    std::vector<CheckpointTensor> tensors;
    for (const char* name : {"model", "mean", "square", "kept"}) {
        tensors.push_back({name, "F32", {parameters}, std::as_bytes(std::span(values))});
    }
    // The second time, as a training that keeps the memory.
    std::vector<float> copies(4 * values.size());
    double copying = 0;
    for (int i = 0; i < 2; ++i) {
        const auto copy_start = Clock::now();
        for (std::size_t tensor = 0; tensor < 4; ++tensor) {
            std::copy(values.begin(), values.end(),
                      copies.begin() + static_cast<std::ptrdiff_t>(tensor * values.size()));
        }
        copying = seconds_since(copy_start);
        values[0] = copies[copies.size() - 1];
    }
    auto start = Clock::now();
    const StoredCheckpoint stored =
        write_checkpoint(*files, folder, "benchmark", millions, Json::object(), tensors);
    const double writing = seconds_since(start);
    start = Clock::now();
    const CheckpointContent content(*files, stored.file);
    const double reading = seconds_since(start);
    std::printf("%6lld M parameters, %8.1f MB: copied in %7.3f s, written in %7.3f s, read in %7.3f s\n",
                static_cast<long long>(millions), static_cast<double>(stored.bytes) / 1e6, copying, writing,
                reading);
    files->remove(stored.file);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::cerr << "usage: checkpoint_cost FOLDER [MILLIONS_OF_PARAMETERS...]\n";
        return 2;
    }
    try {
        if (argc == 2) {
            for (const std::int64_t millions : {1, 10, 100}) {
                measure(argv[1], millions);
            }
        }
        for (int i = 2; i < argc; ++i) {
            measure(argv[1], std::stoll(argv[i]));
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
    return 0;
}
