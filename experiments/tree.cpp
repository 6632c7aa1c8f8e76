// `orchestrate plan --tree`: a study as a tree of stages, ablations and variants.
#include "experiments/tree.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "experiments/expansion/study.h"
#include "experiments/expansion/study_plan.h"

namespace orchestrate {
namespace {

constexpr std::size_t kMaxShown = 12;  // variants of one ablation, or choices of one field

struct Node {
    std::string text;
    std::vector<Node> children;
};

std::size_t jobs_of(const std::vector<const Variant*>& variants) {
    std::size_t jobs = 0;
    for (const Variant* variant : variants) {
        jobs += variant->runs.size();
    }
    return jobs;
}

std::string drawn_from(const Distribution& distribution) {
    using Kind = Distribution::Kind;
    std::string text;
    if (distribution.kind == Kind::choice) {
        for (std::size_t i = 0; i < std::min(distribution.choices.size(), kMaxShown); ++i) {
            text += (i == 0 ? "" : ", ") + write_inline_toml(distribution.choices[i]);
        }
        text += distribution.choices.size() > kMaxShown
                    ? fmt::format(" and {} more", distribution.choices.size() - kMaxShown)
                    : "";
    } else if (distribution.kind == Kind::integer) {
        text = fmt::format("{} to {}", distribution.first_integer, distribution.last_integer);
        text += distribution.step > 0 ? fmt::format(", in steps of {}", distribution.integer_step) : "";
    } else {
        text = fmt::format("{} to {}{}", distribution.low, distribution.high,
                           distribution.kind == Kind::log_uniform ? ", evenly in logarithm" : "");
        text += distribution.step > 0 ? fmt::format(", in steps of {}", distribution.step) : "";
    }
    for (const auto& condition : distribution.when) {
        text += ", when " + condition.field->path + " is " + join_alternatives(condition.values);
    }
    return distribution.field->path + ": " + text;
}

// The ensembles of a stage, behind its variants.
void add_ensembles(const Study& study, const Stage& stage, Node& node) {
    for (const auto& ensemble : study.ensembles) {
        if (ensemble.stage == stage.name) {
            node.children.push_back({ensemble.name +
                                         (ensemble.name == ensemble.change ? "" : ": " + ensemble.change) +
                                         " (computed)",
                                     {}});
        }
    }
}

Node variant_node(const Variant& variant) {
    return {fmt::format("{}: {} ({})", variant.name, variant.change, counted(variant.runs.size(), "job")),
            {}};
}

Node search_node(const Stage& stage, const Study& study, const std::vector<const Variant*>& trials) {
    const auto& search = study.plan->settings.search;
    Node node;
    node.text =
        fmt::format("{}: {} ({}), {}", stage.name, counted(trials.size(), "trial"),
                    search.method == SearchMethod::random ? fmt::format("random, seed {}", search.seed)
                                                          : to_string(search.method),
                    counted(jobs_of(trials), "job"));
    for (const auto& distribution : study.plan->space) {
        node.children.push_back({drawn_from(distribution), {}});
    }
    if (!stage.halving.rungs.empty()) {
        std::vector<std::string> rungs;
        for (const auto rung : stage.halving.rungs) {
            rungs.push_back(fmt::format("{}", rung));
        }
        node.children.push_back(
            {fmt::format("1 in {} goes on after epoch {}", stage.halving.reduction_factor, join_and(rungs)),
             {}});
    }
    add_ensembles(study, stage, node);
    return node;
}

// The keys of an [[ablation]] that say what it makes.
std::string keys_of(const AblationEntry& entry) {
    std::string text;
    for (const auto& factor : entry.factors) {
        text += (text.empty() ? "" : " x ") + factor.key;
    }
    return text;
}

Node ablation_node(const Stage& stage, const Study& study, const std::vector<const Variant*>& variants) {
    Node node;
    node.text = fmt::format("{}: {}, {}", stage.name, counted(variants.size(), "variant"),
                            counted(jobs_of(variants), "job"));
    std::vector<std::vector<const Variant*>> of_entry(study.plan->ablations.size());
    for (const Variant* variant : variants) {
        if (variant->entry >= 0) {
            of_entry[static_cast<std::size_t>(variant->entry)].push_back(variant);
        } else {
            node.children.push_back(variant_node(*variant));
        }
    }
    for (std::size_t i = 0; i < of_entry.size(); ++i) {
        const auto& made = of_entry[i];
        if (made.empty()) {
            continue;
        }
        Node entry;
        entry.text = fmt::format("{}: {}, {}", keys_of(study.plan->ablations[i]),
                                 counted(made.size(), "variant"), counted(jobs_of(made), "job"));
        for (std::size_t k = 0; k < std::min(made.size(), kMaxShown); ++k) {
            entry.children.push_back(variant_node(*made[k]));
        }
        if (made.size() > kMaxShown) {
            entry.children.push_back({fmt::format("... and {} more", made.size() - kMaxShown), {}});
        }
        node.children.push_back(std::move(entry));
    }
    add_ensembles(study, stage, node);
    return node;
}

void write(const Node& node, const std::string& first, const std::string& further, std::string& text) {
    text += first + node.text + "\n";
    for (std::size_t i = 0; i < node.children.size(); ++i) {
        const bool is_last = i + 1 == node.children.size();
        write(node.children[i], further + (is_last ? "└─ " : "├─ "), further + (is_last ? "   " : "│  "),
              text);
    }
}

}  // namespace

std::string render_tree(const Study& study) {
    Node root;
    root.text = study.name;
    for (const auto& stage : study.stages) {
        const auto variants = study.expand(stage, study.base);
        std::vector<const Variant*> shown;
        for (const auto& variant : variants) {
            shown.push_back(&variant);
        }
        root.children.push_back(stage.kind == StageKind::search ? search_node(stage, study, shown)
                                                                : ablation_node(stage, study, shown));
    }
    std::string text;
    write(root, "", "", text);
    return text;
}

}  // namespace orchestrate
