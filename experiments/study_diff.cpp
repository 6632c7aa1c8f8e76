#include "experiments/study_diff.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "experiments/expansion/study_plan.h"
#include "experiments/syntax/escaped_text.h"

namespace orchestrate {
namespace {

constexpr std::size_t kMaxShown = 40;

using Kind = VariantDifference::Kind;

void collect_changes(const Json& before, const Json& after, const std::string& path,
                     std::vector<ConfigChange>& changes) {
    if (before == after) {
        return;
    }
    if (!before.is_object() || !after.is_object()) {
        changes.push_back({path, before, after});
        return;
    }
    std::set<std::string> keys;
    for (const Json* side : {&before, &after}) {
        for (const auto& [key, value] : side->items()) {
            keys.insert(key);
        }
    }
    for (const auto& key : keys) {
        collect_changes(before.contains(key) ? before[key] : Json(),
                        after.contains(key) ? after[key] : Json(), path.empty() ? key : path + "." + key,
                        changes);
    }
}

std::string shown(const Json& value) {
    if (value.is_string()) {
        return escaped_text(value.get<std::string>());
    }
    if (value.is_array() &&
        std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_string(); })) {
        std::vector<std::string> names;
        for (const auto& item : value) {
            names.push_back(escaped_text(item.get<std::string>()));
        }
        return join_and(names);
    }
    return value.dump();
}

// Settings of the data that are left out of a configuration where they make no difference to the file.
bool may_be_unset(const std::string& path) {
    static const std::set<std::string> kPaths = {"data.missing", "data.delimiter", "data.decimal",
                                                 "data.split.column", "data.complete_columns"};
    return kPaths.contains(path);
}

// An unset one as its default.
std::string shown_at(const std::string& path, const Json& value) {
    if (!value.is_null() || !may_be_unset(path)) {
        return shown(value);
    }
    const Field* field = find_field(path);
    return field && !field->default_text.empty() ? field->default_text : "not set";
}

std::string shortened_hash(const Json& value) {
    const std::string text = value.is_string() ? value.get<std::string>() : "";
    return text.empty() ? "none" : text.substr(0, 8);
}

// What became of a list: "without energy", "with tempo"; nothing if that does not say it.
std::string list_change(const Json& before, const Json& after) {
    if (!before.is_array() || !after.is_array()) {
        return {};
    }
    std::vector<std::string> left_out;
    std::vector<std::string> added;
    for (const auto& item : before) {
        if (std::find(after.begin(), after.end(), item) == after.end()) {
            left_out.push_back(shown(item));
        }
    }
    for (const auto& item : after) {
        if (std::find(before.begin(), before.end(), item) == before.end()) {
            added.push_back(shown(item));
        }
    }
    if (left_out.empty() && added.empty()) {
        return "in another order";
    }
    std::string text = left_out.empty() ? "" : "without " + join_and(left_out);
    return text + (added.empty() ? "" : (text.empty() ? "with " : ", with ") + join_and(added));
}

// Content by name.
std::map<std::string, Json> contents_of(const Json& files) {
    std::map<std::string, Json> contents;
    for (const auto& file : files.is_array() ? files : Json::array()) {
        contents[file.value("name", "")] = file.value("sha256", Json());
    }
    return contents;
}

std::string change_of_files(const Json& before, const Json& after) {
    const auto old_files = contents_of(before);
    const auto new_files = contents_of(after);
    std::vector<std::string> changes;
    for (const auto& [name, content] : new_files) {
        const auto old = old_files.find(name);
        if (old == old_files.end()) {
            changes.push_back("with the file " + escaped_text(name));
        } else if (old->second != content) {
            changes.push_back(fmt::format("the content of {} ({} -> {})", escaped_text(name),
                                          shortened_hash(old->second), shortened_hash(content)));
        }
    }
    for (const auto& [name, content] : old_files) {
        if (!new_files.contains(name)) {
            changes.push_back("without the file " + escaped_text(name));
        }
    }
    return join_and(changes);
}

// A command's parameters are the file's own: none has a default.
std::string sentence_of_command(const ConfigChange& change) {
    if (change.path == "command.files") {
        return change_of_files(change.before, change.after);
    }
    const std::string start = "command.parameters.";
    const bool is_parameter = change.path.rfind(start, 0) == 0;
    const std::string name = is_parameter ? change.path.substr(start.size()) : change.path;
    if (change.before.is_null()) {
        return "with " + name + " = " + shown(change.after);
    }
    if (change.after.is_null()) {
        return "without " + name;
    }
    const std::string of_list = list_change(change.before, change.after);
    return name + " " + (of_list.empty() ? shown(change.before) + " -> " + shown(change.after) : of_list);
}

// `is_everywhere`: no single variant makes the change.
std::string sentence(const ConfigChange& change, const StudyRecord& before, const StudyRecord& after,
                     bool is_everywhere) {
    const std::string arrow =
        shown_at(change.path, change.before) + " -> " + shown_at(change.path, change.after);
    if (change.path == "numerics_version") {
        return "numerics_version " + arrow + ": this version of the program trains with other arithmetic";
    }
    const std::map<std::string, std::string> contents = {{"data.sha256", "the content of the data file"},
                                                         {"tokenizer.vocabulary_sha256", "the vocabulary"},
                                                         {"model.pretrained_sha256", "the initial weights"}};
    if (const auto content = contents.find(change.path); content != contents.end()) {
        return fmt::format("{} ({} -> {})", content->second, shortened_hash(change.before),
                           shortened_hash(change.after));
    }
    if (change.path.rfind("command.", 0) == 0) {
        return sentence_of_command(change);
    }
    if (may_be_unset(change.path) && (change.before.is_null() || change.after.is_null())) {
        return change.path + " " + arrow;
    }
    if (change.before.is_null()) {
        return change.path + " = " + shown(change.after) + ", which an older version did not have";
    }
    if (is_everywhere && !before.given.contains(change.path) && !after.given.contains(change.path) &&
        !before.given.empty() && !after.given.empty()) {
        return "the default of " + change.path + " " + arrow;
    }
    const std::string of_list = list_change(change.before, change.after);
    return change.path + " " + (of_list.empty() ? arrow : of_list);
}

// "2 new jobs, 1 kept", "its 1 job is done already"
std::string jobs_of(const VariantDifference& difference) {
    const auto count = [](std::size_t jobs, const char* noun) {
        return counted(static_cast<std::int64_t>(jobs), noun);
    };
    const std::string kept =
        difference.kept_jobs > 0 ? fmt::format(", {} kept", difference.kept_jobs) : std::string();
    if (difference.kind == Kind::gone) {
        return count(difference.jobs, "job");
    }
    if (difference.done_jobs == 0) {
        return count(difference.jobs, "new job") + kept;
    }
    const std::string done = difference.done_jobs == 1 ? " is done already" : " are done already";
    if (difference.done_jobs < difference.jobs) {
        return count(difference.jobs - difference.done_jobs, "new job") +
               fmt::format(", {}{}", difference.done_jobs, done) + kept;
    }
    return (difference.kept_jobs == 0 ? "its " : "") +
           count(difference.jobs, difference.kept_jobs == 0 ? "job" : "other job") + done + kept;
}

// The changes that every variant present on both sides has.
std::vector<ConfigChange> common_changes(const std::vector<VariantDifference>& differences) {
    std::vector<ConfigChange> common;
    std::size_t compared = 0;
    for (const auto& difference : differences) {
        if (difference.kind == Kind::is_new || difference.kind == Kind::gone) {
            continue;
        }
        if (compared++ == 0) {
            common = difference.changes;
        }
        std::erase_if(common, [&](const ConfigChange& change) {
            return std::find(difference.changes.begin(), difference.changes.end(), change) ==
                   difference.changes.end();
        });
    }
    return common;
}

}  // namespace

std::set<std::string> given_fields(const std::string& toml) {
    Diagnostics ignored;
    const Value root = parse_toml(std::make_shared<SourceText>(SourceText{"study", {}, toml}), ignored);
    Settings settings;
    std::set<std::string> paths;
    for (const auto& [path, value] : read_fields(
             root, {"search.space", "ablation", "stages", "ensemble", "parameters"}, settings, ignored)) {
        paths.insert(path);
    }
    return paths;
}

StudyRecord record_of(const Study& study, const std::vector<PlannedStage>& planned) {
    StudyRecord record;
    record.name = study.name;
    record.given = given_fields(study.canonical_toml);
    for (std::size_t place = 0; place < study.stages.size(); ++place) {
        const Stage& stage = study.stages[place];
        for (const auto& variant :
             planned.empty() ? study.expand(stage, study.base) : planned.at(place).variants) {
            VariantRecord row;
            row.stage = stage.name;
            row.name = variant.name;
            row.config = Json::parse(canonical_json(variant.config));  // as the database has it
            for (const auto& run : variant.runs) {
                row.identities.push_back(job_identity(job_of(variant, run)));
            }
            record.variants.push_back(std::move(row));
        }
        for (const auto& ensemble : study.ensembles) {
            if (ensemble.stage == stage.name) {
                record.variants.push_back(
                    {stage.name, ensemble.name, {{"ensemble", ensemble.change}}, {}, true});
            }
        }
    }
    return record;
}

std::vector<VariantDifference> compare(const StudyRecord& before, const StudyRecord& after,
                                       const std::set<std::string>& done) {
    const auto count_done = [&](const std::string& identity) {
        return static_cast<std::size_t>(done.contains(identity) ? 1 : 0);
    };
    std::map<std::pair<std::string, std::string>, const VariantRecord*> old_rows;
    for (const auto& row : before.variants) {
        old_rows[{row.stage, row.name}] = &row;
    }
    std::vector<VariantDifference> differences;
    for (const auto& row : after.variants) {
        VariantDifference difference;
        difference.stage = row.stage;
        difference.name = row.name;
        difference.is_ensemble = row.is_ensemble;
        const auto old = old_rows.find({row.stage, row.name});
        if (old == old_rows.end()) {
            difference.kind = Kind::is_new;
            difference.jobs = row.identities.size();
            for (const auto& identity : row.identities) {
                difference.done_jobs += count_done(identity);
            }
            differences.push_back(std::move(difference));
            continue;
        }
        const auto& known = old->second->identities;
        const std::set<std::string> known_jobs(known.begin(), known.end());
        for (const auto& identity : row.identities) {
            const bool is_kept = known_jobs.contains(identity);
            ++(is_kept ? difference.kept_jobs : difference.jobs);
            difference.done_jobs += is_kept ? 0 : count_done(identity);
        }
        collect_changes(old->second->config, row.config, "", difference.changes);
        const bool same = difference.jobs == 0 && known.size() == row.identities.size() &&
                          (!row.is_ensemble || difference.changes.empty());
        difference.kind = same ? Kind::unchanged : Kind::changed;
        old_rows.erase(old);
        differences.push_back(std::move(difference));
    }
    for (const auto& row : before.variants) {
        if (old_rows.contains({row.stage, row.name})) {
            differences.push_back(
                {Kind::gone, row.stage, row.name, {}, row.identities.size(), 0, row.is_ensemble, 0});
        }
    }
    return differences;
}

std::string render_difference(const StudyRecord& before, const StudyRecord& after,
                              const std::set<std::string>& done) {
    const auto differences = compare(before, after, done);
    std::map<Kind, std::size_t> variants;
    std::set<std::string> known;
    for (const auto& row : before.variants) {
        known.insert(row.identities.begin(), row.identities.end());
    }
    std::set<std::string> new_jobs;  // two variants may share one
    for (const auto& row : after.variants) {
        for (const auto& identity : row.identities) {
            if (!known.contains(identity) && !done.contains(identity)) {
                new_jobs.insert(identity);
            }
        }
    }
    for (const auto& difference : differences) {
        ++variants[difference.kind];
    }
    if (variants[Kind::unchanged] == differences.size()) {
        return fmt::format("nothing differs: {}\n", counted(differences.size(), "variant"));
    }
    std::string text;
    const auto common = common_changes(differences);
    for (const auto& change : common) {
        text += "everywhere: " + sentence(change, before, after, true) + "\n";
    }
    std::size_t shown_rows = 0;
    for (const auto& difference : differences) {
        if (difference.kind == Kind::unchanged || ++shown_rows > kMaxShown) {
            continue;
        }
        const char* mark = difference.kind == Kind::is_new ? "+ new      "
                           : difference.kind == Kind::gone ? "- gone     "
                                                           : "~ changed  ";
        text += fmt::format("{} {}: {}", mark, difference.stage, difference.name);
        std::string details;
        for (const auto& change : difference.changes) {
            if (std::find(common.begin(), common.end(), change) == common.end()) {
                details += (details.empty() ? "" : "; ") + sentence(change, before, after, false);
            }
        }
        if (difference.kind == Kind::changed && details.empty() && common.empty()) {
            details = "other seeds, folds or splits";
        }
        if (difference.is_ensemble) {
            text += (details.empty() ? "" : ": " + details) + " (computed, nothing to train)\n";
            continue;
        }
        text += (details.empty() ? "" : ": " + details) + " (" + jobs_of(difference) + ")\n";
    }
    if (shown_rows > kMaxShown) {
        text += fmt::format("... and {} more\n", shown_rows - kMaxShown);
    }
    return text +
           fmt::format("{} new, {} changed, {} gone, {} unchanged; {} to run that {} not there before\n",
                       counted(variants[Kind::is_new], "variant"), variants[Kind::changed],
                       variants[Kind::gone], variants[Kind::unchanged],
                       counted(static_cast<std::int64_t>(new_jobs.size()), "job"),
                       new_jobs.size() == 1 ? "was" : "were");
}

}  // namespace orchestrate
