#include "coordinator/calibration.h"

#include <cstdlib>
#include <fstream>

#include "cluster/command.h"
#include "common/error.h"
#include "common/host.h"
#include "coordinator/read_database.h"
#include "experiments/calibration.h"

namespace orchestrate {
namespace {

constexpr std::chrono::hours kLimit{2};

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "orchestrate-calibration-XXXXXX").string();
        if (mkdtemp(pattern.data()) == nullptr) {
            throw UserError("cannot make a folder in '" + std::filesystem::temp_directory_path().string() +
                            "'");
        }
        path_ = pattern;
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace

MeasuredJob calibrate(const Study& study) {
    const TemporaryFolder folder;
    const auto file = folder.path() / "calibration.toml";
    const auto database = folder.path() / "results.db";
    std::ofstream(file, std::ios::binary) << calibration_study(study);
    const auto run = run_command(
        {(program_folder() / "orchestrate").string(), "run", file.string(), "--db", database.string()},
        kLimit);
    if (run.exit_code != 0) {
        throw UserError("the calibration job did not succeed:\n" + run.output + run.errors);
    }
    auto opened = open_to_read(database);
    const auto jobs = measured_jobs(opened);
    if (jobs.size() != 1) {
        throw UserError("the calibration job left no result:\n" + run.output + run.errors);
    }
    return jobs.front();
}

}  // namespace orchestrate
