#include "common/base/nearest_name.h"
#include "common/data/csv.h"
#include "common/data/dataset.h"

namespace orchestrate {
namespace {

std::string describe(const std::vector<DatasetProblem>& problems) {
    std::string text;
    for (const auto& problem : problems) {
        text += text.empty() ? "" : "\n";
        text += problem.message;
        if (const auto nearest = nearest_name(problem.found, problem.candidates)) {
            text += "; did you mean '" + *nearest + "'?";
        }
    }
    return text;
}

}  // namespace

DatasetError::DatasetError(std::vector<DatasetProblem> problems)
    : UserError(describe(problems)), problems_(std::move(problems)) {}

std::vector<std::string> read_column_names(const std::filesystem::path& path, char delimiter) {
    try {
        return CsvReader(path, delimiter).header();
    } catch (const CsvError& error) {
        throw DatasetError(
            {{DatasetProblem::Kind::unreadable_file, path.string(), error.line(), error.what()}});
    }
}

}  // namespace orchestrate
