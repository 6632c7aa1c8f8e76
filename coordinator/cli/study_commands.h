// The commands that read study files and train nothing: plan, diff, explain, schema. Each returns the program's
// exit code; mistakes are thrown as UserError or StudyError.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/expansion/study.h"

namespace orchestrate {

struct PlanArguments {
    std::filesystem::path file;
    std::filesystem::path database;  // may be missing: then nothing is known of earlier jobs
    std::vector<std::string> overrides;
    bool tree = false;
    int workers = 0;                   // ranks at a time; 0: as the study says, or this machine's cores
    std::optional<double> spread;      // of differences from seed to seed, in points of macro F1
    std::optional<double> difference;  // to be found, in points
    bool calibrate = false;            // run one short job first
};
int plan_study(const PlanArguments& arguments);

// Each side is a study file, or the name of a study in the database.
int diff_studies(const std::string& before, const std::string& after, const std::filesystem::path& database,
                 const std::vector<std::string>& overrides);

int explain(const std::string& field);
int print_schema();

// What an edit of the file changes beside the run that the database has; empty if it has none or nothing differs.
std::string difference_to_last_run(const Study& study, const std::filesystem::path& database);

}  // namespace orchestrate
