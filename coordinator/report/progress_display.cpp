#include "coordinator/report/progress_display.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/printable.h"
#include "common/base/time_text.h"
#include "coordinator/report/terminal.h"
#include "results/display_width.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;

std::string fitted(const std::string& text, std::size_t columns) {
    return shortened(printable(text), columns);
}

std::string summary(const StudyStatus& status) {
    std::string text = fmt::format("{}/{} jobs", status.succeeded, status.jobs);
    if (status.failed > 0) {
        text += fmt::format(", {} failed", status.failed);
    }
    if (status.cancelled > 0) {
        text += fmt::format(", {} cancelled", status.cancelled);
    }
    text += ", " + duration_text(std::chrono::duration<double>(status.elapsed_seconds)) + " gone";
    if (status.remaining_seconds) {
        text +=
            ", about " + duration_text(std::chrono::duration<double>(*status.remaining_seconds)) + " left";
    }
    return text;
}

// The title gives way to what the worker does.
std::string worker_line(const WorkerStatus& worker, std::size_t columns) {
    constexpr std::size_t kShortestTitle = 10;
    const auto& progress = worker.progress;
    std::string doing = worker.state + (worker.draining ? ", draining" : "");
    if (worker.state == "busy") {
        doing = progress.phase.empty() ? "begins" : progress.phase;
        if (progress.epoch > 0 && progress.steps > 0) {
            doing = fmt::format(
                "epoch {}/{} {:3.0f} %  loss {:.3f}  {:.1f}k tok/s", progress.epoch, progress.epochs,
                100.0 * static_cast<double>(progress.step) / static_cast<double>(progress.steps),
                progress.loss, progress.tokens_per_second / 1000);
        }
    }
    const std::string name = "  " + padded(printable(worker.name), 9) + " ";
    const std::size_t taken = display_width(name) + display_width(doing) + 2;
    const std::size_t room = std::max(kShortestTitle, columns > taken ? columns - taken : 0);
    return name + padded(fitted(worker.job_title, room), std::min<std::size_t>(room, 28)) + "  " + doing;
}

}  // namespace

std::vector<std::string> render_progress(const StatusReply& status, std::size_t columns) {
    constexpr std::size_t kBarWidth = 14;
    constexpr std::size_t kMaximumWorkers = 16;
    std::vector<std::string> lines;
    for (const auto& study : status.studies) {
        if (study.state != "running" && study.state != "paused") {
            continue;  // it has ended
        }
        const double done = study.jobs == 0
                                ? 0.0
                                : static_cast<double>(study.succeeded + study.failed + study.cancelled) /
                                      static_cast<double>(study.jobs);
        const auto filled = static_cast<std::size_t>(std::floor(done * kBarWidth));
        lines.push_back(fitted(study.study + (study.stage.empty() ? "" : " / " + study.stage) +
                                   (study.state == "paused" ? "  (paused)" : ""),
                               columns));
        lines.push_back(fitted(
            "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] " + summary(study),
            columns));
    }
    for (std::size_t i = 0; i < std::min(kMaximumWorkers, status.workers.size()); ++i) {
        lines.push_back(fitted(worker_line(status.workers[i], columns), columns));
    }
    if (status.workers.size() > kMaximumWorkers) {
        lines.push_back(
            fitted(fmt::format("  and {} more workers", status.workers.size() - kMaximumWorkers), columns));
    }
    return lines;
}

ProgressDisplay::ProgressDisplay(std::FILE* output)
    : output_(output),
      terminal_(can_repaint(fileno(output))),
      summarised_at_(std::chrono::steady_clock::now()) {}

ProgressDisplay::~ProgressDisplay() {
    clear();
}

void ProgressDisplay::clear() {
    if (painted_lines_ > 0) {
        // To the left (a typed ^C stands there), up over the block, then wipe to the end of the screen.
        std::fputs(fmt::format("\r\x1b[{}A\x1b[J", painted_lines_).c_str(), output_);
        std::fflush(output_);
        painted_lines_ = 0;
    }
    last_block_.clear();
}

void ProgressDisplay::update(const StatusReply& status) {
    if (terminal_) {
        // The last column stays free: some terminals wrap there. What is above the screen cannot be painted over.
        const TerminalSize size = terminal_size(fileno(output_));
        auto block = render_progress(status, size.columns - 1);
        block.resize(std::min(block.size(), size.lines - 1));
        if (block == last_block_) {
            return;
        }
        clear();
        for (const auto& line : block) {
            std::fputs((line + "\n").c_str(), output_);
        }
        std::fflush(output_);
        painted_lines_ = block.size();
        last_block_ = std::move(block);
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - summarised_at_ >= 30s) {
        summarised_at_ = now;
        for (const auto& line : render_progress(status, 200)) {
            std::fputs((line + "\n").c_str(), output_);
        }
        std::fflush(output_);
    }
}

void ProgressDisplay::note(const std::string& line) {
    clear();
    std::fputs((printable_lines(line) + "\n").c_str(), output_);
    std::fflush(output_);
}

}  // namespace orchestrate
