#include "worker/training/operations/fused_kernels.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace orchestrate {

namespace {

using at::Tensor;

constexpr std::int64_t kThreads = 128;  // of a block
constexpr std::int64_t kWarp = 32;
constexpr std::int64_t kWidestNorm = 1024;  // wider ones need more registers than there are

std::int64_t divided_up(std::int64_t value, std::int64_t divisor) {
    return (value + divisor - 1) / divisor;
}

// An argument of a kernel; `at` must outlive the launch.
template <class T>
void* at(T& argument) {
    return const_cast<std::remove_const_t<T>*>(&argument);
}

void* data_of(const Tensor& tensor) {
    return tensor.defined() ? tensor.data_ptr() : nullptr;
}

// The parameters that all kernels with dropout have.
struct DropoutArguments {
    Tensor examples;  // keep the memory
    Tensor positions;
    void* example = nullptr;
    void* position = nullptr;
    void* key = nullptr;
    std::uint32_t site = 0;
    std::uint32_t threshold = 0;
    float scale = 1;

    explicit DropoutArguments(const RowDropout& dropout)
        : site(dropout.dropout.site), threshold(dropout.dropout.threshold), scale(dropout.dropout.scale) {
        if (dropout.dropout.enabled()) {
            examples = dropout.rows.example.contiguous();
            positions = dropout.rows.position.contiguous();
            example = data_of(examples);
            position = data_of(positions);
            key = data_of(dropout.key);
        }
    }
};

class FusedKernels {
  public:
    explicit FusedKernels(std::shared_ptr<KernelLauncher> launcher) : launcher_(std::move(launcher)) {}

    Tensor keep(const RowDropout& dropout, std::int64_t columns) const {
        DropoutArguments drop(dropout);
        std::int64_t rows = dropout.rows.example.size(0);
        Tensor kept = at::empty({rows, columns}, dropout.rows.example.options().dtype(at::kBool));
        auto int_columns = static_cast<std::int32_t>(columns);
        void* out = data_of(kept);
        void* arguments[] = {at(drop.example), at(drop.position),  at(drop.key),
                             at(drop.site),    at(drop.threshold), at(drop.scale),
                             at(rows),         at(int_columns),    at(out)};
        const std::int64_t threads = rows * divided_up(columns, 64) * 8;
        launch({}, "keep", {divided_up(threads, kThreads), 1, kThreads}, rows, arguments);
        return kept;
    }

    AddNormResult add_norm(const Tensor& values, const Tensor& bias, const Tensor& residual,
                           const Tensor& gain, const Tensor& norm_bias, double epsilon,
                           const RowDropout& dropout) const {
        if (!can_norm(values) || residual.scalar_type() != values.scalar_type()) {
            return plain_.add_norm(values, bias, residual, gain, norm_bias, epsilon, dropout);
        }
        DropoutArguments drop(dropout);
        std::int64_t rows = values.size(0);
        AddNormResult result{at::empty_like(values), at::empty_like(values),
                             at::empty({rows}, values.options().dtype(at::kFloat))};
        void* in_values = data_of(values);
        void* in_bias = data_of(bias);
        void* in_residual = data_of(residual);
        void* in_gain = data_of(gain);
        void* in_norm_bias = data_of(norm_bias);
        auto float_epsilon = static_cast<float>(epsilon);
        void* output = data_of(result.output);
        void* normalized = data_of(result.normalized);
        void* inverse = data_of(result.rstd);
        void* arguments[] = {at(in_values),    at(in_bias),       at(in_residual),    at(in_gain),
                             at(in_norm_bias), at(float_epsilon), at(drop.example),   at(drop.position),
                             at(drop.key),     at(drop.site),     at(drop.threshold), at(drop.scale),
                             at(rows),         at(output),        at(normalized),     at(inverse)};
        launch(norm_variant(values), "add_norm", {divided_up(rows, kThreads / kWarp), 1, kThreads}, rows,
               arguments);
        return result;
    }

    AddNormGradients add_norm_backward(const Tensor& gradient, const AddNormResult& forward,
                                       const Tensor& gain, const RowDropout& dropout) const {
        if (!can_norm(gradient)) {
            return plain_.add_norm_backward(gradient, forward, gain, dropout);
        }
        constexpr std::int64_t kRowsPerWarp = 4;  // at least: sums of few rows are not worth their place
        DropoutArguments drop(dropout);
        std::int64_t rows = gradient.size(0);
        const std::int64_t columns = gradient.size(1);
        const std::int64_t warps = std::clamp<std::int64_t>(rows / kRowsPerWarp, 1, launcher_->warps());
        const std::int64_t blocks = divided_up(warps, kThreads / kWarp);
        const Tensor of_values = at::empty_like(gradient);
        const Tensor of_residual = at::empty_like(gradient);
        const Tensor partial =
            at::empty({blocks * (kThreads / kWarp), 3, columns}, gain.options().dtype(at::kFloat));
        void* in_gradient = data_of(gradient);
        void* normalized = data_of(forward.normalized);
        void* inverse = data_of(forward.rstd);
        void* in_gain = data_of(gain);
        void* out_values = data_of(of_values);
        void* out_residual = data_of(of_residual);
        void* out_partial = data_of(partial);
        void* arguments[] = {at(in_gradient),    at(normalized),    at(inverse),  at(in_gain),
                             at(drop.example),   at(drop.position), at(drop.key), at(drop.site),
                             at(drop.threshold), at(drop.scale),    at(rows),     at(out_values),
                             at(out_residual),   at(out_partial)};
        launch(norm_variant(gradient), "add_norm_backward", {blocks, 1, kThreads}, rows, arguments);
        const Tensor sums = partial.sum(0);
        return {of_values, of_residual, sums.select(0, 0), sums.select(0, 1), sums.select(0, 2)};
    }

    Tensor bias_gelu(const Tensor& values, const Tensor& bias) const {
        if (values.size(1) % 2 != 0) {
            return plain_.bias_gelu(values, bias);
        }
        std::int64_t rows = values.size(0);
        Tensor result = at::empty_like(values);
        auto columns = static_cast<std::int32_t>(values.size(1));
        void* in_values = data_of(values);
        void* in_bias = data_of(bias);
        void* output = data_of(result);
        void* arguments[] = {at(in_values), at(in_bias), at(rows), at(columns), at(output)};
        launch(variant(values), "bias_gelu", by_columns(rows, columns), rows, arguments);
        return result;
    }

    std::pair<Tensor, Tensor> bias_gelu_backward(const Tensor& gradient, const Tensor& values,
                                                 const Tensor& bias) const {
        if (values.size(1) % 2 != 0) {
            return plain_.bias_gelu_backward(gradient, values, bias);
        }
        std::int64_t rows = values.size(0);
        const Tensor of_values = at::empty_like(values);
        auto columns = static_cast<std::int32_t>(values.size(1));
        const LaunchShape shape = by_columns(rows, columns);
        const Tensor partial = at::empty({shape.blocks_y, columns}, bias.options());
        void* in_gradient = data_of(gradient);
        void* in_values = data_of(values);
        void* in_bias = data_of(bias);
        void* out_values = data_of(of_values);
        void* out_partial = data_of(partial);
        void* arguments[] = {at(in_gradient), at(in_values),  at(in_bias),    at(rows),
                             at(columns),     at(out_values), at(out_partial)};
        launch(variant(values), "bias_gelu_backward", shape, rows, arguments);
        return {of_values, partial.sum(0)};
    }

  private:
    static bool can_norm(const Tensor& values) {
        return values.size(1) % 2 == 0 && values.size(1) <= kWidestNorm;
    }
    static KernelVariant variant(const Tensor& values) { return {values.scalar_type() == at::kBFloat16}; }
    static KernelVariant norm_variant(const Tensor& values) {
        return {values.scalar_type() == at::kBFloat16, values.size(1)};
    }

    // Two columns a thread; as many rows at a time as keep the device busy.
    LaunchShape by_columns(std::int64_t rows, std::int64_t columns) const {
        constexpr std::int64_t kRowsPerBlock = 4;  // at least
        const std::int64_t blocks = divided_up(columns, 2 * kThreads);
        const std::int64_t most =
            std::max<std::int64_t>(1, launcher_->warps() / (blocks * (kThreads / kWarp)));
        return {blocks, std::clamp<std::int64_t>(rows / kRowsPerBlock, 1, most), kThreads};
    }

    void launch(const KernelVariant& variant, const char* kernel, const LaunchShape& shape, std::int64_t rows,
                void** arguments) const {
        if (rows > 0) {
            launcher_->launch(variant, kernel, shape, arguments);
        }
    }

    std::shared_ptr<KernelLauncher> launcher_;
    DeviceKernels plain_ = plain_kernels();
};

}  // namespace

DeviceKernels fused_kernels(std::shared_ptr<KernelLauncher> launcher) {
    const auto fused = std::make_shared<const FusedKernels>(std::move(launcher));
    DeviceKernels kernels = plain_kernels();
    kernels.keep = [fused](const RowDropout& dropout, std::int64_t columns) {
        return fused->keep(dropout, columns);
    };
    kernels.add_norm = [fused](const Tensor& values, const Tensor& bias, const Tensor& residual,
                               const Tensor& gain, const Tensor& norm_bias, double epsilon,
                               const RowDropout& dropout) {
        return fused->add_norm(values, bias, residual, gain, norm_bias, epsilon, dropout);
    };
    kernels.add_norm_backward = [fused](const Tensor& gradient, const AddNormResult& forward,
                                        const Tensor& gain, const RowDropout& dropout) {
        return fused->add_norm_backward(gradient, forward, gain, dropout);
    };
    kernels.bias_gelu = [fused](const Tensor& values, const Tensor& bias) {
        return fused->bias_gelu(values, bias);
    };
    kernels.bias_gelu_backward = [fused](const Tensor& gradient, const Tensor& values, const Tensor& bias) {
        return fused->bias_gelu_backward(gradient, values, bias);
    };
    return kernels;
}

}  // namespace orchestrate
