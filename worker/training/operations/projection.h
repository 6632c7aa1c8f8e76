// The product with a weight as part of an operation on the CPU: what the forward pass keeps of it, and its gradients.
#pragma once

#include "worker/training/operations/matrix_product.h"
#include "worker/training/operations/operation_parts.h"

namespace orchestrate::operation_parts {

// x weight^T, with some of the weight's rows.
class Projection {
  public:
    Projection() = default;
    Projection(const Tensor& x, const Tensor& weight, RowRange outputs, Precision precision)
        : x_(x.detach().contiguous()),
          weight_(weight.detach().narrow(0, outputs.begin, outputs.end - outputs.begin)),
          weight_gradient_(weight, outputs),
          precision_(precision) {}
    Projection(const Tensor& x, const Tensor& weight, Precision precision)
        : Projection(x, weight, {0, weight.size(0)}, precision) {}

    std::int64_t rows() const { return x_.size(0); }
    std::int64_t outputs() const { return weight_.size(0); }

    // x weight^T + bias (undefined: none) into `result`.
    void multiply(const Tensor& result, const Tensor& bias) const {
        multiply_into(result, {x_, false}, {weight_, true}, precision_, bias);
    }
    void multiply(const Tensor& result, const RowWork& work) const {
        multiply_by_rows(result, {x_, false}, {weight_, true}, precision_, work);
    }

    // The weight as an edge of the graph, in the order of the gradients below.
    Tensor edge(const Tensor& weight, RowRange outputs) const {
        return weight_gradient_.is_collected() ? weight
                                               : weight.narrow(0, outputs.begin, outputs.end - outputs.begin);
    }

    struct Wanted {
        bool x = false;
        bool weight = false;
    };
    struct Gradients {
        Tensor x;       // undefined: not wanted
        Tensor weight;  // undefined: not wanted, or collected
    };
    // Of what a gradient of the product gives; `make_rows`, if any, writes its rows before they are read.
    Gradients backward(const Tensor& gradient, Wanted wanted,
                       const std::function<void(std::int64_t, RowRange)>& make_rows = nullptr) const {
        Gradients result;
        if (wanted.x) {
            result.x = at::empty_like(x_);
            multiply_by_rows(result.x, {gradient, false}, {weight_, false}, precision_, {make_rows, nullptr});
        } else if (make_rows) {
            in_chunks(rows(), product_chunks(rows()), make_rows);
        }
        if (wanted.weight && weight_gradient_.is_collected()) {
            add_product_to(weight_gradient_.sum(), {gradient, true}, {x_, false}, precision_);
        } else if (wanted.weight) {
            result.weight = at::empty_like(weight_);
            multiply_into(result.weight, {gradient, true}, {x_, false}, precision_);
        }
        return result;
    }

  private:
    Tensor x_;
    Tensor weight_;
    InputGradient weight_gradient_;
    Precision precision_ = Precision::fp32;
};

}  // namespace orchestrate::operation_parts
