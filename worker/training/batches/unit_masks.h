// Which attention heads, feed-forward neurons and classifier units a job masks: those it names, and a share of
// each layer's, drawn by a seed or lowest by a score. Free of torch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/job/job_config.h"

namespace orchestrate {

// Something of each unit of each layer: [layer][unit].
template <class T>
using OfUnits = std::vector<std::vector<T>>;

// The three kinds of units, by layer that the model has (used_layers); the classifier has one layer or none.
template <class T>
struct OfAllUnits {
    OfUnits<T> heads;
    OfUnits<T> neurons;
    OfUnits<T> classifier;
    bool operator==(const OfAllUnits&) const = default;
};

using MaskedUnits = OfAllUnits<char>;  // 1: masked
using UnitScores = OfAllUnits<double>;

// Of the model's shape.
MaskedUnits no_masked_units(const ModelConfig& model);

// Those that are named, and random shares. A random share depends on the mask's seed, its kind of unit and the
// layer's number; a larger one holds the smaller one.
MaskedUnits masked_without_scores(const ModelConfig& model);

bool needs_scores(const ModelConfig& model);

// Adds the shares of the lowest scores, of equal ones the first; units that are masked already do not count.
// Only the scores of masks with such a choice are read.
void mask_lowest(const ModelConfig& model, const UnitScores& scores, MaskedUnits& masked);

// "3 of 8 attention heads masked: 0.1, 1.2-3", one line per kind that has any; layers by number.
std::vector<std::string> describe(const ModelConfig& model, const MaskedUnits& masked);

}  // namespace orchestrate
