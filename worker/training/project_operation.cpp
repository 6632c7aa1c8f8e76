// Operations::project: the products with the weights, by the kernels where they are quicker than LibTorch's. The
// gradient of a weight is added straight to where it is collected, without a tensor of its own.
#include "worker/training/operation_parts.h"

namespace orchestrate {

using namespace operation_parts;

namespace {

constexpr std::int64_t kPanelsPerChunk = 4;

// A matrix, and whether its transpose is meant.
struct Side {
    Tensor matrix;
    bool transposed = false;

    Tensor view() const { return transposed ? matrix.t() : matrix; }
};

// result = left right, or result += left right.
void multiply_into(const Tensor& result, const Side& left, const Side& right, bool accumulate) {
    const Kernels& kernels = best_kernels();
    if (!kernels.fast_products) {
        Tensor target = result;
        if (accumulate) {
            target.addmm_(left.view(), right.view());
        } else {
            at::mm_out(target, left.view(), right.view());
        }
        return;
    }
    const MatrixProduct product{
        .rows = result.size(0),
        .columns = result.size(1),
        .depth = left.matrix.size(left.transposed ? 0 : 1),
        .left = data(left.matrix),
        .left_stride = left.matrix.stride(0),
        .left_transposed = left.transposed,
        .right = data(right.matrix),
        .right_stride = right.matrix.stride(0),
        .right_transposed = right.transposed,
        .result = mutable_data(result),
        .result_stride = result.stride(0),
        .accumulate = accumulate,
    };
    const Tensor packed = at::empty({packed_right_floats(product)}, at::kFloat);
    const std::int64_t panels = (product.columns + kProductColumns - 1) / kProductColumns;
    in_chunks(panels, chunks_for(panels, kPanelsPerChunk), [&](std::int64_t, RowRange range) {
        const std::int64_t end = std::min(product.columns, range.end * kProductColumns);
        kernels.pack_right({range.begin * kProductColumns, end}, product, mutable_data(packed));
    });
    const std::int64_t chunks = chunks_for(product.rows, kRowsPerChunk);
    const auto scratch = PerChunk::scratch(chunks, product_scratch_floats(product));
    in_chunks(product.rows, chunks, [&](std::int64_t chunk, RowRange range) {
        kernels.multiply(range, product, data(packed), scratch.of(chunk));
    });
}

struct ProjectBackward : Node {
    Tensor x;
    Tensor weight;
    Tensor weight_gradient;  // where it is collected; undefined: given to what made the weight

    variable_list apply(variable_list&& upstream) override {
        const Tensor gradient = upstream[0].contiguous();
        variable_list gradients(2);
        if (task_should_compute_output(1)) {
            const bool collected = weight_gradient.defined();
            const Tensor target = collected ? weight_gradient : at::empty_like(weight);
            multiply_into(target, {gradient, true}, {x, false}, collected);
            if (!collected) {
                gradients[1] = target;
            }
        }
        if (task_should_compute_output(0)) {
            gradients[0] = at::empty_like(x);
            multiply_into(gradients[0], {gradient, false}, {weight, false}, false);
        }
        return gradients;
    }
};

}  // namespace

Tensor Operations::project(const Tensor& x, const Tensor& weight) const {
    return project(x, weight, {0, weight.size(0)});
}

Tensor Operations::project(const Tensor& x, const Tensor& weight, RowRange outputs) const {
    const std::int64_t count = outputs.end - outputs.begin;
    if (composite_) {
        return at::mm(x, weight.narrow(0, outputs.begin, count).t());
    }
    const Tensor plain_x = x.detach().contiguous();
    const Tensor plain_weight = weight.detach().narrow(0, outputs.begin, count);
    const Tensor output = at::empty({x.size(0), count}, at::kFloat);
    multiply_into(output, {plain_x, false}, {plain_weight, true}, false);
    if (wants_gradient({x, weight})) {
        auto node = std::make_shared<ProjectBackward>();
        node->x = plain_x;
        node->weight = plain_weight;
        if (weight.is_leaf() && weight.grad().defined()) {
            node->weight_gradient = weight.grad().narrow(0, outputs.begin, count);
            record(node, output, x, weight);
        } else {
            record(node, output, x, weight.narrow(0, outputs.begin, count));
        }
    }
    return output;
}

}  // namespace orchestrate
