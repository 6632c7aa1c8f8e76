#include "experiments/checks/command_settings.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/job/command_arguments.h"
#include "experiments/checks/command_files.h"

namespace orchestrate {
namespace {

constexpr std::size_t kPrefixLength = sizeof("parameters.") - 1;

bool is_below(const std::string& path, const std::string& section) {
    return path.rfind(section + ".", 0) == 0;
}

// Fields of training would be read and change nothing.
void report_useless(const GivenFields& given, Mistakes& mistakes) {
    const std::vector<std::string> of_training = {
        "study.micro_batch_size", "study.retry_out_of_memory", "study.save_models",   "search.rungs",
        "search.min_epochs",      "search.reduction_factor",   "search.deterministic"};
    for (const auto& [path, value] : given) {
        const bool in_section = is_below(path, "data") || is_below(path, "tokenizer") ||
                                is_below(path, "model") || is_below(path, "train");
        if (in_section || std::find(of_training.begin(), of_training.end(), path) != of_training.end()) {
            mistakes.error(value.where,
                           path +
                               " is of the training that is built in, and a study with [command] "
                               "has none; expected what the command reads in [parameters]");
        }
    }
}

void check_names_in_braces(const Settings& settings, const std::vector<Field>& parameters, const Value& run,
                           Mistakes& mistakes) {
    std::vector<std::string> names = {"seed", "config"};
    for (const auto& field : parameters) {
        names.push_back(field.path.substr(kPrefixLength));
    }
    const auto& words = settings.command.run;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto* list = run.as_list();
        const SourceSpan& where = list && i < list->size() ? (*list)[i].where : run.where;
        try {
            for (const auto& name : names_in_braces(words[i])) {
                if (std::find(names.begin(), names.end(), name) == names.end()) {
                    mistakes.unknown_name(where,
                                          "'" + words[i] + "' names {" + name +
                                              "}, which is no parameter; expected " +
                                              join_alternatives(names) + ", or {{ for the brace itself",
                                          name, names);
                }
            }
        } catch (const UserError& error) {
            mistakes.error(where, error.what());
        }
    }
}

std::vector<CommandFile> hashed_files(const Settings& settings, const GivenFields& given,
                                      Mistakes& mistakes) {
    std::vector<CommandFile> files;
    const std::filesystem::path folder = settings.paths.command_folder;
    for (const auto& name : settings.command.files) {
        const SourceSpan& where = given.at("command.files").where;
        if (std::filesystem::path(name).is_absolute()) {
            mistakes.error(where,
                           "command.files names '" + name +
                               "'; expected a path from command.folder, since where files lie is no part of "
                               "what a job is");
            continue;
        }
        try {
            const auto found = files_of_entry(folder, name);
            if (found.empty()) {
                mistakes.error(where, "command.files '" + name + "' stands for no file in '" +
                                          folder.string() +
                                          "'; expected a file, a directory with files, or a pattern such as "
                                          "\"src/*.py\"");
            }
            for (const auto& file : found) {
                Sha256 hash;
                hash.add_file(folder / file);
                files.push_back({file, hash.hex()});
            }
        } catch (const UserError& error) {
            mistakes.error(where, error.what());
        }
    }
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    std::sort(files.begin(), files.end(), by_name);
    // A file may be named and be one of a pattern.
    files.erase(std::unique(files.begin(), files.end()), files.end());
    return files;
}

bool is_named(const std::vector<CommandFile>& files, const std::string& path) {
    const auto normal = std::filesystem::path(path).lexically_normal();
    return std::any_of(files.begin(), files.end(), [&](const CommandFile& file) {
        return std::filesystem::path(file.name).lexically_normal() == normal;
    });
}

// A script, or what it imports, that is not among the files may change without its jobs being run again.
void warn_of_unnamed_files(const Settings& settings, const std::vector<CommandFile>& files, const Value& run,
                           Mistakes& mistakes) {
    const std::filesystem::path folder = settings.paths.command_folder;
    std::vector<std::string> scripts;
    for (const auto& word : settings.command.run) {
        std::error_code unknown;
        if (!std::filesystem::path(word).is_absolute() && !is_named(files, word) &&
            std::filesystem::is_regular_file(folder / word, unknown)) {
            scripts.push_back(word);
        }
    }
    std::vector<std::string> imported;
    for (const auto& file : imported_files(folder, settings.command.run)) {
        if (!is_named(files, file) && std::find(scripts.begin(), scripts.end(), file) == scripts.end()) {
            imported.push_back(file);
        }
    }
    std::vector<std::string> expected = settings.command.files;
    expected.insert(expected.end(), scripts.begin(), scripts.end());
    expected.insert(expected.end(), imported.begin(), imported.end());
    for (auto& name : expected) {
        name = '"' + name + '"';
    }
    const std::string files_to_name =
        "expected command.files = [" + fmt::format("{}", fmt::join(expected, ", ")) + "]";
    for (const auto& script : scripts) {
        mistakes.warning(run.where,
                         "'" + script +
                             "' is not among command.files: jobs that are done are not run again when "
                             "it changes; " +
                             files_to_name);
    }
    if (!imported.empty()) {
        const bool is_one = imported.size() == 1;
        mistakes.warning(run.where,
                         "the command imports " + join_and(imported) + ", which " + (is_one ? "is" : "are") +
                             " not among command.files: jobs that are done are not run again when " +
                             (is_one ? "it changes; " : "they change; ") + files_to_name +
                             " (or a pattern, e.g. \"*.py\")");
    }
}

}  // namespace

void settle_command(Settings& settings, const GivenFields& given, const std::vector<Field>& parameters,
                    const SourceSpan& section, Mistakes& mistakes) {
    report_useless(given, mistakes);
    if (settings.name.empty()) {
        mistakes.error(section, "study.name is empty; expected a name");
    }
    if (settings.paths.command_folder.empty() && section.source) {
        settings.paths.command_folder = section.source->folder.lexically_normal().string();
    }
    std::error_code unknown;
    if (!std::filesystem::is_directory(settings.paths.command_folder, unknown)) {
        const auto folder = given.find("command.folder");
        mistakes.error(folder == given.end() ? section : folder->second.where,
                       "command.folder is '" + settings.paths.command_folder + "', which is no folder");
        return;
    }
    CommandConfig command;
    if (settings.job.command) {
        command.parameters = settings.job.command->parameters;
    }
    const auto run = given.find("command.run");
    if (run == given.end()) {
        mistakes.error(section,
                       "command.run is not set; expected the program and its arguments, e.g. "
                       "run = [\"python3\", \"train.py\"]");
    } else {
        check_names_in_braces(settings, parameters, run->second, mistakes);
    }
    if (!given.contains("command.metrics")) {
        mistakes.error(section,
                       "command.metrics is not set; expected what the command reports, e.g. "
                       "metrics = [\"accuracy\"]");
    }
    command.run = settings.command.run;
    command.files = hashed_files(settings, given, mistakes);
    if (run != given.end()) {
        warn_of_unnamed_files(settings, command.files, run->second, mistakes);
    }
    settings.job = JobConfig{};
    settings.job.command = std::move(command);
}

bool is_declared(const Settings& settings, const std::string& metric, const SourceSpan& where,
                 Mistakes& mistakes) {
    std::vector<std::string> names;
    for (const auto& declared : settings.command.metrics) {
        names.push_back(declared.name);
    }
    if (std::find(names.begin(), names.end(), metric) != names.end()) {
        return true;
    }
    mistakes.unknown_name(
        where, "there is no metric '" + metric + "' in command.metrics; expected " + join_alternatives(names),
        metric, names);
    return false;
}

}  // namespace orchestrate
