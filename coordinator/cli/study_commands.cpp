#include "coordinator/cli/study_commands.h"

#include <iostream>
#include <sstream>

#include "common/base/error.h"
#include "coordinator/cli/calibration.h"
#include "coordinator/cli/plan_report.h"
#include "coordinator/database/read_database.h"
#include "coordinator/report/terminal.h"
#include "coordinator/sites/local_devices.h"
#include "coordinator/studies/stored_study.h"
#include "experiments/fields/reference.h"
#include "experiments/fields/schema.h"
#include "experiments/load_study.h"
#include "experiments/plan.h"
#include "experiments/tree.h"
#include "results/display_width.h"

namespace orchestrate {
namespace {

void print_warnings(const Study& study) {
    for (const auto& warning : study.warnings) {
        std::cerr << render(warning) << "\n";
    }
}

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

int plan_study(const PlanArguments& arguments) {
    const Study study = load_study(arguments.file, arguments.overrides, look_at_devices());
    print_warnings(study);
    if (arguments.tree) {
        std::cout << render_tree(study);
        return 0;
    }
    const auto calibration = arguments.calibrate ? std::optional(calibrate(study)) : std::nullopt;
    std::cout << whole_plan(study, arguments, calibration);
    return 0;
}

int diff_studies(const std::string& before, const std::string& after, const std::filesystem::path& database,
                 const std::vector<std::string>& overrides) {
    const StudyRecord old_side = read_side(before, database, overrides);
    const StudyRecord new_side = read_side(after, database, overrides);
    std::set<std::string> done;
    if (std::error_code unknown; std::filesystem::is_regular_file(database, unknown)) {
        auto opened = open_to_read(database);
        done = jobs_with_result(opened);
    }
    std::cout << render_difference(old_side, new_side, done);
    return 0;
}

int explain(const std::string& field) {
    std::istringstream lines(explain_field(field));
    for (std::string line; std::getline(lines, line);) {
        std::cout << wrapped_note(line, output_width());
    }
    return 0;
}

int print_schema() {
    std::cout << study_schema();
    return 0;
}

}  // namespace orchestrate
