#include "worker/training/operations/batch_tensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>

#include <ATen/ATen.h>

namespace orchestrate {

namespace {

constexpr std::int64_t kStepNumbers = 3;  // behind the batch's: the key, the inverse weight

// Goes through the buffer, section by section: the one place that knows their order.
template <class Section>
void for_each_section(const BatchShape& shape, const Section& section) {
    std::int64_t begin = 0;
    const auto next = [&](int number, std::int64_t count) {
        section(number, begin, count);
        begin += count;
    };
    next(0, shape.rows);
    next(1, shape.rows);
    next(2, shape.has_types ? shape.rows : 0);
    next(3, shape.rows);
    next(4, shape.rows);
    next(5, shape.texts + 1);
    next(6, shape.texts);
    next(7, shape.examples + 1);
    next(8, shape.examples);
    next(9, kStepNumbers);
}

// Between two powers of two there are so many steps, but none is smaller than that.
std::int64_t step_at(std::int64_t value, std::int64_t per_octave, std::int64_t smallest) {
    const auto octave = std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(1, value)));
    return std::max(smallest, static_cast<std::int64_t>(octave) / per_octave);
}

std::int64_t rounded_up(std::int64_t value, std::int64_t per_octave, std::int64_t smallest) {
    const std::int64_t step = step_at(value, per_octave, smallest);
    return (value + step - 1) / step * step;
}

}  // namespace

BatchShape BatchShape::of(const PackedBatch& batch) {
    return {batch.rows(), batch.texts(), batch.examples(), batch.longest, !batch.type_id.empty()};
}

std::int64_t BatchShape::numbers() const {
    std::int64_t total = 0;
    for_each_section(*this, [&](int, std::int64_t, std::int64_t count) { total += count; });
    return total;
}

KeyedRows BatchTensors::text_keys() const {
    return {text_example, at::zeros_like(text_example)};
}

void write_numbers(const PackedBatch& batch, const StepNumbers& step, std::span<std::int32_t> buffer) {
    for_each_section(BatchShape::of(batch), [&](int number, std::int64_t begin, std::int64_t count) {
        std::int32_t* out =
            buffer.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)).data();
        const auto write = [&](const auto& values) {
            std::transform(values.begin(), values.end(), out,
                           [](auto value) { return static_cast<std::int32_t>(value); });
        };
        switch (number) {
            case 0:
                return write(batch.token);
            case 1:
                return write(batch.position_id);
            case 2:
                return write(batch.type_id);
            case 3:
                for (std::int64_t text = 0; text < batch.texts(); ++text) {
                    const auto at = static_cast<std::size_t>(text);
                    out = std::fill_n(out, batch.offsets[at + 1] - batch.offsets[at],
                                      static_cast<std::int32_t>(text));
                }
                return;
            case 4:
                for (const TokenKey& key : batch.token_key) {
                    *out++ = static_cast<std::int32_t>(key.example);
                }
                return;
            case 5:
                return write(batch.offsets);
            case 6:
                return write(batch.example);
            case 7:
                return write(batch.text_offsets);
            case 8:
                return write(batch.label);
            default: {
                const Dropout dropout = make_dropout(step.seed, step.step, 0, 0);
                const auto inverse = static_cast<float>(step.inverse_weight);
                static_assert(sizeof(inverse) == sizeof(std::int32_t));
                out[0] = static_cast<std::int32_t>(dropout.key[0]);
                out[1] = static_cast<std::int32_t>(dropout.key[1]);
                std::memcpy(out + 2, &inverse, sizeof(inverse));
            }
        }
    });
}

BatchTensors views_of(const at::Tensor& buffer, const BatchShape& shape) {
    BatchTensors tensors;
    tensors.shape = shape;
    at::Tensor* const places[] = {&tensors.token,        &tensors.position,      &tensors.type,
                                  &tensors.row_text,     &tensors.row_example,   &tensors.text_begin,
                                  &tensors.text_example, &tensors.example_begin, &tensors.label};
    for_each_section(shape, [&](int number, std::int64_t begin, std::int64_t count) {
        if (number < 9) {
            if (count > 0) {
                *places[number] = buffer.narrow(0, begin, count);
            }
            return;
        }
        tensors.dropout_key = buffer.narrow(0, begin, 2);
        tensors.inverse_weight = buffer.narrow(0, begin + 2, 1).view(at::kFloat).select(0, 0);
    });
    return tensors;
}

BatchTensors tensors_of(const PackedBatch& batch, at::Device device) {
    const BatchShape shape = BatchShape::of(batch);
    const at::Tensor host = at::empty({shape.numbers()}, at::kInt);
    write_numbers(batch, {}, {host.mutable_data_ptr<std::int32_t>(), static_cast<std::size_t>(host.numel())});
    BatchTensors tensors = views_of(host.to(device), shape);
    tensors.dropout_key.reset();
    tensors.inverse_weight.reset();
    return tensors;
}

BatchShape padded_shape(const BatchShape& shape) {
    constexpr std::int64_t kSmallestStep = 16;
    BatchShape padded = shape;
    padded.longest = rounded_up(shape.longest, 4, kSmallestStep);
    // Each of the texts that are added has a row at least, and together they hold any number of missing ones.
    const std::int64_t step = step_at(shape.rows, 32, kSmallestStep);
    const std::int64_t texts = (step + padded.longest - 3) / (padded.longest - 1);
    padded.texts += texts;
    padded.examples += texts;
    padded.rows = (shape.rows + texts + step - 1) / step * step;
    return padded;
}

void pad_to(const BatchShape& shape, PackedBatch& batch) {
    const BatchShape found = BatchShape::of(batch);
    std::int64_t rows = shape.rows - found.rows;
    std::int64_t texts = shape.texts - found.texts;
    if (rows < texts || rows > texts * shape.longest || found.longest > shape.longest ||
        shape.examples - found.examples != texts || shape.has_types != found.has_types) {
        throw std::logic_error("a batch does not fit into the shape it is padded to");
    }
    const std::vector<std::int32_t> zeros(static_cast<std::size_t>(shape.longest), 0);
    for (; texts > 0; --texts) {
        const std::int64_t length = std::min(shape.longest, rows - (texts - 1));
        const auto tokens = std::span(zeros).first(static_cast<std::size_t>(length));
        batch.add_text(tokens, kIgnoredLabel, 0, shape.has_types ? tokens : std::span<const std::int32_t>());
        rows -= length;
    }
    // The table of positions may end before.
    std::fill(batch.position_id.begin() + found.rows, batch.position_id.end(), 0);
    batch.longest = shape.longest;
}

}  // namespace orchestrate
