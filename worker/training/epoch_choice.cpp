#include "worker/training/epoch_choice.h"

namespace orchestrate {

EpochChoice::EpochChoice(EpochSelection selection, bool has_validation)
    : selection_(has_validation ? selection : EpochSelection::last) {}

bool EpochChoice::is_better(const PartMetrics& validation) const {
    if (epoch_ == 0) {
        return true;
    }
    switch (selection_) {
        case EpochSelection::last:
            return true;
        case EpochSelection::best_validation_macro_f1:
            return validation.macro_f1 > validation_.macro_f1;
        case EpochSelection::best_validation_loss:
            return validation.loss < validation_.loss;
    }
    return true;
}

void EpochChoice::choose(std::int64_t epoch, const PartMetrics& validation) {
    epoch_ = epoch;
    validation_ = validation;
}

}  // namespace orchestrate
