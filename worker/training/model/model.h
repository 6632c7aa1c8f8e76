// A RoBERTa or BERT encoder with a classification head, as Hugging Face's RobertaForSequenceClassification and
// BertForSequenceClassification, over packed texts, with its ablations: layers left out, units masked, hidden states
// fused, tokens and windows pooled. Where only the first token of the last layer is read, only that is computed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/training/batches/unit_masks.h"
#include "worker/training/model/parameters.h"
#include "worker/training/operations/operations.h"

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

// What the units of a kind gave: [rows, columns], the columns of a unit side by side.
struct UnitOutput {
    Rows rows = Rows::tokens;
    at::Tensor values;
};

// What all units gave on the way to the logits, before anything is masked. With gradients on, each requires one.
struct UnitOutputs {
    std::vector<UnitOutput> heads;    // of each layer
    std::vector<UnitOutput> neurons;  // of each layer
    std::vector<UnitOutput> classifier;
};

class EncoderClassifier {
  public:
    // `parameters` must outlive the model.
    EncoderClassifier(Parameters& parameters, Operations operations);

    // Masks these units in place of those masked before: in effect their outputs are 0.
    void mask(const MaskedUnits& masked);

    // Logits [examples, classes]. With `inspection` or `unit_outputs`, it is filled; the logits are the same.
    at::Tensor logits(const BatchLayoutPtr& layout, std::optional<DropoutState> dropout,
                      Inspection* inspection = nullptr, UnitOutputs* unit_outputs = nullptr) const;

    const Operations& operations() const { return operations_; }

  private:
    struct Linear {
        at::Tensor weight;
        at::Tensor bias;
    };
    struct Layer {
        std::int64_t number = 0;  // in the whole model
        Linear query_key_value;
        Linear attention_output;
        NormTensors attention_norm;
        Linear intermediate;
        Linear output;
        NormTensors output_norm;
        at::Tensor kept_head_columns;  // [hidden], 0 where masked; undefined: nothing is
        at::Tensor kept_neurons;       // [intermediate]
    };
    // One call of logits.
    struct Pass {
        const BatchLayoutPtr& layout;
        const std::optional<DropoutState>& dropout;
        Inspection* inspection = nullptr;
        UnitOutputs* unit_outputs = nullptr;
    };

    at::Tensor encode_layer(const Pass& pass, const Layer& layer, const at::Tensor& x,
                            bool first_token_only) const;
    // Whether nothing but the first token of each text is wanted of the last layer.
    bool reads_first_rows_only(const Pass& pass) const;
    // One row per text.
    at::Tensor pool_tokens(const Pass& pass, const at::Tensor& x) const;
    at::Tensor fuse(const std::vector<at::Tensor>& states) const;
    at::Tensor head(const Pass& pass, const at::Tensor& x) const;
    at::Tensor activate(const at::Tensor& x) const;

    ModelConfig config_;
    Operations operations_;
    at::Tensor word_;
    at::Tensor position_;
    at::Tensor type_;
    NormTensors embedding_norm_;
    std::vector<Layer> layers_;
    std::vector<std::int64_t> read_states_;
    at::Tensor layer_weights_;  // of a learned fusion
    std::optional<Linear> hidden_;
    at::Tensor kept_units_;  // [head_width], 0 where masked; undefined: nothing is
    Linear projection_;
};

}  // namespace orchestrate
