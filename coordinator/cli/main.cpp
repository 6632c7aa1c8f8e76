// orchestrate: the command line.
#include <cstdlib>
#include <iostream>

#include <CLI/CLI.hpp>

#include "common/base/error.h"
#include "common/base/help_formatter.h"
#include "common/base/number_check.h"
#include "coordinator/cli/argument_check.h"
#include "coordinator/cli/commands.h"
#include "coordinator/cli/control_command_line.h"
#include "coordinator/cli/control_commands.h"
#include "coordinator/cli/pilot.h"
#include "coordinator/cli/run_commands.h"
#include "coordinator/cli/study_commands.h"
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

constexpr const char* kAccess =
    "From another host: the access file of the coordinator (DATABASE.d/access.json)";

std::optional<std::filesystem::path> access_of(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::filesystem::path>(text);
}

struct Formats {
    bool json = false;
    bool csv = false;
    OutputFormat chosen() const {
        return json ? OutputFormat::json : csv ? OutputFormat::csv : OutputFormat::table;
    }
};

void add_formats(CLI::App& command, Formats& formats) {
    auto* json = command.add_flag("--json", formats.json, "Print JSON");
    command.add_flag("--csv", formats.csv, "Print CSV")->excludes(json);
}

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "    0    all is well\n"
    "    1    jobs failed, the output could not be written, or something broke\n"
    "    2    an error of the user's: in the command line, in the study file, or a\n"
    "         name that does not exist\n"
    "    130  interrupted (Ctrl-C); the same command resumes";

int run(int argc, char** argv) {
    CLI::App app(kAbout, "orchestrate");
    app.formatter(std::make_shared<HelpFormatter>());
    app.set_version_flag("--version", "orchestrate " ORCHESTRATE_VERSION);
    app.require_subcommand(1);

    std::string database = "results.db";
    std::string file;
    std::vector<std::string> overrides;
    std::string name;
    std::string stage;
    std::string access;
    Formats formats;
    const auto add_database = [&](CLI::App* command) {
        command->add_option("--db", database, "The results database")
            ->capture_default_str()
            ->type_name("FILE");
        return command;
    };
    const auto add_study = [&](CLI::App* command) {
        command->add_option("file", file, "The study (TOML)")->required()->type_name("FILE");
        command
            ->add_option("--set", overrides,
                         "Replace a value of the file: --set train.epochs=3 (may be repeated)")
            ->type_name("KEY=VALUE")
            ->expected(1)
            ->take_all();
    };

    auto* run_command =
        add_database(app.add_subcommand("run",
                                        "Train what a study asks for and print its table; submits it to the "
                                        "coordinator that has the database, if there is one"));
    add_study(run_command);
    RunArguments run_arguments;
    HostArguments& host = run_arguments.host;
    run_command
        ->add_option("--workers", host.workers,
                     "Ranks at a time on this machine (default: one per core or GPU)")
        ->check(CLI::Range(1, 4096));
    run_command->add_option("--access", access, kAccess)->type_name("FILE");
    run_command->add_flag("--reachable", host.reachable,
                          "Listen on all addresses of this host, for commands from others");
    run_command->add_flag("--take-over", host.take_over,
                          "Replace a coordinator on another host that is certainly dead");
    run_command
        ->add_option("--heartbeat", host.heartbeat_seconds,
                     "Seconds between signs of life of workers and of their ranks; who misses three is lost")
        ->check(heartbeat_seconds())
        ->capture_default_str();

    auto* plan_command =
        add_database(app.add_subcommand("plan", "Show what a study would train; starts nothing"));
    add_study(plan_command);
    PlanArguments plan_arguments;
    plan_command->add_flag("--tree", plan_arguments.tree, "Draw stages, ablations and variants as a tree");
    plan_command
        ->add_option("--workers", plan_arguments.workers,
                     "Ranks at a time, for the wall time (default: as the study says)")
        ->check(CLI::Range(1, 1'000'000));
    plan_command->add_flag(
        "--calibrate", plan_arguments.calibrate,
        "Train one short job on this machine first (one epoch), to say what the study costs");
    plan_command
        ->add_option("--spread", plan_arguments.spread,
                     "How far a difference varies from seed to seed: of macro F1 in points, of a command's "
                     "first metric")
        ->check(positive_number());
    plan_command
        ->add_option("--difference", plan_arguments.difference,
                     "Say how many seeds find this difference; in points, or as the command reports it")
        ->check(positive_number());

    auto* diff_command = add_database(
        app.add_subcommand("diff", "What differs between two studies: files, or names in the database"));
    std::string other;
    diff_command->add_option("before", name, "A study file, or the name of a study")->required();
    diff_command->add_option("after", other, "The other one")->required();
    diff_command->add_option("--set", overrides, "Replace a value in the files (may be repeated)")
        ->type_name("KEY=VALUE")
        ->expected(1)
        ->take_all();

    auto* explain_command =
        app.add_subcommand("explain", "Type, range, default and meaning of a field of the study file");
    explain_command->add_option("field", name, "train.epochs, epochs, or a section: train")->required();

    auto* schema_command = app.add_subcommand(
        "schema", "A JSON Schema of study files, for editors that complete and check them");

    auto* table_command = add_database(app.add_subcommand("table", "Print the comparison table of a study"));
    table_command->add_option("study", name, "Its name (default: the newest)")->type_name("STUDY");
    table_command->add_option("--stage", stage, "Another stage than the last")->type_name("STAGE");
    table_command->add_option("--access", access, kAccess)->type_name("FILE");
    add_formats(*table_command, formats);

    auto* query_command =
        add_database(app.add_subcommand("query", "One SQL query; try: select * from comparison"));
    std::string sql;
    query_command->add_option("sql", sql, "The query")->required()->type_name("SQL");
    add_formats(*query_command, formats);

    const ControlCommandLine control(app);

    auto* collect_command =
        add_database(app.add_subcommand("collect",
                                        "Show saved models that no study keeps, and checkpoints of jobs that "
                                        "failed, were cancelled or stopped early; --remove removes them"));
    bool remove_models = false;
    collect_command->add_flag("--remove", remove_models, "Remove them from the disk and the database");

    auto* backup_command = add_database(app.add_subcommand(
        "backup", "Copy the database into one file that is whole and checked, also while a study runs"));
    std::string backup_file;
    backup_command->add_option("out", backup_file, "The file to write; it must not exist")
        ->required()
        ->type_name("OUT");

    auto* sample_command = app.add_subcommand("sample-data", "Write made-up tracks (CSV) to try things with");
    std::string destination;
    int rows_per_genre = 200;
    std::uint64_t seed = 1;
    sample_command->add_option("--out", destination, "The file to write (default: standard output)")
        ->type_name("FILE");
    sample_command->add_option("--rows-per-genre", rows_per_genre, "Rows of each genre")
        ->check(CLI::Range(1, 100'000'000))
        ->capture_default_str();
    sample_command->add_option("--seed", seed, "Other seeds give other tracks")->capture_default_str();

    auto* pilot_command = app.add_subcommand("pilot", "Serve inside a Slurm allocation (started by `run`)");
    pilot_command->group("");
    PilotOptions pilot;
    std::string access_file;
    std::string log_folder;
    pilot_command->add_option("--access", access_file)->required();
    pilot_command->add_option("--name", pilot.name);
    pilot_command->add_option("--slots", pilot.slots);
    pilot_command->add_option("--threads", pilot.threads_per_rank);
    pilot_command->add_option("--device", pilot.device);
    pilot_command->add_option("--mpi", pilot.mpi_type);
    pilot_command->add_option("--memory-per-rank", pilot.memory_mib_per_rank);
    pilot_command->add_option("--log-folder", log_folder)->required();
    pilot_command->add_option("--heartbeat", pilot.heartbeat_seconds)->check(heartbeat_seconds());
    pilot_command->add_option("--interface", pilot.interface);

    app.footer(kExitCodes);
    if (const auto unknown = unknown_argument(app, {argv + 1, argv + argc})) {
        throw UserError(*unknown);
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    const auto given = [](const std::string& text) {
        return text.empty() ? std::nullopt : std::optional(text);
    };
    if (run_command->parsed()) {
        run_arguments.file = file;
        run_arguments.place = {database, access_of(access)};
        run_arguments.overrides = overrides;
        return run_study(run_arguments, ORCHESTRATE_VERSION);
    }
    if (plan_command->parsed()) {
        plan_arguments.file = file;
        plan_arguments.database = database;
        plan_arguments.overrides = overrides;
        return plan_study(plan_arguments);
    }
    if (diff_command->parsed()) {
        return diff_studies(name, other, database, overrides);
    }
    if (explain_command->parsed()) {
        return explain(name);
    }
    if (schema_command->parsed()) {
        return print_schema();
    }
    if (table_command->parsed()) {
        return show_table({database, access_of(access)}, given(name), given(stage), formats.chosen());
    }
    if (query_command->parsed()) {
        return run_query(database, sql, formats.chosen());
    }
    if (const auto code = control.run(ORCHESTRATE_VERSION)) {
        return *code;
    }
    if (collect_command->parsed()) {
        return collect_models(database, remove_models);
    }
    if (backup_command->parsed()) {
        return back_up(database, backup_file);
    }
    if (sample_command->parsed()) {
        return write_sample_data(given(destination), rows_per_genre, seed);
    }
    if (pilot.name.empty()) {
        const char* slurm_job = std::getenv("SLURM_JOB_ID");
        pilot.name = "slurm-" + std::string(slurm_job != nullptr ? slurm_job : "0");
    }
    pilot.access_file = access_file;
    pilot.log_folder = log_folder;
    pilot.program_version = ORCHESTRATE_VERSION;
    return run_pilot(pilot);
}

}  // namespace

namespace {

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
