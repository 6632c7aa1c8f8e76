#include "worker/training/loop/epoch_choice.h"

namespace orchestrate {

EpochChoice::EpochChoice(const TrainConfig& config, bool has_validation)
    : selection_(has_validation ? config.epoch_selection : EpochSelection::last),
      patience_(has_validation ? config.early_stopping_patience : 0) {}

EpochChoice::Decision EpochChoice::after_epoch(std::int64_t epoch, const PartMetrics& validation) {
    if (is_better(validation)) {
        best_epoch_ = epoch;
        best_validation_ = validation;
    }
    Decision decision;
    decision.keep = selection_ == EpochSelection::last || best_epoch_ == epoch;
    decision.stop = patience_ > 0 && epoch - best_epoch_ >= patience_;
    if (decision.keep) {
        kept_epoch_ = epoch;
        kept_validation_ = validation;
    }
    return decision;
}

bool EpochChoice::is_better(const PartMetrics& validation) const {
    if (best_epoch_ == 0) {
        return true;
    }
    if (selection_ == EpochSelection::best_validation_macro_f1) {
        return validation.macro_f1 > best_validation_.macro_f1;
    }
    return validation.loss < best_validation_.loss;
}

}  // namespace orchestrate
