// The keyed random numbers of keyed_random.h as operations on tensors, which any device computes without its host:
// the same bits for the same seed, step, site, example, position and element.
#pragma once

#include "worker/training/kernels/keyed_random.h"
#include "worker/training/operations/batch_tensors.h"

namespace orchestrate {

// Which elements dropout keeps: bool [rows, columns]. `key`: two words of 32 bits, of seed and step; dropout.key is not
// read, so that recorded work can be given another one.
at::Tensor keyed_keep(const KeyedRows& rows, std::int64_t columns, const Dropout& dropout,
                      const at::Tensor& key);

}  // namespace orchestrate
