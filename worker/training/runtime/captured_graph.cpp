#include "worker/training/runtime/captured_graph.h"

#include <exception>

#include <c10/util/Exception.h>

namespace orchestrate {

std::unique_ptr<CapturedGraph> CapturedGraphs::record(const std::function<void()>& work) {
    if (!are_made()) {
        return nullptr;
    }
    try {
        auto recorded = make_();
        recorded->record(work);
        return recorded;
    } catch (const c10::Error& error) {
        end(error.what_without_backtrace());
    } catch (const std::exception& error) {
        end(error.what());
    }
    return nullptr;
}

void CapturedGraphs::end(const std::string& why) {
    if (are_made()) {
        make_ = nullptr;
        log_("warning: steps are not recorded any more, only slower: " + why);
    }
}

void RepeatedWork::run(CapturedGraphs& recordings, const std::function<void()>& work) {
    if (was_done_ && recorded_ == nullptr) {
        recorded_ = recordings.record(work);
    }
    was_done_ = true;
    if (recorded_ != nullptr) {
        recorded_->replay();
    } else {
        work();
    }
}

}  // namespace orchestrate
