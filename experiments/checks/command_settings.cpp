#include "experiments/checks/command_settings.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/job/command_arguments.h"
#include "experiments/checks/command_files.h"
#include "experiments/checks/command_scripts.h"

namespace orchestrate {
namespace {

constexpr std::size_t kPrefixLength = sizeof("parameters.") - 1;

bool is_below(const std::string& path, const std::string& section) {
    return path.rfind(section + ".", 0) == 0;
}

// Fields of training would be read and change nothing.
void report_useless(const GivenFields& given, Diagnostics& diagnostics) {
    const std::vector<std::string> of_training = {
        "study.micro_batch_size", "study.retry_out_of_memory", "study.save_models",   "search.rungs",
        "search.min_epochs",      "search.reduction_factor",   "search.deterministic"};
    for (const auto& [path, value] : given) {
        const bool in_section = is_below(path, "data") || is_below(path, "tokenizer") ||
                                is_below(path, "model") || is_below(path, "train");
        if (in_section || std::find(of_training.begin(), of_training.end(), path) != of_training.end()) {
            diagnostics.error(value.where,
                              path +
                                  " is of the training that is built in, and a study with [command] "
                                  "has none; expected what the command reads in [parameters]");
        }
    }
}

void check_names_in_braces(const Settings& settings, const std::vector<Field>& parameters, const Value& run,
                           Diagnostics& diagnostics) {
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
                    diagnostics.unknown_name(where,
                                             "'" + words[i] + "' names {" + name +
                                                 "}, which is no parameter; expected " +
                                                 join_alternatives(names) + ", or {{ for the brace itself",
                                             name, names);
                }
            }
        } catch (const UserError& error) {
            diagnostics.error(where, error.what());
        }
    }
}

std::vector<CommandFile> hashed_files(const Settings& settings, const GivenFields& given,
                                      Diagnostics& diagnostics) {
    std::vector<CommandFile> files;
    const std::filesystem::path folder = settings.paths.command_folder;
    for (const auto& name : settings.command.files) {
        const SourceSpan& where = given.at("command.files").where;
        if (std::filesystem::path(name).is_absolute()) {
            diagnostics.error(
                where, "command.files names '" + name +
                           "'; expected a path from command.folder, since where files lie is no part of "
                           "what a job is");
            continue;
        }
        try {
            const auto found = files_of_entry(folder, name);
            if (found.empty()) {
                diagnostics.error(where,
                                  "command.files '" + name + "' stands for no file in '" + folder.string() +
                                      "'; expected a file, a directory with files, or a pattern such as "
                                      "\"src/*.py\"");
            }
            for (const auto& file : found) {
                Sha256 hash;
                hash.add_file(folder / file);
                files.push_back({file, hash.hex()});
            }
        } catch (const UserError& error) {
            diagnostics.error(where, error.what());
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

// The script that is run by an absolute path counts by its path and content, unless command.files has it by its name:
// else the results of another one of that name would be taken for its own.
void add_script_program(const Settings& settings, std::vector<CommandFile>& files, const Value& run,
                        Diagnostics& diagnostics) {
    const std::string program = settings.command.run.empty() ? "" : settings.command.run.front();
    if (!program.starts_with('/') || is_installed_program(program) || is_binary(program) ||
        is_named(files, command_words(settings.paths.command_folder, {program}).front().text)) {
        return;
    }
    try {
        Sha256 hash;
        hash.add_file(program);
        const auto place = std::find_if(files.begin(), files.end(),
                                        [&](const CommandFile& file) { return file.name > program; });
        files.insert(place, {program, hash.hex()});
    } catch (const UserError& error) {
        diagnostics.error(run.where, error.what());
    }
}

// Warns of scripts, and what they import, that are not among the files: these may change without jobs being run again.
class UnnamedFiles {
  public:
    UnnamedFiles(const Settings& settings, const std::vector<CommandFile>& files, const Value& run,
                 Diagnostics& diagnostics)
        : settings_(settings),
          files_(files),
          run_(run),
          diagnostics_(diagnostics),
          folder_(settings.paths.command_folder) {}

    void warn() {
        const auto words = command_words(folder_, settings_.command.run);
        for (const auto& word : words) {
            if (is_unnamed_script(word) && !contains(scripts_, word.text)) {
                scripts_.push_back(word.text);
            }
        }
        std::vector<std::string> texts;
        for (const auto& word : words) {
            if (!is_installed(word.text)) {
                texts.push_back(word.text);
            }
        }
        for (const auto& file : imported_files(folder_, texts)) {
            if (!is_named(files_, file) && !contains(scripts_, file)) {
                imported_.push_back(file);
            }
        }
        for (const auto& script : scripts_) {
            warn_of_script(script);
        }
        warn_of_imported();
    }

  private:
    static bool contains(const std::vector<std::string>& names, const std::string& name) {
        return std::find(names.begin(), names.end(), name) != names.end();
    }

    static bool is_absolute(const std::string& name) { return std::filesystem::path(name).is_absolute(); }

    bool is_program(const std::string& name) const {
        return (folder_ / name).lexically_normal() ==
               (folder_ / settings_.command.run.front()).lexically_normal();
    }

    bool is_installed(const std::string& name) const {
        const auto file = folder_ / name;
        // Interpreters are unpacked anywhere: ~/julia-1.9/bin/julia.
        const bool is_in_bin = is_absolute(settings_.command.run.front()) && is_binary(file) &&
                               file.parent_path().filename() == "bin";
        return is_program(name) && (is_in_bin || is_installed_program(file));
    }

    std::string what_is_missed(const std::string& script) const {
        if (!is_absolute(settings_.command.run.front()) || !is_program(script)) {
            return "not run again when it changes; ";
        }
        return is_binary(folder_ / script)
                   ? "not run again when it changes, nor when another program of that name is run; "
                   : "run again when it is edited or moved, but not when a file that it reads changes; ";
    }

    // Below the folder whatever the command is given is one, data too; elsewhere data may well lie outside.
    bool is_unnamed_script(const CommandWord& word) const {
        std::error_code unknown;
        const auto file = folder_ / word.text;
        if (!std::filesystem::is_regular_file(file, unknown) ||
            (!is_absolute(word.text) && is_named(files_, word.text)) || is_installed(word.text)) {
            return false;
        }
        if (is_program(word.text)) {
            return true;
        }
        if (is_absolute(word.text)) {
            return is_script(file) && !is_installed_program(file);
        }
        return !word.is_of_shell || is_script(file);
    }

    std::string files_to_name() const {
        std::vector<std::string> expected = settings_.command.files;
        for (const auto* names : {&scripts_, &imported_}) {
            std::copy_if(names->begin(), names->end(), std::back_inserter(expected),
                         [](const std::string& name) { return !is_absolute(name); });
        }
        for (auto& name : expected) {
            name = '"' + name + '"';
        }
        return fmt::format("command.files = [{}]", fmt::join(expected, ", "));
    }

    void warn_of_script(const std::string& script) {
        std::string expected = "expected " + files_to_name();
        if (is_absolute(script)) {
            const std::string name = std::filesystem::path(script).filename().string();
            expected = "expected it below command.folder, named there as \"" +
                       (is_program(script) ? "./" + name : name) + "\", and command.files = [\"" + name +
                       "\"]";
        }
        diagnostics_.warning(run_.where, "'" + script +
                                             "' is not among command.files: jobs that are done are " +
                                             what_is_missed(script) + expected);
    }

    void warn_of_imported() {
        if (imported_.empty()) {
            return;
        }
        const bool is_one = imported_.size() == 1;
        diagnostics_.warning(run_.where, "the command imports " + join_and(imported_) + ", which " +
                                             (is_one ? "is" : "are") +
                                             " not among command.files: jobs that are done are not run again "
                                             "when " +
                                             (is_one ? "it changes; " : "they change; ") + "expected " +
                                             files_to_name() + " (or a pattern, e.g. \"*.py\")");
    }

    const Settings& settings_;
    const std::vector<CommandFile>& files_;
    const Value& run_;
    Diagnostics& diagnostics_;
    const std::filesystem::path folder_;
    std::vector<std::string> scripts_;
    std::vector<std::string> imported_;
};

}  // namespace

void resolve_command(Settings& settings, const GivenFields& given, const std::vector<Field>& parameters,
                     const SourceSpan& section, Diagnostics& diagnostics) {
    report_useless(given, diagnostics);
    if (settings.name.empty()) {
        diagnostics.error(section, "study.name is empty; expected a name");
    }
    if (settings.paths.command_folder.empty() && section.source) {
        settings.paths.command_folder = section.source->folder.lexically_normal().string();
    }
    std::error_code unknown;
    if (!std::filesystem::is_directory(settings.paths.command_folder, unknown)) {
        const auto folder = given.find("command.folder");
        diagnostics.error(folder == given.end() ? section : folder->second.where,
                          "command.folder is '" + settings.paths.command_folder + "', which is no folder");
        return;
    }
    CommandConfig command;
    if (settings.job.command) {
        command.parameters = settings.job.command->parameters;
    }
    const auto run = given.find("command.run");
    if (run == given.end()) {
        diagnostics.error(section,
                          "command.run is not set; expected the program and its arguments, e.g. "
                          "run = [\"python3\", \"train.py\"]");
    } else {
        check_names_in_braces(settings, parameters, run->second, diagnostics);
    }
    if (!given.contains("command.metrics")) {
        diagnostics.error(section,
                          "command.metrics is not set; expected what the command reports, e.g. "
                          "metrics = [\"accuracy\"]");
    }
    command.run = settings.command.run;
    const std::size_t errors = diagnostics.errors();
    command.files = hashed_files(settings, given, diagnostics);
    // Of names with errors nothing is known.
    const bool files_are_known =
        diagnostics.errors() == errors && given.contains("command.files") != settings.command.files.empty();
    if (!command.run.empty() && files_are_known) {
        add_script_program(settings, command.files, run->second, diagnostics);
        UnnamedFiles(settings, command.files, run->second, diagnostics).warn();
    }
    settings.job = JobConfig{};
    settings.job.command = std::move(command);
}

bool is_declared(const Settings& settings, const std::string& metric, const SourceSpan& where,
                 Diagnostics& diagnostics) {
    std::vector<std::string> names;
    for (const auto& declared : reported_metrics(settings)) {
        names.push_back(declared.name);
    }
    if (std::find(names.begin(), names.end(), metric) != names.end()) {
        return true;
    }
    diagnostics.unknown_name(where,
                             "there is no metric '" + metric + "'" +
                                 (settings.command.metrics.empty() ? "" : " in command.metrics") +
                                 "; expected " + join_alternatives(names),
                             metric, names);
    return false;
}

}  // namespace orchestrate
