#include "experiments/expansion/ablation_names.h"

#include <algorithm>

#include "experiments/syntax/escaped_text.h"

namespace orchestrate {
namespace {

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const auto& part : parts) {
        text += (text.empty() ? "" : ", ") + part;
    }
    return text;
}

// The features of all edits of a kind, with a word before them.
void add_features(Edit::Kind kind, const std::string& word, const std::vector<const Edit*>& edits,
                  std::vector<std::string>* names, std::vector<std::string>& changes) {
    std::vector<std::string> columns;
    std::vector<std::string> readable;
    for (const Edit* edit : edits) {
        if (edit->kind == kind) {
            for (const auto& feature : edit->features) {
                columns.push_back(escaped_text(feature));
                readable.push_back(readable_column(escaped_text(feature)));
            }
        }
    }
    if (columns.empty()) {
        return;
    }
    if (names) {
        names->push_back(word + " " + join_and(readable));
    }
    changes.push_back("data.features " + word + " " + join_and(columns));
}

// `names` is null where the edits have a name already.
void describe_edits(const std::vector<const Edit*>& edits, const Settings& after,
                    std::vector<std::string>* names, std::vector<std::string>& changes) {
    add_features(Edit::Kind::keep_only, "only", edits, names, changes);
    add_features(Edit::Kind::leave_out, "without", edits, names, changes);
    add_features(Edit::Kind::add, "with", edits, names, changes);
    for (const Edit* edit : edits) {
        if (edit->kind != Edit::Kind::set) {
            continue;
        }
        if (names) {
            const std::string phrase = edit->field->phrase(after);
            if (std::find(names->begin(), names->end(), phrase) == names->end()) {
                names->push_back(phrase);  // a phrase may speak of several fields
            }
        }
        changes.push_back(edit->field->path + " = " + edit->field->show(after));
    }
}

}  // namespace

std::string readable_column(std::string name) {
    for (const std::string suffix : {"_ms", "_s", "_db", "_hz", "_bpm"}) {
        if (name.size() > suffix.size() &&
            name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0) {
            name.resize(name.size() - suffix.size());
            break;
        }
    }
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

Phrases describe(const std::vector<const Alternative*>& alternatives, const Settings& after) {
    std::vector<std::string> names;
    std::vector<std::string> changes;
    std::vector<const Edit*> unnamed;
    const auto describe_unnamed = [&] {
        describe_edits(unnamed, after, &names, changes);
        unnamed.clear();
    };
    for (const Alternative* alternative : alternatives) {
        std::vector<const Edit*> edits;
        for (const auto& edit : alternative->edits) {
            edits.push_back(&edit);
        }
        if (alternative->name.empty()) {
            unnamed.insert(unnamed.end(), edits.begin(), edits.end());
            continue;
        }
        describe_unnamed();
        names.push_back(alternative->name);
        describe_edits(edits, after, nullptr, changes);
    }
    describe_unnamed();
    return {joined(names), joined(changes)};
}

}  // namespace orchestrate
