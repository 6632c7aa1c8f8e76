// The alternatives that a factor of an [[ablation]] makes of a baseline.
#include <algorithm>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "common/base/counter_random.h"
#include "common/job/command_arguments.h"
#include "common/job/used_layers.h"
#include "experiments/expansion/ablation.h"
#include "experiments/expansion/ablation_names.h"
#include "experiments/syntax/escaped_text.h"

namespace orchestrate {
namespace {

constexpr std::uint64_t kSubsetStream = 0x53554253455453;  // "SUBSETS"

// n over k, or more than kMaxVariants if it is more.
std::size_t subsets_of(std::size_t count, std::size_t size) {
    size = std::min(size, count - size);
    std::size_t result = 1;
    for (std::size_t i = 1; i <= size; ++i) {
        result = result * (count - size + i) / i;
        if (result > kMaxVariants) {
            return kMaxVariants + 1;
        }
    }
    return result;
}

// All subsets in lexical order of their places.
std::vector<std::vector<std::size_t>> all_subsets(std::size_t count, std::size_t size) {
    std::vector<std::vector<std::size_t>> result;
    std::vector<std::size_t> places(size);
    std::iota(places.begin(), places.end(), 0);
    for (;;) {
        result.push_back(places);
        std::size_t i = size;
        while (i > 0 && places[i - 1] == count - size + i - 1) {
            --i;
        }
        if (i == 0) {
            return result;
        }
        ++places[i - 1];
        for (; i < size; ++i) {
            places[i] = places[i - 1] + 1;
        }
    }
}

// Different subsets; a larger `wanted` keeps the first ones.
std::vector<std::vector<std::size_t>> drawn_subsets(std::size_t count, std::size_t size, std::size_t wanted,
                                                    std::uint64_t seed) {
    std::vector<std::vector<std::size_t>> result;
    std::set<std::vector<std::size_t>> seen;
    std::uint64_t counter = 0;
    while (result.size() < wanted) {
        std::vector<std::size_t> deck(count);
        std::iota(deck.begin(), deck.end(), 0);
        for (std::size_t i = 0; i < size; ++i) {
            const auto random = counter_random(seed, kSubsetStream, counter++);
            std::swap(deck[i], deck[i + random % (count - i)]);
        }
        deck.resize(size);
        std::sort(deck.begin(), deck.end());
        if (seen.insert(deck).second) {
            result.push_back(std::move(deck));
        }
    }
    return result;
}

class Alternatives {
  public:
    Alternatives(const Factor& factor, const JobConfig& baseline, std::size_t others,
                 Diagnostics& diagnostics)
        : factor_(factor), baseline_(baseline), others_(others), diagnostics_(diagnostics) {}

    std::vector<Alternative> make() {
        switch (factor_.kind) {
            case Factor::Kind::fixed:
                return count_fits(factor_.alternatives.size()) ? factor_.alternatives
                                                               : std::vector<Alternative>{};
            case Factor::Kind::subsets:
                return subsets();
            case Factor::Kind::keep_one:
                return keep_one();
            case Factor::Kind::leave_layers_out:
                return leave_layers_out();
            case Factor::Kind::leave_items_out:
            case Factor::Kind::keep_one_item:
                return items();
        }
        return {};
    }

  private:
    const std::vector<std::string>& features() const {
        return factor_.every_feature ? baseline_.data.features : factor_.features;
    }

    bool count_fits(std::size_t count) {
        if (count <= kMaxVariants && count * others_ <= kMaxVariants) {
            return true;
        }
        const std::string number = count > kMaxVariants && factor_.kind == Factor::Kind::subsets
                                       ? fmt::format("more than {}", kMaxVariants)
                                       : fmt::format("{}", count);
        diagnostics_.error(
            factor_.where,
            fmt::format("the factor {} makes {}{} variants; expected at most {}", factor_.key,
                        others_ > 1 ? fmt::format("{} x ", others_) : "", number, kMaxVariants));
        return false;
    }

    Alternative feature_alternative(Edit::Kind kind, std::vector<std::string> names) const {
        Edit edit;
        edit.kind = kind;
        edit.features = std::move(names);
        edit.where = factor_.where;
        return {"", {std::move(edit)}};
    }

    std::vector<Alternative> subsets() {
        const auto& names = features();
        const auto size = static_cast<std::size_t>(factor_.size);
        if (size > names.size() || (size == names.size() && factor_.every_feature)) {
            diagnostics_.error(
                factor_.where,
                fmt::format("{} leaves out {} of {} features, which leaves none; expected fewer", factor_.key,
                            size, names.size()));
            return {};
        }
        const std::size_t all = subsets_of(names.size(), size);
        const auto wanted = static_cast<std::size_t>(factor_.count);
        if (wanted > all) {
            diagnostics_.error(factor_.where,
                               fmt::format("{} wants {} subsets, but there are only {} of {} of "
                                           "{} features; expected at most that many",
                                           factor_.key, wanted, all, size, names.size()));
            return {};
        }
        if (!count_fits(wanted > 0 ? wanted : all)) {
            return {};
        }
        std::vector<Alternative> result;
        for (const auto& subset : wanted > 0 ? drawn_subsets(names.size(), size, wanted, factor_.seed)
                                             : all_subsets(names.size(), size)) {
            std::vector<std::string> left_out;
            for (const std::size_t place : subset) {
                left_out.push_back(names[place]);
            }
            result.push_back(feature_alternative(Edit::Kind::leave_out, std::move(left_out)));
        }
        return result;
    }

    std::vector<Alternative> keep_one() {
        std::vector<Alternative> result;
        if (count_fits(features().size())) {
            for (const auto& feature : features()) {
                result.push_back(feature_alternative(Edit::Kind::keep_only, {feature}));
            }
        }
        return result;
    }

    static Value item_value(const Json& item, const SourceSpan& where) {
        if (item.is_boolean()) {
            return {item.get<bool>(), where};
        }
        if (item.is_number_integer()) {
            return {item.get<std::int64_t>(), where};
        }
        return item.is_number() ? Value{item.get<double>(), where} : Value{item.get<std::string>(), where};
    }

    // Of a parameter that is a list: without each item, or with each alone.
    std::vector<Alternative> items() {
        std::vector<Alternative> result;
        const bool keeps = factor_.kind == Factor::Kind::keep_one_item;
        const std::string name = factor_.list->path.substr(factor_.list->path.find('.') + 1);
        const Json* list = find_parameter(baseline_.command->parameters, name);
        if (list == nullptr || list->size() < 2) {
            diagnostics_.error(factor_.where,
                               fmt::format("{} of {}, which has {} item(s); expected at least two",
                                           factor_.key, factor_.list->path, list ? list->size() : 0));
            return result;
        }
        if (!count_fits(list->size())) {
            return result;
        }
        for (std::size_t chosen = 0; chosen < list->size(); ++chosen) {
            std::vector<Value> rest;
            for (std::size_t i = 0; i < list->size(); ++i) {
                if ((i == chosen) == keeps) {
                    rest.push_back(item_value((*list)[i], factor_.where));
                }
            }
            Edit edit;
            edit.field = factor_.list;
            edit.value = {std::move(rest), factor_.where};
            edit.where = factor_.where;
            result.push_back(
                {(keeps ? "only " : "without ") + readable_column(escaped_text(as_argument((*list)[chosen]))),
                 {std::move(edit)}});
        }
        return result;
    }

    std::vector<Alternative> leave_layers_out() {
        const auto layers = kept_layers(baseline_.model);
        std::vector<Alternative> result;
        if (layers.size() < 2) {
            diagnostics_.error(factor_.where, factor_.key +
                                                  " of the only encoder layer leaves none; expected a model "
                                                  "of at least two layers");
            return result;
        }
        if (!count_fits(layers.size())) {
            return result;
        }
        for (const auto left_out : layers) {
            std::vector<Value> rest;
            for (const auto layer : layers) {
                if (layer != left_out) {
                    rest.push_back({layer, factor_.where});
                }
            }
            Edit edit;
            edit.field = find_field("model.kept_layers");
            edit.value = {std::move(rest), factor_.where};
            edit.where = factor_.where;
            result.push_back({fmt::format("without layer {}", left_out), {std::move(edit)}});
        }
        return result;
    }

    const Factor& factor_;
    const JobConfig& baseline_;
    std::size_t others_;
    Diagnostics& diagnostics_;
};

}  // namespace

std::vector<Alternative> alternatives_of(const Factor& factor, const JobConfig& baseline, std::size_t others,
                                         Diagnostics& diagnostics) {
    return Alternatives(factor, baseline, others, diagnostics).make();
}

}  // namespace orchestrate
