#include "worker/training/runtime/deterministic_mode.h"

#include <ATen/ATen.h>

namespace orchestrate {

namespace {

void choose(bool deterministic) {
    at::Context& context = at::globalContext();
    // An operation without a deterministic form is an error, not a silent difference.
    context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
    context.setDeterministicFillUninitializedMemory(false);
    context.setDeterministicCuDNN(deterministic);
    context.setBenchmarkCuDNN(false);
}

}  // namespace

DeterministicMode::DeterministicMode(bool deterministic) {
    choose(deterministic);
}

DeterministicMode::~DeterministicMode() {
    choose(false);
}

}  // namespace orchestrate
