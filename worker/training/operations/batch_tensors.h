// A packed batch as tensors in one buffer of the device: what LibTorch's operations read in place of PackedBatch's
// vectors. The buffer of a shape can be filled again and again, and so be read by work that was recorded once.
#pragma once

#include <compare>
#include <cstdint>
#include <span>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include "worker/training/batches/batches.h"

namespace orchestrate {

// The label of an example that counts in no loss.
inline constexpr std::int64_t kIgnoredLabel = -100;

// What decides the sizes of all tensors of a batch.
struct BatchShape {
    std::int64_t rows = 0;
    std::int64_t texts = 0;
    std::int64_t examples = 0;
    std::int64_t longest = 0;  // rows of the longest text, or more
    bool has_types = false;
    auto operator<=>(const BatchShape&) const = default;  // NOLINT(modernize-use-nullptr)

    static BatchShape of(const PackedBatch& batch);
    // 32-bit numbers of the buffer.
    std::int64_t numbers() const;
};

// Whose random numbers they are, besides seed, step and site. [rows], 32 bits.
struct KeyedRows {
    at::Tensor example;
    at::Tensor position;
};

// Views of one buffer, of 32 bits each.
struct BatchTensors {
    BatchShape shape;
    at::Tensor token;          // [rows]
    at::Tensor position;       // [rows], in its text
    at::Tensor type;           // [rows]; undefined: all 0
    at::Tensor row_text;       // [rows]
    at::Tensor row_example;    // [rows], as a key
    at::Tensor text_begin;     // [texts + 1]
    at::Tensor text_example;   // [texts], as a key
    at::Tensor example_begin;  // [examples + 1], in texts
    at::Tensor label;          // [examples]
    at::Tensor dropout_key;    // [2], of seed and step; undefined: as the Dropout says
    at::Tensor
        inverse_weight;  // scalar, float: 1 / what the global batch is divided by; undefined outside a training step

    KeyedRows token_keys() const { return {row_example, position}; }
    KeyedRows text_keys() const;
};

// What of a training step is no part of the batch.
struct StepNumbers {
    std::uint64_t seed = 0;
    std::int64_t step = 0;
    double inverse_weight = 1;
};

// `buffer`: as many as batch's shape says.
void write_numbers(const PackedBatch& batch, const StepNumbers& step, std::span<std::int32_t> buffer);

// `buffer`: 32-bit whole numbers on any device, kept by the views. With what a training step adds.
BatchTensors views_of(const at::Tensor& buffer, const BatchShape& shape);

// Of a batch outside a training step.
BatchTensors tensors_of(const PackedBatch& batch, at::Device device);

// The shape to which a batch is padded, so that few shapes stand for all batches: rows to one of at most 32 per power of two,
// the longest text to one of four. There are more texts, which hold the rows that are missing.
BatchShape padded_shape(const BatchShape& shape);

// Adds texts that count in no loss and so have no gradient.
void pad_to(const BatchShape& shape, PackedBatch& batch);

}  // namespace orchestrate
