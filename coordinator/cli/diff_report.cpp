#include "coordinator/cli/diff_report.h"

#include <set>

#include "common/base/error.h"
#include "coordinator/database/read_database.h"
#include "coordinator/sites/local_devices.h"
#include "coordinator/studies/stored_study.h"
#include "experiments/load_study.h"

namespace orchestrate {
namespace {

bool is_file(const std::string& name) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(name, ignored) || name.find('/') != std::string::npos ||
           std::filesystem::path(name).extension() == ".toml";
}

StudyRecord read_side(const std::string& name, const std::filesystem::path& path,
                      const std::vector<std::string>& overrides) {
    if (is_file(name)) {
        return record_of(load_study(name, overrides, look_at_devices()));
    }
    auto database = open_to_read(path);
    if (auto record = stored_record(database, name)) {
        return *record;
    }
    throw UserError(
        "there is no study '" + name + "' in '" + path.string() +
        "', and no file of that name; expected a study file or a name that `orchestrate status` lists");
}

}  // namespace

std::string diff_report(const std::string& before, const std::string& after,
                        const std::filesystem::path& database, const std::vector<std::string>& overrides) {
    const StudyRecord old_side = read_side(before, database, overrides);
    const StudyRecord new_side = read_side(after, database, overrides);
    std::set<std::string> done;
    if (std::error_code unknown; std::filesystem::is_regular_file(database, unknown)) {
        auto opened = open_to_read(database);
        done = jobs_with_result(opened);
    }
    return render_difference(old_side, new_side, done);
}

}  // namespace orchestrate
