// `orchestrate top`: until q, Ctrl-C or the end of the coordinator; redraws when the terminal changes its size. Where standard
// output is no terminal, it prints once.
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/error.h"
#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "coordinator/cli/top_screen.h"
#include "coordinator/report/terminal.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;

constexpr auto kRefresh = 500ms;
constexpr std::chrono::milliseconds kSilenceShown = 2s;
constexpr std::size_t kPipeColumns = 200;
constexpr std::size_t kPipeLines = 1000;

// Keys come at once and are not echoed; the screen as it was comes back at the end.
class FullScreen {
  public:
    FullScreen() {
        keys_ = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before_) == 0;
        if (keys_) {
            termios raw = before_;
            raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
            raw.c_cc[VMIN] = 0;
            raw.c_cc[VTIME] = 0;
            tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        }
        std::fputs("\x1b[?1049h\x1b[?25l", stdout);
    }
    ~FullScreen() {
        std::fputs("\x1b[?25h\x1b[?1049l", stdout);
        std::fflush(stdout);
        if (keys_) {
            tcsetattr(STDIN_FILENO, TCSANOW, &before_);
        }
    }
    FullScreen(const FullScreen&) = delete;
    FullScreen& operator=(const FullScreen&) = delete;

    static void draw(const std::vector<std::string>& lines) {
        std::string screen = "\x1b[H";
        for (std::size_t i = 0; i < lines.size(); ++i) {
            screen += (i == 0 ? "" : "\r\n") + lines[i] + "\x1b[K";
        }
        std::fputs((screen + "\x1b[J").c_str(), stdout);
        std::fflush(stdout);
    }

    bool has_keys() const { return keys_; }

    // Whether q was typed.
    static bool wants_to_leave() {
        char key = 0;
        while (read(STDIN_FILENO, &key, 1) == 1) {
            if (key == 'q' || key == 'Q') {
                return true;
            }
        }
        return false;
    }

  private:
    termios before_{};
    bool keys_ = false;
};

int show_top(const Place& place, bool json) {
    auto client = Client::reach(place);
    if (!client) {
        throw UserError("no coordinator has the database '" + place.database.string() +
                        "' now; orchestrate status shows how far its studies are");
    }
    StatusReply status = client->ask<StatusReply>(StatusRequest{});
    if (json) {
        std::cout << Json(status).dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
        return 0;
    }
    if (!can_repaint(STDOUT_FILENO)) {
        auto lines = render_top(status, kPipeColumns, kPipeLines);
        lines.pop_back();  // there is no key to press
        for (const auto& line : lines) {
            std::cout << line << "\n";
        }
        return 0;
    }
    std::string goodbye_reason;
    {
        SignalWatch signals;
        FullScreen screen;
        bool leaves = false;
        // Whether the user stays for that long.
        const auto stays = [&](std::chrono::milliseconds wait) {
            const bool signalled = screen.has_keys() ? signals.wait_for_input(wait) : signals.wait(wait);
            leaves = signalled || (screen.has_keys() && FullScreen::wants_to_leave());
            return !leaves;
        };
        const auto while_waiting = [&](std::chrono::milliseconds waited) {
            if (waited > kSilenceShown) {
                const TerminalSize size = terminal_size(STDOUT_FILENO);
                FullScreen::draw(render_top(status, size.columns - 1, size.lines, silence_text(waited)));
            }
            return stays(0ms);
        };
        while (!status.ending) {
            const TerminalSize size = terminal_size(STDOUT_FILENO);
            FullScreen::draw(render_top(status, size.columns - 1, size.lines));
            if (!stays(kRefresh)) {
                return 0;
            }
            try {
                status = client->ask<StatusReply>(StatusRequest{}, while_waiting);
            } catch (const CoordinatorSilent& error) {
                if (leaves) {
                    return 0;
                }
                throw;
            } catch (const UserError&) {
                throw;
            } catch (const std::exception&) {
                goodbye_reason = "the coordinator is gone; orchestrate status shows how far its studies are";
                break;
            }
        }
    }
    std::cout << (goodbye_reason.empty() ? "the coordinator ends" : goodbye_reason) << "\n";
    return 0;
}

}  // namespace

void add_top_command(CommandLine& line) {
    struct Options {
        PlaceOptions place;
        bool json = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command =
        line.add_while_running("top", "Studies, workers and events, live on the whole screen; q leaves",
                               [options] { return show_top(options->place.place(), options->json); });
    add_place(command, options->place);
    command.add_flag("--json", options->json, "Print JSON");
}

}  // namespace orchestrate
