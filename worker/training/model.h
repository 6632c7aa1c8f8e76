// A RoBERTa or BERT encoder with a classification head, as Hugging Face's RobertaForSequenceClassification and
// BertForSequenceClassification, over packed texts. Where only the first token of the last layer is read, only that is computed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/training/operations.h"
#include "worker/training/parameters.h"

namespace orchestrate {

// The random masks of one optimiser step. Absent: evaluation, nothing is dropped.
struct DropoutState {
    std::uint64_t seed = 0;
    std::int64_t step = 0;  // 0-based
};

// What the model computes on its way, for looking at it: of all tokens, padding left out.
struct Inspection {
    std::vector<at::Tensor> hidden_states;  // the embeddings and each layer's output, [tokens, hidden]
    std::vector<at::Tensor> attentions;     // each layer's probabilities, [texts, heads, longest, longest]
};

class EncoderClassifier {
  public:
    // `parameters` must outlive the model.
    EncoderClassifier(Parameters& parameters, Operations operations);

    // Logits [texts, classes]. With `inspection`, it is filled; the logits are the same.
    at::Tensor logits(const BatchLayoutPtr& layout, std::optional<DropoutState> dropout,
                      Inspection* inspection = nullptr) const;

  private:
    struct Linear {
        at::Tensor weight;
        at::Tensor bias;
    };
    struct Layer {
        Linear query_key_value;
        Linear attention_output;
        NormTensors attention_norm;
        Linear intermediate;
        Linear output;
        NormTensors output_norm;
    };

    at::Tensor encode_layer(const BatchLayoutPtr& layout, std::size_t index, const at::Tensor& x,
                            bool first_token_only, const std::optional<DropoutState>& dropout,
                            at::Tensor* probabilities) const;
    at::Tensor head(const BatchLayoutPtr& layout, const at::Tensor& x,
                    const std::optional<DropoutState>& dropout) const;
    at::Tensor activate(const at::Tensor& x) const;

    ModelConfig config_;
    Operations operations_;
    at::Tensor word_;
    at::Tensor position_;
    at::Tensor type_;
    NormTensors embedding_norm_;
    std::vector<Layer> layers_;
    std::optional<Linear> hidden_;
    Linear projection_;
};

}  // namespace orchestrate
