// How long a study of 100,000 jobs takes to be read, checked, expanded and hashed, and in how much memory.
//
//     study_scale [--variants 100000] [--seeds 1]
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <unordered_set>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "experiments/expansion/study.h"
#include "experiments/load_study.h"

namespace {

using namespace orchestrate;

double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double processor_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double peak_mib() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

// A study of `variants` (learning rates, 100 to a row of weight decays) and `seeds`.
std::filesystem::path write_study(const std::filesystem::path& folder, int variants, int seeds) {
    std::ofstream data(folder / "tracks.csv");
    data << "genre,energy,tempo,valence\n";
    for (int i = 0; i < 1000; ++i) {
        data << (i % 2 ? "punk," : "funk,") << i << ',' << 2 * i << ',' << 3 * i << '\n';
    }
    std::string rates;
    for (int i = 1; i <= variants / 100; ++i) {
        rates += fmt::format("{}{}e-6", i == 1 ? "" : ", ", i);
    }
    std::string decays;
    for (int i = 1; i <= 100; ++i) {
        decays += fmt::format("{}{}e-3", i == 1 ? "" : ", ", i);
    }
    std::ofstream(folder / "study.toml") << "[study]\nseeds = " << seeds
                                         << "\n[data]\npath = \"tracks.csv\"\nlabel = \"genre\"\nfeatures = "
                                            "[\"energy\", \"tempo\", \"valence\"]\n"
                                         << "[[ablation]]\nsweep = { train.learning_rate = [" << rates
                                         << "], train.weight_decay = [" << decays << "] }\n";
    return folder / "study.toml";
}

}  // namespace

int main(int argc, char** argv) {
    int variants = 100'000;
    int seeds = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        (std::strcmp(argv[i], "--seeds") == 0 ? seeds : variants) = std::atoi(argv[i + 1]);
    }
    const auto folder = std::filesystem::temp_directory_path() / fmt::format("study-scale-{}", getpid());
    std::filesystem::create_directories(folder);
    const auto file = write_study(folder, variants - variants % 100, seeds);

    const auto begin = std::chrono::steady_clock::now();
    const Study study = load_study(file, {});
    const double loaded = processor_seconds();
    const auto rows = study.expand(study.stages.back(), study.base);
    const double expanded = processor_seconds();
    std::size_t jobs = 0;
    std::unordered_set<std::string> identities;
    for (const auto& row : rows) {
        for (const auto& run : row.runs) {
            identities.insert(job_identity(job_of(row, run)));
            ++jobs;
        }
    }
    const double hashed = processor_seconds();
    std::filesystem::remove_all(folder);
    fmt::print("{} variants, {} jobs, {} different\n", rows.size(), jobs, identities.size());
    fmt::print("processor seconds: read and checked {:.2f}, expanded {:.2f}, hashed {:.2f}, in all {:.2f}\n",
               loaded, expanded - loaded, hashed - expanded, hashed);
    fmt::print("wall {:.2f} s, peak memory {:.0f} MiB\n", seconds_since(begin), peak_mib());
    return 0;
}
