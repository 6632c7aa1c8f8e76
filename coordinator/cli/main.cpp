// orchestrate: the command line.
#include <iostream>

#include <CLI/CLI.hpp>

#include "common/base/error.h"
#include "common/base/help_formatter.h"
#include "coordinator/cli/argument_check.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/report/standard_output.h"
#include "experiments/expansion/study.h"

namespace {

using namespace orchestrate;

constexpr const char* kAbout =
    "Runs ablation studies and hyper-parameter searches: one TOML file in, one comparison table out. What is "
    "done is "
    "kept in an SQLite database, so that the same command goes on after an interruption and trains nothing "
    "twice.\n\n"
    "    orchestrate plan grid.toml    what would be trained\n"
    "    orchestrate run grid.toml     train it and print the table, or join in\n"
    "    orchestrate top               watch it, from any terminal\n"
    "    orchestrate table             the table of the newest study\n"
    "    orchestrate query \"select * from comparison\"";

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "    0    all is well\n"
    "    1    jobs failed, the output could not be written, or something broke\n"
    "    2    an error of the user's: in the command line, in the study file, or a\n"
    "         name that does not exist\n"
    "    130  interrupted (Ctrl-C); the same command resumes";

CommandLine commands_of(CLI::App& app) {
    CommandLine line(app, ORCHESTRATE_VERSION);
    add_run_command(line);
    add_plan_command(line);
    add_diff_command(line);
    add_explain_command(line);
    add_schema_command(line);
    add_table_command(line);
    add_query_command(line);
    add_status_command(line);
    add_top_command(line);
    add_jobs_command(line);
    add_job_command(line);
    add_logs_command(line);
    add_why_command(line);
    add_change_commands(line);
    add_resume_command(line);
    add_serve_command(line);
    add_collect_command(line);
    add_backup_command(line);
    add_sample_data_command(line);
    add_pilot_command(line);
    return line;
}

int run(int argc, char** argv) {
    CLI::App app(kAbout, "orchestrate");
    app.formatter(std::make_shared<HelpFormatter>());
    app.set_version_flag("--version", "orchestrate " ORCHESTRATE_VERSION);
    app.require_subcommand(1);
    const CommandLine line = commands_of(app);
    app.footer(kExitCodes);
    if (const auto unknown = unknown_argument(app, {argv + 1, argv + argc})) {
        throw UserError(*unknown);
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return line.run();
}

void print_error(const std::string& text) {
    std::cout.flush();
    std::cerr << text << "\n";
}

int exit_code_of(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const StudyError& error) {
        print_error(error.what());
        return 2;
    } catch (const UserError& error) {
        print_error(std::string("orchestrate: ") + error.what());
        return 2;
    } catch (const std::exception& error) {
        print_error(std::string("orchestrate: ") + error.what());
        return 1;
    }
}

}  // namespace

int main(int argc, char** argv) {
    open_standard_descriptors();
    StandardOutput output;
    return output.finish(exit_code_of(argc, argv));
}
