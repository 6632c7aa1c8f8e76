// Chooses the units that a job masks, by their scores at the initial weights where it asks for that.
#pragma once

#include "worker/training/batches/unit_masks.h"
#include "worker/training/loop/trainer.h"
#include "worker/training/model/model.h"
#include "worker/training/model/training_loss.h"

namespace orchestrate {

// Rows of the training part that scores are taken over, at most: a sample keyed by seed.data_order.
inline constexpr std::int64_t kScoredRows = 2048;

// The scores of masks that choose by them, dropout off: of a lowest_activation the sum of the outputs' absolute
// values; of a lowest_gradient the sum over examples of |sum over the example's rows of output * gradient of its
// loss| (the head importance of Michel et al. 2019, before it is divided by the number of examples, which is the
// same for all). In the last layer only the outputs that are read count. What is masked in the model stays masked.
// Every rank calls it; all get the same bits, whatever their number.
// OutOfMemory on every rank if one lacks it.
UnitScores score_units(EncoderClassifier& model, const TrainerInputs& inputs,
                       const CompactVocabulary& vocabulary, const TrainingLoss& loss);

// The units to be masked; leaves the model with some masked.
MaskedUnits choose_masked_units(EncoderClassifier& model, const TrainerInputs& inputs,
                                const CompactVocabulary& vocabulary, const TrainingLoss& loss);

}  // namespace orchestrate
