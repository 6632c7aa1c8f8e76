// The command line of `orchestrate`: commands, each in a file of its own that adds it with its options and what it does.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace CLI {
class App;
}

namespace orchestrate {

class CommandLine {
  public:
    // `app` must outlive it.
    CommandLine(CLI::App& app, std::string program_version)
        : app_(app), program_version_(std::move(program_version)) {}

    // A command; the caller adds its options. `run` does it and returns the program's exit code: 0 all well, 1 failed (some
    // jobs failed, or something broke), 130 interrupted. It throws UserError or StudyError for an error of the user's.
    CLI::App& add(const std::string& name, const std::string& about, std::function<int()> run);

    // The same below the heading "While it runs".
    CLI::App& add_while_running(const std::string& name, const std::string& about, std::function<int()> run);

    const std::string& program_version() const { return program_version_; }

    // After the command line has been parsed: runs the command that was given.
    int run() const;

  private:
    struct Command {
        CLI::App* app = nullptr;
        std::function<int()> run;
    };

    CLI::App& app_;
    std::string program_version_;
    std::vector<Command> commands_;
};

// Each adds one command, in the order of --help; those of change_commands.cpp four.
void add_run_command(CommandLine& line);
void add_plan_command(CommandLine& line);
void add_diff_command(CommandLine& line);
void add_explain_command(CommandLine& line);
void add_schema_command(CommandLine& line);
void add_table_command(CommandLine& line);
void add_query_command(CommandLine& line);
void add_status_command(CommandLine& line);
void add_top_command(CommandLine& line);
void add_jobs_command(CommandLine& line);
void add_job_command(CommandLine& line);
void add_logs_command(CommandLine& line);
void add_why_command(CommandLine& line);
void add_change_commands(CommandLine& line);  // cancel, retry, pause, drain
void add_resume_command(CommandLine& line);
void add_serve_command(CommandLine& line);
void add_collect_command(CommandLine& line);
void add_backup_command(CommandLine& line);
void add_sample_data_command(CommandLine& line);
void add_pilot_command(CommandLine& line);

}  // namespace orchestrate
