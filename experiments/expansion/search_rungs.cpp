#include "experiments/expansion/search_rungs.h"

#include <algorithm>

#include <fmt/format.h>

namespace orchestrate {
namespace {

constexpr std::size_t kMaxRungs = 64;

}  // namespace

void resolve_rungs(Settings& settings, const GivenFields& given, const std::vector<Distribution>& space,
                   Diagnostics& diagnostics) {
    auto& search = settings.search;
    const auto epochs = settings.job.train.epochs;
    const auto place_of = [&](const std::string& field) { return given.at(field).where; };
    const bool has_rungs = given.contains("search.rungs");
    const bool has_least = given.contains("search.min_epochs") && search.min_epochs > 0;
    if (!has_rungs && !has_least) {
        for (const std::string field : {"search.reduction_factor", "search.deterministic"}) {
            if (given.contains(field)) {
                diagnostics.error(place_of(field), field +
                                                       " is of successive halving; expected search.rungs or "
                                                       "search.min_epochs beside it");
            }
        }
        return;
    }
    if (has_rungs && has_least) {
        diagnostics.error(place_of("search.min_epochs"),
                          "search.min_epochs and search.rungs contradict each other; expected one of them");
        return;
    }
    if (has_rungs && search.rungs.empty()) {
        return;  // reported
    }
    const auto where = place_of(has_rungs ? "search.rungs" : "search.min_epochs");
    for (const auto& distribution : space) {
        if (distribution.field->path == "train.epochs") {
            diagnostics.error(
                distribution.where,
                "train.epochs is searched, but successive halving compares trials after equal "
                "epochs of trainings that are equally long; expected train.epochs in [train] alone");
        }
    }
    if (search.select_by.part == MetricPart::test) {
        diagnostics.error(
            where,
            "successive halving compares trials that are not tested yet; expected search.select_by "
            "= \"validation ...\"");
    }
    for (std::int64_t rung = search.min_epochs; has_least && rung < epochs && search.rungs.size() < kMaxRungs;
         rung *= search.reduction_factor) {
        search.rungs.push_back(rung);
    }
    if (has_rungs && search.rungs.back() == epochs) {
        search.rungs.pop_back();  // the end is no rung
    }
    if (search.rungs.empty() || search.rungs.back() >= epochs) {
        diagnostics.error(where,
                          fmt::format("no trial is stopped before its end: train.epochs is {}; expected "
                                      "rungs below it",
                                      epochs));
    }
}

ExpectedEpochs expected_epochs(const Halving& halving, std::int64_t trials, std::int64_t epochs) {
    ExpectedEpochs expected;
    expected.without = trials * epochs;
    std::int64_t reached = 0;
    std::int64_t going_on = trials;
    for (const auto rung : halving.rungs) {
        expected.with_rungs += going_on * (rung - reached);
        reached = rung;
        going_on = std::max<std::int64_t>(1, going_on / halving.reduction_factor);
    }
    expected.with_rungs += std::min(going_on, trials) * (epochs - reached);
    return expected;
}

}  // namespace orchestrate
