#include "coordinator/cli/top.h"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include "common/base/printable.h"
#include "coordinator/report/progress_display.h"
#include "coordinator/report/terminal.h"
#include "results/display_width.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

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

std::string headline(const StatusReply& status) {
    const auto active = std::count_if(
        status.studies.begin(), status.studies.end(),
        [](const StudyStatus& study) { return study.state == "running" || study.state == "paused"; });
    const auto busy = std::count_if(status.workers.begin(), status.workers.end(),
                                    [](const WorkerStatus& worker) { return worker.state == "busy"; });
    return fmt::format("{} running, {} of {} workers busy, {} waiting   {}",
                       active == 1 ? "1 study" : fmt::format("{} studies", active), busy,
                       status.workers.size(),
                       status.waiting == 1 ? "1 job" : fmt::format("{} jobs", status.waiting), status.host);
}

}  // namespace

std::vector<std::string> render_top(const StatusReply& status, std::size_t columns, std::size_t lines,
                                    const std::string& silence) {
    constexpr std::size_t kFewestEvents = 3;
    std::vector<std::string> screen;
    if (!silence.empty()) {
        screen.push_back(silence + "; this is what it said last");
    }
    screen.push_back(headline(status));
    if (!status.paused.empty()) {
        screen.push_back("nothing is handed out: " + status.paused);
    }
    for (const auto& line : render_progress(status, columns)) {
        screen.push_back(line);
    }
    for (const auto& study : status.studies) {
        if (study.state != "running" && study.state != "paused") {
            screen.push_back(study.study + ": " + study.state);
        }
    }
    // Events fill what is left, the newest last; a few of them show in any case.
    const std::size_t wanted = std::min(status.events.size(), kFewestEvents) + 1;
    if (screen.size() + wanted + 1 > lines) {
        screen.resize(lines > wanted + 1 ? lines - wanted - 1 : 0);
    }
    const std::size_t room = lines > screen.size() + 2 ? lines - screen.size() - 2 : 0;
    const std::size_t shown = std::min(room, status.events.size());
    if (shown > 0) {
        screen.emplace_back();
        for (std::size_t i = status.events.size() - shown; i < status.events.size(); ++i) {
            const auto& event = status.events[i];
            const std::string time = event.at.size() >= 19 ? event.at.substr(11, 8) : event.at;
            screen.push_back(
                fmt::format("{} {}{}", time, event.study.empty() ? "" : event.study + ": ", event.text));
        }
    }
    screen.resize(std::min(screen.size(), lines > 0 ? lines - 1 : 0));
    screen.emplace_back("q leaves");
    screen.resize(std::min(screen.size(), lines));
    for (auto& line : screen) {
        line = shortened(printable(line), columns);
    }
    return screen;
}

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
    std::string farewell;
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
                farewell = "the coordinator is gone; orchestrate status shows how far its studies are";
                break;
            }
        }
    }
    std::cout << (farewell.empty() ? "the coordinator ends" : farewell) << "\n";
    return 0;
}

}  // namespace orchestrate
