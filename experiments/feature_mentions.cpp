#include "experiments/feature_mentions.h"

namespace orchestrate {
namespace {

void add_mentions(const Value& names, std::vector<ColumnMention>& mentions) {
    if (names.as_text()) {
        mentions.push_back({*names.as_text(), names.where});
    } else if (const auto* list = names.as_list()) {
        for (const auto& item : *list) {
            if (item.as_text()) {
                mentions.push_back({*item.as_text(), item.where});
            }
        }
    }
}

void add_mentions(const std::vector<Edit>& edits, std::vector<ColumnMention>& mentions) {
    for (const auto& edit : edits) {
        if (edit.kind == Edit::Kind::add) {
            for (const auto& feature : edit.features) {
                mentions.push_back({feature, edit.where});
            }
        } else if (edit.kind == Edit::Kind::set && edit.field->path == "data.features") {
            add_mentions(edit.value, mentions);
        }
    }
}

}  // namespace

std::vector<ColumnMention> feature_mentions(const GivenFields& given, const Study::Plan& plan) {
    std::vector<ColumnMention> mentions;
    if (const auto features = given.find("data.features"); features != given.end()) {
        add_mentions(features->second, mentions);
    }
    for (const auto& distribution : plan.space) {
        if (distribution.field->path == "data.features") {
            for (const auto& choice : distribution.choices) {
                add_mentions(choice, mentions);
            }
        }
    }
    for (const auto& entry : plan.ablations) {
        for (const auto& factor : entry.factors) {
            for (const auto& alternative : factor.alternatives) {
                add_mentions(alternative.edits, mentions);
            }
        }
    }
    return mentions;
}

}  // namespace orchestrate
