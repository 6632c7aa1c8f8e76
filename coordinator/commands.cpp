#include "coordinator/commands.h"

#include <fstream>
#include <iostream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/access_file.h"
#include "common/connection.h"
#include "common/error.h"
#include "coordinator/coordinator.h"
#include "coordinator/local_devices.h"
#include "coordinator/progress_display.h"
#include "coordinator/read_database.h"
#include "coordinator/study_commands.h"
#include "experiments/sample_tracks.h"
#include "experiments/study.h"
#include "results/job_logs.h"

namespace orchestrate {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// Columns of the terminal that standard output is; 0 if it is none.
std::size_t output_width() {
    if (isatty(STDOUT_FILENO) != 1) {
        return 0;
    }
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::optional<StatusReply> ask_coordinator(const std::filesystem::path& database) {
    const auto access_file = person_access_file(state_folder(database));
    if (!std::filesystem::exists(access_file)) {
        return std::nullopt;
    }
    const Access access = read_access_file(access_file);
    asio::io_context io;
    std::optional<StatusReply> reply;
    std::exception_ptr failure;
    asio::co_spawn(
        io,
        [&]() -> asio::awaitable<void> {
            Hello hello;
            hello.role = Role::person;
            const auto connected = co_await connect_to_coordinator(access, hello, 5s);
            connected.connection->send(StatusRequest{});
            const Message answer = co_await connected.connection->read();
            if (const auto* status = std::get_if<StatusReply>(&answer)) {
                reply = *status;
            }
            connected.connection->close();
        },
        [&](std::exception_ptr error) { failure = error; });
    io.run();
    if (failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const UserError&) {
            throw;
        } catch (const std::exception&) {
            return std::nullopt;  // nobody is there
        }
    }
    return reply;
}

void print_comparison(const std::filesystem::path& path, const std::string& study) {
    auto database = open_to_read(path);
    std::cout << "\n" << render_comparison(database, study, std::nullopt, output_width());
}

}  // namespace

int run_study(const RunArguments& arguments, const std::string& program_version) {
    const Study study = load_study(arguments.file, arguments.overrides, look_at_devices());
    for (const auto& warning : study.warnings) {
        std::cerr << render(warning) << "\n";
    }
    std::cout << difference_to_last_run(study, arguments.database) << std::flush;
    CoordinatorOptions options;
    options.database = arguments.database;
    options.program_version = program_version;
    options.workers = arguments.workers;
    options.take_over = arguments.take_over;
    StudyState outcome{};
    {
        ProgressDisplay display(stdout);
        Coordinator coordinator(options, display);
        outcome = coordinator.run(study);
    }
    print_comparison(arguments.database, study.name);
    std::cout.flush();
    switch (outcome) {
        case StudyState::finished:
            return 0;
        case StudyState::interrupted:
            std::cerr << "\ninterrupted; the same command goes on where it was\n";
            return 130;
        case StudyState::running:
        case StudyState::failed:
            break;
    }
    return 1;
}

int show_table(const std::filesystem::path& path, const std::optional<std::string>& study,
               const std::optional<std::string>& stage, OutputFormat format) {
    auto database = open_to_read(path);
    std::string name;
    if (study) {
        name = *study;
    } else {
        const auto names = study_names(database);
        if (names.empty()) {
            throw UserError("the database '" + path.string() + "' holds no study yet");
        }
        name = names.front();
    }
    std::cout << render_comparison(database, name, stage, output_width(), format);
    return 0;
}

int run_query(const std::filesystem::path& path, const std::string& sql, OutputFormat format) {
    auto database = open_to_read(path);
    std::cout << render_query(database, sql, output_width(), format);
    return 0;
}

int show_status(const std::filesystem::path& path, OutputFormat format) {
    if (const auto status = ask_coordinator(path)) {
        if (format == OutputFormat::json) {
            std::cout << Json(*status).dump(2) << "\n";
            return 0;
        }
        const std::size_t width = output_width();
        for (const auto& line : render_progress(*status, width == 0 ? 200 : width)) {
            std::cout << line << "\n";
        }
        return 0;
    }
    auto database = open_to_read(path);
    std::cout << render_study_status(database, output_width(), format);
    return 0;
}

int show_logs(const std::filesystem::path& path, const std::string& job, bool only_paths) {
    auto database = open_to_read(path);
    bool any = false;
    for (const auto& log : find_job_logs(database, job)) {
        if (only_paths) {
            std::cout << log.file.string() << "\n";
            any = true;
            continue;
        }
        std::cout << "==> attempt " << log.attempt << " on " << log.worker << " ("
                  << (log.cause.empty() ? "running" : log.cause) << "): " << log.file.string() << "\n";
        std::ifstream file(log.file);
        if (file) {
            if (file.peek() != std::ifstream::traits_type::eof()) {
                std::cout << file.rdbuf();
            }
            any = true;
        } else {
            std::cout << "(this file cannot be read here; it was written on the worker's host)\n";
        }
    }
    return any ? 0 : 1;
}

int write_sample_data(const std::optional<std::filesystem::path>& destination, int rows_per_genre,
                      std::uint64_t seed) {
    if (!destination) {
        write_sample_tracks(std::cout, rows_per_genre, seed);
        return 0;
    }
    std::ofstream file(*destination);
    write_sample_tracks(file, rows_per_genre, seed);
    file.close();
    if (!file) {
        throw UserError("cannot write '" + destination->string() + "'");
    }
    return 0;
}

}  // namespace orchestrate
