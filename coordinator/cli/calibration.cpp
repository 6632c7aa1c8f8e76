#include "coordinator/cli/calibration.h"

#include <fstream>
#include <system_error>

#include "cluster/command.h"
#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/temporary_folder.h"
#include "coordinator/database/read_database.h"
#include "experiments/calibration.h"

namespace orchestrate {
namespace {

constexpr std::chrono::hours kLimit{2};

TemporaryFolder make_folder() {
    try {
        return TemporaryFolder();
    } catch (const std::system_error& error) {
        throw UserError(error.what());
    }
}

}  // namespace

MeasuredJob calibrate(const Study& study) {
    const TemporaryFolder folder = make_folder();
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
