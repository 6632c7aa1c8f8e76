// What the sources of Operations share: work in chunks over LibTorch's threads, memory per chunk, autograd records.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "worker/training/operations/operations.h"

namespace orchestrate::operation_parts {

using at::Tensor;
using torch::autograd::Node;
using torch::autograd::variable_list;

inline constexpr std::int64_t kRowsPerChunk = 64;
inline constexpr std::int64_t kTextsPerChunk = 2;

// How many threads share `count` things when each should have at least `smallest`.
inline std::int64_t chunks_for(std::int64_t count, std::int64_t smallest) {
    return std::clamp<std::int64_t>(count / smallest, 1, at::get_num_threads());
}

// Calls work(chunk, range) for `chunks` parts of [0, count), in threads of LibTorch's pool.
template <class Work>
void in_chunks(std::int64_t count, std::int64_t chunks, const Work& work) {
    if (chunks == 1) {
        work(0, RowRange{0, count});
        return;
    }
    at::parallel_for(0, chunks, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t chunk = begin; chunk < end; ++chunk) {
            work(chunk, RowRange{count * chunk / chunks, count * (chunk + 1) / chunks});
        }
    });
}

inline const float* data(const Tensor& tensor) {
    return tensor.const_data_ptr<float>();
}
inline float* mutable_data(const Tensor& tensor) {
    return tensor.mutable_data_ptr<float>();
}

// Memory with one row per chunk.
class PerChunk {
  public:
    static PerChunk zeros(std::int64_t chunks, std::int64_t floats) {
        PerChunk memory = scratch(chunks, floats);
        std::fill_n(memory.of(0), chunks * floats, 0.0F);
        return memory;
    }
    static PerChunk scratch(std::int64_t chunks, std::int64_t floats) { return PerChunk(chunks, floats); }
    float* of(std::int64_t chunk) const { return memory_.get() + chunk * floats_; }
    std::int64_t chunks() const { return chunks_; }

  private:
    static constexpr std::align_val_t kAlignment{64};
    struct Delete {
        void operator()(float* memory) const { ::operator delete[](memory, kAlignment); }
    };
    PerChunk(std::int64_t chunks, std::int64_t floats)
        : chunks_(chunks),
          floats_(floats),
          memory_(new (kAlignment) float[static_cast<std::size_t>(chunks * floats)]) {}

    std::int64_t chunks_;
    std::int64_t floats_;
    std::unique_ptr<float[], Delete> memory_;
};

// Where the gradient of an operation's input goes: added straight to where a leaf's is collected, without a tensor and an
// operation of its own, or given to what made the input.
class InputGradient {
  public:
    InputGradient() = default;
    explicit InputGradient(const Tensor& input)
        : collected_(input.is_leaf() && input.requires_grad() ? input.grad() : Tensor()),
          shape_(input.sizes().vec()) {}
    // Of these rows of it.
    InputGradient(const Tensor& input, RowRange rows) : InputGradient(input) {
        if (collected_.defined()) {
            collected_ = collected_.narrow(0, rows.begin, rows.end - rows.begin);
        }
        shape_[0] = rows.end - rows.begin;
    }

    bool is_collected() const { return collected_.defined(); }
    // The input as an edge of the graph: none to a vector whose gradient is collected, since no sum over ranks waits for it
    // (see GradientBuckets), and each edge costs microseconds in every step.
    Tensor edge(const Tensor& input) const { return is_collected() && input.dim() == 1 ? Tensor() : input; }
    // To add to; given to the graph by what the backward pass returns, undefined if it is collected.
    Tensor sum() const { return is_collected() ? collected_ : at::zeros(shape_, at::kFloat); }
    Tensor given(const Tensor& sum) const { return is_collected() ? Tensor() : sum; }

    // The sums of the chunks from column `first` on, in order of the chunks: the same bits whatever thread ran first.
    Tensor add(const PerChunk& sums, std::int64_t first) const {
        const Tensor all = sum();
        float* const to = mutable_data(all);
        for (std::int64_t chunk = 0; chunk < sums.chunks(); ++chunk) {
            const float* const from = sums.of(chunk) + first;
            for (std::int64_t i = 0; i < all.numel(); ++i) {
                to[i] += from[i];
            }
        }
        return given(all);
    }

  private:
    Tensor collected_;
    std::vector<std::int64_t> shape_;
};

template <class NodeType, class... Inputs>
void record(const std::shared_ptr<NodeType>& node, const Tensor& output, const Inputs&... inputs) {
    node->set_next_edges(torch::autograd::collect_next_edges(inputs...));
    torch::autograd::set_history(output, node);
}

inline bool wants_gradient(std::initializer_list<std::reference_wrapper<const Tensor>> inputs) {
    return at::GradMode::is_enabled() && std::any_of(inputs.begin(), inputs.end(), [](const Tensor& input) {
               return input.requires_grad();
           });
}

inline const TokenKey* keys_of(const BatchLayout& layout, Rows rows) {
    return rows == Rows::tokens ? layout.batch.token_key.data() : layout.batch.text_key.data();
}

inline LayerNormParameters raw(const NormTensors& norm) {
    return {data(norm.gain), data(norm.bias), static_cast<float>(norm.epsilon)};
}

inline Tensor on_device(const std::vector<std::int64_t>& values, at::Device device) {
    return at::tensor(at::ArrayRef<std::int64_t>(values), at::kLong).to(device);
}

// 0 or scale for each element of one row per key.
inline Tensor make_mask(const std::vector<TokenKey>& keys, std::int64_t columns, const Dropout& dropout) {
    const auto rows = static_cast<std::int64_t>(keys.size());
    const Tensor mask = at::empty({rows, columns}, at::kFloat);
    const auto random = PerChunk::scratch(1, random_scratch_floats(columns));
    best_kernels().dropout_mask({0, rows}, columns, dropout, keys.data(), mutable_data(mask), random.of(0));
    return mask;
}

}  // namespace orchestrate::operation_parts
