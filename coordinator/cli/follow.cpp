#include "coordinator/cli/follow.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "coordinator/database/read_database.h"
#include "coordinator/report/progress_display.h"
#include "coordinator/report/terminal.h"
#include "results/tables.h"

namespace orchestrate {

using namespace std::chrono_literals;

namespace {

constexpr auto kPollInterval = 250ms;

bool is_going(const std::string& state) {
    return state == "running" || state == "paused";
}

std::optional<StudyStatus> status_of(const StatusReply& status, const std::string& study) {
    const auto found = std::find_if(status.studies.begin(), status.studies.end(),
                                    [&](const StudyStatus& entry) { return entry.study == study; });
    return found == status.studies.end() ? std::nullopt : std::optional(*found);
}

int with_table(const std::string& table, const std::string& study, const std::string& state) {
    std::cout << "\n" << table << std::flush;
    return report_outcome(study, state);
}

// The coordinator has gone without a word: what the database says, if it is here.
int without_coordinator(const Place& place, const std::string& study) {
    const std::string goes_on = "The study is kept in its database: the same command goes on with it.\n";
    if (place.access) {
        std::cerr << "the coordinator is gone. " << goes_on;
        return 1;
    }
    auto database = open_to_read(place.database);
    SQLite::Statement query(database, "SELECT state FROM studies WHERE name = ?");
    query.bind(1, study);
    const std::string state = query.executeStep() ? query.getColumn(0).getString() : "running";
    if (is_going(state)) {
        std::cerr << "the coordinator was killed. " << goes_on;
        return 1;
    }
    return with_table(render_comparison(database, study, std::nullopt, output_width()), study, state);
}

}  // namespace

int report_outcome(const std::string& study, const std::string& state) {
    if (state == "finished") {
        return 0;
    }
    if (state == "interrupted") {
        std::cerr << "\ninterrupted; the same command goes on where it was\n";
        return 130;
    }
    if (state == "cancelled") {
        std::cerr << "\nstudy " << study << " was cancelled; running it again tries all of it again\n";
    }
    return 1;
}

namespace {

// While a coordinator answers nothing: says so, less and less often.
class Silence {
  public:
    Silence(ProgressDisplay& display, SignalWatch& signals) : display_(display), signals_(signals) {}

    // False once the user wants to leave.
    bool lasts(std::chrono::milliseconds waited) {
        if (waited >= next_) {
            display_.note(silence_text(waited) + "; what is shown is what it said last");
            next_ *= 3;
        }
        left_ = signals_.wait(0ms);
        return !left_;
    }
    void ended() {
        if (std::exchange(next_, kFirst) != kFirst) {
            display_.note("the coordinator answers again");
        }
    }
    bool left() const { return left_; }

  private:
    static constexpr std::chrono::milliseconds kFirst = 3s;
    ProgressDisplay& display_;
    SignalWatch& signals_;
    std::chrono::milliseconds next_ = kFirst;
    bool left_ = false;
};

int detached(ProgressDisplay& display, const std::string& study) {
    display.clear();
    std::cout << "detached: the study continues. `orchestrate run` with its file follows it again, "
                 "`orchestrate cancel "
              << study << "` ends it\n";
    return 0;
}

}  // namespace

int follow_study(Client client, const Place& place, const std::string& study) {
    ProgressDisplay display(stdout);
    SignalWatch signals;
    Silence silence(display, signals);
    const WhileWaiting while_waiting = [&](std::chrono::milliseconds waited) {
        return silence.lasts(waited);
    };
    std::int64_t last_event = 0;
    bool first = true;
    while (true) {
        std::optional<StudyStatus> own;
        StatusReply status;
        try {
            status = client.ask<StatusReply>(StatusRequest{last_event}, while_waiting);
            silence.ended();
            own = status_of(status, study);
            if (own && !is_going(own->state)) {
                const auto table = client.ask<TextReply>(
                    TableRequest{study, "", static_cast<std::int64_t>(output_width()), "table"},
                    while_waiting);
                display.clear();
                return with_table(table.text, study, own->state);
            }
        } catch (const UserError&) {
            throw;
        } catch (const CoordinatorSilent&) {
            if (silence.left()) {
                return detached(display, study);
            }
            display.clear();
            throw;
        } catch (const std::exception&) {
            display.clear();
            return without_coordinator(place, study);
        }
        for (const auto& event : status.events) {
            last_event = event.number;
            if (event.study == study || (event.study.empty() && !first)) {
                display.note(event.text);
            }
        }
        first = false;
        std::erase_if(status.studies, [&](const StudyStatus& entry) { return entry.study != study; });
        display.update(status);
        if (signals.wait(kPollInterval)) {
            return detached(display, study);
        }
    }
}

}  // namespace orchestrate
