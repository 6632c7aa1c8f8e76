#include "coordinator/cli/top_screen.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/printable.h"
#include "coordinator/report/progress_display.h"
#include "results/display_width.h"

namespace orchestrate {
namespace {

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
    constexpr std::size_t kMinEvents = 3;
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
    const std::size_t wanted = std::min(status.events.size(), kMinEvents) + 1;
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

}  // namespace orchestrate
