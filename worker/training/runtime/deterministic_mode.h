// LibTorch's choice between operations that give the same bits every time and quicker ones that may not. On CPUs
// ours and LibTorch's always do.
#pragma once

namespace orchestrate {

// From construction to destruction, for the whole process.
class DeterministicMode {
  public:
    explicit DeterministicMode(bool deterministic);
    ~DeterministicMode();
    DeterministicMode(const DeterministicMode&) = delete;
    DeterministicMode& operator=(const DeterministicMode&) = delete;
};

}  // namespace orchestrate
