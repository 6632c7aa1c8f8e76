#include "worker/training/operations/device_kernels.h"

#include <ATen/ATen.h>

#include "worker/training/operations/device_random.h"

namespace orchestrate {

namespace {

using at::Tensor;

Tensor keep(const RowDropout& dropout, std::int64_t columns) {
    return keyed_keep(dropout.rows, columns, dropout.dropout, dropout.key);
}

Tensor dropped(const Tensor& values, const RowDropout& dropout) {
    if (!dropout.dropout.enabled()) {
        return values;
    }
    return values * keep(dropout, values.size(1)).to(at::kFloat) * dropout.dropout.scale;
}

AddNormResult add_norm(const Tensor& values, const Tensor& bias, const Tensor& residual, const Tensor& gain,
                       const Tensor& norm_bias, double epsilon, const RowDropout& dropout) {
    const Tensor sum = dropped(values.to(at::kFloat) + bias, dropout) + residual;
    const auto [output, mean, rstd] = at::native_layer_norm(sum, {values.size(1)}, gain, norm_bias, epsilon);
    return {output.to(values.scalar_type()), ((sum - mean) * rstd).to(values.scalar_type()), rstd.view({-1})};
}

AddNormGradients add_norm_backward(const Tensor& gradient, const AddNormResult& forward, const Tensor& gain,
                                   const RowDropout& dropout) {
    const Tensor upstream = gradient.to(at::kFloat);
    const Tensor normalized = forward.normalized.to(at::kFloat);
    const Tensor scaled = upstream * gain;
    const Tensor of_sum = (scaled - scaled.mean(1, true) - normalized * (scaled * normalized).mean(1, true)) *
                          forward.rstd.unsqueeze(1);
    const Tensor of_values = dropped(of_sum, dropout);
    return {of_values.to(gradient.scalar_type()), of_sum.to(gradient.scalar_type()), of_values.sum(0),
            (upstream * normalized).sum(0), upstream.sum(0)};
}

Tensor bias_gelu(const Tensor& values, const Tensor& bias) {
    return at::gelu(values.to(at::kFloat) + bias).to(values.scalar_type());
}

std::pair<Tensor, Tensor> bias_gelu_backward(const Tensor& gradient, const Tensor& values,
                                             const Tensor& bias) {
    const Tensor of_values = at::gelu_backward(gradient.to(at::kFloat), values.to(at::kFloat) + bias);
    return {of_values.to(values.scalar_type()), of_values.sum(0)};
}

void add_product(const Tensor& target, const Tensor& left, const Tensor& right) {
    target.addmm_(left.t().to(at::kFloat), right.to(at::kFloat));
}

// --- comparing ---

constexpr std::int64_t kRows = 70;
constexpr std::int64_t kColumns = 192;

// Numbers between -1 and 1 without a random generator.
Tensor waves(at::IntArrayRef shape, double step, at::Device device, at::ScalarType type) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) {
        count *= extent;
    }
    return at::arange(count, at::TensorOptions(at::kDouble)).mul(step).sin().view(shape).to(device, type);
}

bool is_close(const Tensor& found, const Tensor& expected, double tolerance) {
    if (found.sizes() != expected.sizes() || found.scalar_type() != expected.scalar_type()) {
        return false;
    }
    const Tensor wanted = expected.to(at::kDouble);
    const double scale = std::max(1e-6, wanted.abs().max().item<double>());
    return (found.to(at::kDouble) - wanted).abs().max().item<double>() <= tolerance * scale;
}

class Comparison {
  public:
    Comparison(DeviceKernels& found, at::Device device) : found_(found), device_(device) {}

    std::vector<std::string> run() {
        check(
            "dropout masks", [this] { return masks_agree(); }, [this] { found_.keep = plain_.keep; });
        check(
            "dropout + residual + norm", [this] { return norms_agree(); },
            [this] {
                found_.add_norm = plain_.add_norm;
                found_.add_norm_backward = plain_.add_norm_backward;
            });
        check(
            "bias + GELU", [this] { return gelus_agree(); },
            [this] {
                found_.bias_gelu = plain_.bias_gelu;
                found_.bias_gelu_backward = plain_.bias_gelu_backward;
            });
        check(
            "products with bf16 operands summed in fp32", [this] { return products_agree(); },
            [this] { found_.add_product = plain_.add_product; });
        if (found_.flash_attention) {
            check(
                "flash attention", [this] { return attention_agrees(); },
                [this] {
                    found_.flash_attention = nullptr;
                    found_.flash_attention_backward = nullptr;
                });
        }
        return std::move(lines_);
    }

  private:
    void check(const std::string& what, const std::function<bool()>& agrees,
               const std::function<void()>& put_back) {
        std::string problem;
        try {
            if (agrees()) {
                return;
            }
            problem = "gives other numbers than LibTorch's operations";
        } catch (const c10::Error& error) {
            problem = error.what_without_backtrace();
        } catch (const std::exception& error) {
            problem = error.what();
        }
        put_back();
        lines_.push_back("warning: " + what + ": this device's kernel is not used: " + problem);
    }

    RowDropout some_dropout() const {
        const auto options = at::TensorOptions(at::kInt).device(device_);
        RowDropout dropout;
        dropout.rows = {at::arange(kRows, options).div(7, "floor").to(at::kInt),
                        at::arange(kRows, options).remainder(7).to(at::kInt)};
        dropout.dropout = make_dropout(5, 9, 0x10001, 0.1);
        dropout.key = at::tensor({0x12345678, -0x12345678}, at::kInt).to(device_);
        return dropout;
    }

    bool masks_agree() const {
        const RowDropout dropout = some_dropout();
        for (const std::int64_t columns : {kColumns, kColumns - 27}) {
            if (!found_.keep(dropout, columns).equal(plain_.keep(dropout, columns))) {
                return false;
            }
        }
        return true;
    }

    bool norms_agree() const {
        for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
            const double tolerance = type == at::kFloat ? 1e-5 : 2e-2;
            const Tensor values = waves({kRows, kColumns}, 0.7, device_, type);
            const Tensor residual = waves({kRows, kColumns}, 0.31, device_, type);
            const Tensor gradient = waves({kRows, kColumns}, 0.17, device_, type);
            const Tensor bias = waves({kColumns}, 0.5, device_, at::kFloat);
            const Tensor gain = waves({kColumns}, 0.9, device_, at::kFloat);
            for (const RowDropout& dropout : {RowDropout{}, some_dropout()}) {
                const auto found = found_.add_norm(values, bias, residual, gain, bias, 1e-5, dropout);
                const auto expected = plain_.add_norm(values, bias, residual, gain, bias, 1e-5, dropout);
                const auto of_found = found_.add_norm_backward(gradient, expected, gain, dropout);
                const auto of_expected = plain_.add_norm_backward(gradient, expected, gain, dropout);
                if (!is_close(found.output, expected.output, tolerance) ||
                    !is_close(found.normalized, expected.normalized, tolerance) ||
                    !is_close(found.rstd, expected.rstd, 1e-5) ||
                    !is_close(of_found.values, of_expected.values, tolerance) ||
                    !is_close(of_found.residual, of_expected.residual, tolerance) ||
                    !is_close(of_found.bias, of_expected.bias, 1e-4) ||
                    !is_close(of_found.gain, of_expected.gain, 1e-4) ||
                    !is_close(of_found.norm_bias, of_expected.norm_bias, 1e-4)) {
                    return false;
                }
            }
        }
        return true;
    }

    bool gelus_agree() const {
        for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
            const double tolerance = type == at::kFloat ? 1e-5 : 2e-2;
            const Tensor values = waves({kRows, kColumns}, 0.7, device_, type) * 3;
            const Tensor gradient = waves({kRows, kColumns}, 0.17, device_, type);
            const Tensor bias = waves({kColumns}, 0.5, device_, at::kFloat);
            const auto found = found_.bias_gelu_backward(gradient, values, bias);
            const auto expected = plain_.bias_gelu_backward(gradient, values, bias);
            if (!is_close(found_.bias_gelu(values, bias), plain_.bias_gelu(values, bias), tolerance) ||
                !is_close(found.first, expected.first, tolerance) ||
                !is_close(found.second, expected.second, 1e-4)) {
                return false;
            }
        }
        return true;
    }

    bool products_agree() const {
        for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
            const Tensor left = waves({kRows, kColumns}, 0.7, device_, type);
            const Tensor right = waves({kRows, 64}, 0.3, device_, type);
            const Tensor found = waves({kColumns + 5, 64}, 0.1, device_, at::kFloat);
            const Tensor expected = found.clone();
            found_.add_product(found.narrow(0, 5, kColumns), left, right);
            plain_.add_product(expected.narrow(0, 5, kColumns), left, right);
            if (!is_close(found, expected, type == at::kFloat ? 1e-5 : 1e-4)) {
                return false;
            }
        }
        return true;
    }

    // Two texts, of 1 and 69 rows.
    bool attention_agrees() const {
        constexpr std::int64_t kHeads = 3;
        const Tensor all = waves({kRows, 3, kHeads, 64}, 0.7, device_, at::kBFloat16);
        const Tensor gradient = waves({kRows, kHeads, 64}, 0.3, device_, at::kBFloat16);
        const Tensor begin = at::tensor({0, 1, static_cast<int>(kRows)}, at::kInt).to(device_);
        const VariedLengths lengths{begin, begin, kRows, kRows};
        const Tensor query = all.select(1, 0);
        const Tensor key = all.select(1, 1);
        const Tensor value = all.select(1, 2);
        const FlashResult found = found_.flash_attention(query, key, value, lengths);
        const FlashGradients of_found =
            found_.flash_attention_backward(gradient, query, key, value, found, lengths);
        for (const auto& [first, rows] : {std::pair<std::int64_t, std::int64_t>{0, 1}, {1, kRows - 1}}) {
            const auto part = [first = first, rows = rows](const Tensor& x) {
                return x.narrow(0, first, rows).transpose(0, 1).to(at::kFloat);
            };
            const Tensor weights = (at::matmul(part(query), part(key).transpose(1, 2)) / 8.0).softmax(-1);
            const Tensor of_output = part(gradient);
            const Tensor of_weights = at::matmul(of_output, part(value).transpose(1, 2));
            const Tensor of_scores = weights * (of_weights - (of_weights * weights).sum(-1, true)) / 8.0;
            if (!is_close(part(found.output), at::matmul(weights, part(value)), 2e-2) ||
                !is_close(part(of_found.value), at::matmul(weights.transpose(1, 2), of_output), 3e-2) ||
                !is_close(part(of_found.query), at::matmul(of_scores, part(key)), 5e-2) ||
                !is_close(part(of_found.key), at::matmul(of_scores.transpose(1, 2), part(query)), 5e-2)) {
                // A text of one row has no gradient of query and key.
                if (rows > 1) {
                    return false;
                }
            }
        }
        return true;
    }

    DeviceKernels& found_;
    const DeviceKernels plain_ = plain_kernels();
    at::Device device_;
    std::vector<std::string> lines_;
};

}  // namespace

DeviceKernels plain_kernels() {
    DeviceKernels kernels;
    kernels.keep = keep;
    kernels.add_norm = add_norm;
    kernels.add_norm_backward = add_norm_backward;
    kernels.bias_gelu = bias_gelu;
    kernels.bias_gelu_backward = bias_gelu_backward;
    kernels.add_product = add_product;
    return kernels;
}

std::vector<std::string> self_check_kernels(DeviceKernels& found, at::Device device) {
    const at::NoGradGuard no_gradients;
    return Comparison(found, device).run();
}

}  // namespace orchestrate
