#include "experiments/load_study.h"

#include <algorithm>

#include <fmt/format.h>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/unicode.h"
#include "common/data/vocabulary.h"
#include "experiments/checks/command_settings.h"
#include "experiments/checks/data_checks.h"
#include "experiments/checks/split_checks.h"
#include "experiments/composition/composed_study.h"
#include "experiments/expansion/rules.h"
#include "experiments/expansion/search_rungs.h"
#include "experiments/expansion/stages.h"
#include "experiments/expansion/study_plan.h"
#include "experiments/feature_mentions.h"
#include "experiments/fields/cluster_fields.h"
#include "experiments/fields/command_fields.h"
#include "experiments/pretrained_settings.h"
#include "experiments/syntax/escaped_text.h"

namespace orchestrate {
namespace {

// Every trial's ablations are checked up to so many, so that no contradiction waits behind a long search.
constexpr std::size_t kMaxChecksAhead = 20'000;

// What train.precision = "auto" stands for where the study's workers will run.
Precision automatic_precision(const ClusterConfig& cluster, const DevicePrecision& devices) {
    if (cluster.kind == ClusterKind::slurm) {
        return Precision::fp32;
    }
    const bool cuda = cluster.device == DeviceChoice::cuda ||
                      (cluster.device == DeviceChoice::automatic && devices.has_gpu);
    return cuda ? devices.cuda : devices.cpu;
}

class StudyLoader {
  public:
    StudyLoader(const std::filesystem::path& file, const std::shared_ptr<const SourceText>& source,
                const std::vector<std::string>& overrides, const DevicePrecision& automatic)
        : file_(file),
          automatic_(automatic),
          text_(compose_study(source, overrides, diagnostics_)),
          plan_(std::make_shared<Study::Plan>()) {}

    Study load() {
        read_settings();
        check_path_names();
        if (section("command")) {
            return load_command();
        }
        if (const auto* parameters = section("parameters")) {
            diagnostics_.error(
                parameters->key_where,
                "[parameters] are those of a command, and there is no [command]; expected one with "
                "run = [\"python3\", \"train.py\"]");
        }
        resolve_selection();
        read_search();
        read_ablations();
        read_ensembles();
        check_required();
        check_split_column(settings(), given_, diagnostics_);
        resolve_split();
        check_runs();
        hash_vocabulary();
        resolve_pretrained(settings(), given_, diagnostics_);
        check_pretrained_changes(settings(), plan_->space, plan_->ablations, diagnostics_);
        check_base();
        if (plan_->has_search) {
            resolve_rungs(settings(), given_, plan_->space, diagnostics_);
        }
        const auto facts =
            check_data(settings(), given_, feature_mentions(given_, *plan_), data_section(), diagnostics_);
        settings().job.data.sha256 = facts.sha256;
        plan_->data = facts;
        make_stages();
        check_stages();
        diagnostics_.throw_if_any();
        return finished();
    }

  private:
    // Paths travel in messages and stand in the database, which are UTF-8; names of files need not be.
    void check_path_names() {
        const std::string file = std::filesystem::absolute(file_).lexically_normal().string();
        if (!is_valid_utf8(file)) {
            diagnostics_.error({text_.source},
                               "the path of this study, '" + escaped_text(file) +
                                   "', is not UTF-8; expected directories and a file whose names are");
            diagnostics_.throw_if_any();
        }
        const std::vector<std::pair<const char*, const std::string*>> paths = {
            {"data.path", &settings().paths.data},
            {"tokenizer.vocabulary", &settings().paths.vocabulary},
            {"model.pretrained", &settings().paths.pretrained},
            {"command.folder", &settings().paths.command_folder}};
        for (const auto& [field, path] : paths) {
            if (!is_valid_utf8(*path)) {
                diagnostics_.error(place_of_first({field}),
                                   std::string(field) + " is '" + escaped_text(*path) +
                                       "', which is not UTF-8; expected a path whose names are");
                diagnostics_.throw_if_any();
            }
        }
    }

    // A study whose jobs are a command.
    Study load_command() {
        const auto* command = section("command");
        if (const auto* parameters = section("parameters")) {
            plan_->parameters =
                read_parameters(parameters->value, text_.parameters_in_file, settings(), diagnostics_);
        }
        nameable_ = NameableFields(plan_->parameters);
        if (const auto* ensemble = section("ensemble")) {
            diagnostics_.error(
                ensemble->key_where,
                "an ensemble combines predicted classes, and a command reports none; expected no "
                "[[ensemble]] beside [command]");
        }
        resolve_command(settings(), given_, plan_->parameters, command->key_where, diagnostics_);
        resolve_selection();
        read_search();
        read_ablations();
        check_runs();
        check_places();
        make_stages();
        check_stages();
        diagnostics_.throw_if_any();
        return finished();
    }

    // What has to be reported, and what the best of a search is chosen by.
    void resolve_selection() {
        auto& all = settings();
        for (const auto& metric : all.command.metrics) {
            all.command.required.push_back(to_string(MetricKey{MetricPart::test, metric.name}));
        }
        MetricKey& select_by = all.search.select_by;
        if (select_by.name.empty()) {
            select_by.name = default_selection(all);
        } else {
            is_declared(all, select_by.name, place_of_first({"search.select_by"}), diagnostics_);
        }
        if (section("search") && !all.command.metrics.empty() && select_by.part == MetricPart::validation) {
            all.command.required.push_back(to_string(select_by));
        }
    }

    Settings& settings() { return plan_->settings; }

    const ValueEntry* section(const std::string& name) const {
        const auto* table = text_.root.as_table();
        return table ? table->find(name) : nullptr;
    }

    SourceSpan data_section() const {
        return section("data") ? section("data")->key_where : SourceSpan{text_.source};
    }

    SourceSpan place_of_first(const std::vector<std::string>& fields) const {
        for (const auto& field : fields) {
            if (const auto found = given_.find(field); found != given_.end()) {
                return found->second.where;
            }
        }
        return SourceSpan{text_.source};
    }

    void read_settings() {
        const std::vector<std::string> other_sections = {"search.space", "ablation", "stages", "ensemble",
                                                         "parameters"};
        Settings probe;
        Diagnostics reported_below;
        read_fields(text_.root, other_sections, probe, reported_below);
        settings().automatic_precision = automatic_precision(probe.cluster, automatic_);
        settings().job.train.precision = settings().automatic_precision;
        settings().name = escaped_text(file_.stem().string());
        settings().command.metrics =
            probe.command.metrics;  // search.select_by, which may come first, names one
        given_ = read_fields(text_.root, other_sections, settings(), diagnostics_);
        if (given_.contains("study.name")) {
            check_shown_name(settings().name, place_of_first({"study.name"}), "study.name", diagnostics_);
        }
        std::sort(settings().job.data.classes.begin(), settings().job.data.classes.end());
    }

    void read_search() {
        const auto* search = section("search");
        if (!search || !search->value.as_table()) {
            return;
        }
        plan_->has_search = true;
        plan_->search_where = search->key_where;
        if (const auto trials = given_.find("search.trials");
            trials != given_.end() && settings().search.method != SearchMethod::random) {
            diagnostics_.error(
                trials->second.where,
                "search.trials is of method = \"random\"; a grid or lists side by side make as many "
                "trials as they have combinations");
        }
        if (const auto* space = search->value.as_table()->find("space")) {
            plan_->search_where = space->key_where;
            plan_->space = read_search_space(space->value, settings().search.method, nameable_, diagnostics_);
        } else {
            diagnostics_.error(
                search->key_where,
                std::string("[search] has no [search.space]; expected the fields to search over, e.g. ") +
                    (nameable_.is_of_command() ? "\"parameters.learning_rate\" = { choice = [0.1, 1.0] }"
                                               : "\"train.epochs\" = { choice = [2, 4] }"));
        }
    }

    // The tables of [[name]]; none if there are none, or it is something else (reported).
    const std::vector<Value>& tables_of(const std::string& name) {
        static const std::vector<Value> kNone;
        const auto* entry = section(name);
        const auto* list = entry ? entry->value.as_list() : nullptr;
        if (entry && !list) {
            report_unfit(entry->value, name, "[[" + name + "]] in double brackets, one for each",
                         diagnostics_);
        }
        return list ? *list : kNone;
    }

    void read_ablations() {
        for (const auto& entry : tables_of("ablation")) {
            plan_->ablations.push_back(read_ablation(entry, nameable_, diagnostics_));
        }
    }

    void read_ensembles() {
        for (const auto& entry : tables_of("ensemble")) {
            plan_->ensembles.push_back(read_ensemble(entry, diagnostics_));
        }
    }

    void check_required() {
        for (const std::string path : {"data.label", "data.features"}) {
            if (!given_.contains(path)) {
                diagnostics_.error(data_section(),
                                   path + " is not set; expected " +
                                       (path == "data.label" ? "the column that holds the class"
                                                             : "the columns to write into the text"));
            }
        }
        if (settings().name.empty()) {
            diagnostics_.error(place_of_first({"study.name"}), "study.name is empty; expected a name");
        }
        if (settings().job.data.classes.size() == 1) {
            diagnostics_.error(place_of_first({"data.classes"}),
                               "data.classes names one class; expected at least two");
        }
    }

    // With folds the test part has its size from them, and the training part the rest.
    void resolve_split() {
        auto& split = settings().job.data.split;
        if (split.folds < 2) {
            return;
        }
        for (const std::string path : {"data.split.test", "data.split.train"}) {
            if (const auto found = given_.find(path); found != given_.end()) {
                diagnostics_.error(
                    found->second.where,
                    path +
                        " and data.split.folds contradict each other: every fold is tested in "
                        "turn, and what is left beside validation is trained on; expected only "
                        "data.split.validation");
            }
        }
        split.test = 1 / static_cast<double>(split.folds);
        split.train = 1 - split.test - split.validation;
        if (split.train < 1e-9) {
            split.train = 0;
        }
    }

    // Seeds, folds and repeated splits of one variant.
    void check_runs() {
        constexpr std::size_t kMaxRuns = 100'000;
        const auto& all = settings();
        const std::size_t seeds =
            std::max({all.seeds.size(), all.baseline_seeds.size(), all.search.seeds.size()});
        const auto folds = static_cast<std::size_t>(std::max<std::int64_t>(1, all.job.data.split.folds));
        const auto repeats = static_cast<std::size_t>(all.split_repeats);
        if (seeds * folds * repeats > kMaxRuns) {
            diagnostics_.error(
                place_of_first({"data.split.repeats", "data.split.folds", "study.seeds"}),
                fmt::format("{} seeds x {} folds x {} splits make {} jobs of one variant; expected at "
                            "most {}",
                            seeds, folds, repeats, seeds * folds * repeats, kMaxRuns));
            diagnostics_.throw_if_any();
        }
    }

    void hash_vocabulary() {
        const auto vocabulary = given_.find("tokenizer.vocabulary");
        if (vocabulary == given_.end() || settings().paths.vocabulary.empty()) {
            return;
        }
        try {
            settings().job.tokenizer.kind = vocabulary_kind(settings().paths.vocabulary);
            settings().job.tokenizer.vocabulary_sha256 =
                sha256_hex_of_vocabulary(settings().paths.vocabulary);
        } catch (const UserError& error) {
            diagnostics_.error(vocabulary->second.where, error.what());
        }
        if (given_.contains("tokenizer.vocabulary_size") &&
            settings().job.tokenizer.vocabulary_size == TokenizerConfig{}.vocabulary_size) {
            report_vocabulary_size();
        }
    }

    // find_contradictions sees this only for sizes that are not the default.
    void report_vocabulary_size() {
        JobConfig both = settings().job;
        both.tokenizer.vocabulary_sha256 = "given";
        both.tokenizer.vocabulary_size = TokenizerConfig{}.vocabulary_size + 1;
        for (const auto& contradiction : find_contradictions(both, 1)) {
            if (contradiction.fields.front() == "tokenizer.vocabulary_size") {
                diagnostics_.error(place_of_first(contradiction.fields), contradiction.message);
            }
        }
    }

    void check_base() {
        for (const auto& contradiction : find_contradictions(settings().job, settings().ranks)) {
            diagnostics_.error(place_of_first(contradiction.fields), contradiction.message);
        }
        check_places();
    }

    void check_places() {
        check_cluster(settings(), given_, diagnostics_);
        const auto& cluster = settings().cluster;
        const int nodes = cluster.kind == ClusterKind::slurm ? cluster.nodes : 1;
        const int places = cluster.slots * nodes;
        if (places > 0 && settings().ranks > places) {
            diagnostics_.error(
                place_of_first({"cluster.slots", "study.ranks"}),
                fmt::format("a job needs study.ranks = {} places, but cluster.slots on {} make {}; "
                            "expected at least as many",
                            settings().ranks, counted(nodes, "node"), places));
        }
    }

    // A stage with what is selected in all of them.
    Stage new_stage(const std::string& name) {
        const auto& search = settings().search;
        Stage stage;
        stage.name = name;
        stage.select_by = search.select_by;
        stage.metrics = reported_metrics(settings());
        stage.primary_metric = default_selection(settings());
        return stage;
    }

    void make_stages() {
        const auto& search = settings().search;
        if (plan_->has_search && search.select_by.part == MetricPart::test) {
            diagnostics_.warning(place_of_first({"search.select_by"}), selection_warning("the best trial"));
        }
        if (plan_->has_search) {
            Stage stage = new_stage("search");
            stage.kind = StageKind::search;
            stage.halving = {search.rungs, search.reduction_factor, search.deterministic};
            stages_.push_back(std::move(stage));
        }
        const bool has_ablations =
            std::any_of(plan_->ablations.begin(), plan_->ablations.end(),
                        [](const AblationEntry& entry) { return entry.stage == "ablation"; });
        if (!(plan_->has_search || section("stages")) || has_ablations) {
            Stage stage = new_stage("ablation");
            stage.baseline_stage = plan_->has_search ? "search" : "";
            stages_.push_back(std::move(stage));
        }
        if (const auto* later = section("stages")) {
            for (auto& stage : read_stages(later->value, stages_, settings(), diagnostics_)) {
                stages_.push_back(std::move(stage));
            }
        }
        check_stages_of_ablations();
    }

    // Every [[ablation]] belongs to a stage, and every stage of [stages] has some.
    void check_stages_of_ablations() {
        std::vector<std::string> names;
        for (const auto& stage : stages_) {
            names.push_back(stage.name);
        }
        for (const auto& entry : plan_->ablations) {
            if (entry.stage_where.source &&
                (entry.stage == "search" ||
                 std::find(names.begin(), names.end(), entry.stage) == names.end())) {
                diagnostics_.unknown_name(entry.stage_where,
                                          "there is no stage '" + entry.stage +
                                              "' for ablations; expected ablation or one of [stages]",
                                          entry.stage, names);
            }
        }
        const auto* later = section("stages");
        for (const auto& name : names) {
            const auto* entry =
                later && later->value.as_table() ? later->value.as_table()->find(name) : nullptr;
            if (entry &&
                std::none_of(plan_->ablations.begin(), plan_->ablations.end(),
                             [&](const AblationEntry& ablation) { return ablation.stage == name; })) {
                diagnostics_.error(entry->key_where,
                                   "stage '" + name +
                                       "' has no ablation; expected an [[ablation]] with stage = \"" + name +
                                       "\"");
            }
        }
    }

    // Expands everything once, so that whatever can go wrong is known before anything starts.
    void check_stages() {
        if (!nameable_.is_of_command() && settings().job.data.features.empty()) {
            return;  // reported; every ablation would only say so again
        }
        std::vector<Variant> trials;
        VariantsOfStages all;
        const bool is_sound = diagnostics_.errors() == 0;  // else equal variants may only be a consequence
        for (const auto& stage : stages_) {
            const auto variants = expand_stage(*plan_, stage, settings().job,
                                               stand_in_rows(*plan_, stages_, stage), diagnostics_);
            if (stage.kind == StageKind::search) {
                trials = variants;
                if (is_sound) {
                    warn_of_equal_trials(variants, plan_->search_where, diagnostics_);
                }
            } else {
                const auto* ablations = section("ablation");
                warn_of_equal_variants(variants, ablations ? ablations->key_where : SourceSpan{text_.source},
                                       diagnostics_);
                if (stage.baseline_stage == "search") {
                    check_ablations_of(trials, stage, variants.size());
                }
            }
            if (!plan_->ensembles.empty()) {
                all.emplace(stage.name, variants);
            }
        }
        if (diagnostics_.errors() == 0 && !plan_->ensembles.empty()) {
            resolve_ensembles(plan_->ensembles, stages_, all, diagnostics_);
        }
    }

    void check_ablations_of(const std::vector<Variant>& trials, const Stage& stage,
                            std::size_t variants_per_trial) {
        if (diagnostics_.errors() > 0 || trials.size() * variants_per_trial > kMaxChecksAhead) {
            return;
        }
        for (const auto& trial : trials) {
            Diagnostics of_trial;
            expand_stage(*plan_, stage, trial.config, stand_in_rows(*plan_, stages_, stage), of_trial);
            for (auto diagnostic : of_trial.sorted()) {
                diagnostic.message =
                    "if " + trial.name + " (" + trial.change + ") wins the search: " + diagnostic.message;
                diagnostics_.add(std::move(diagnostic));
            }
            if (diagnostics_.errors() > 0) {
                return;  // the other trials would say the same
            }
        }
    }

    Study finished() {
        Study study;
        study.name = settings().name;
        study.file = std::filesystem::absolute(file_).lexically_normal();
        study.canonical_toml = canonical_toml(text_, settings().paths.command_folder);
        study.toml = text_.is_composed ? study.canonical_toml : text_.source->text;
        study.paths = settings().paths;
        study.base = settings().job;
        study.cluster = settings().cluster;
        study.checkpoint_interval_seconds = settings().checkpoint_interval_seconds;
        study.progress_timeout_seconds = settings().progress_timeout;
        study.priority = settings().priority;
        study.retries = settings().retries;
        study.expected_job_minutes = settings().expected_job_minutes;
        study.save_models = settings().save_models;
        study.best_models = settings().best_models;
        study.stages = stages_;
        for (const auto& entry : plan_->ensembles) {
            study.ensembles.push_back(entry.ensemble);
        }
        study.warnings = diagnostics_.sorted();
        study.plan = plan_;
        return study;
    }

    std::filesystem::path file_;
    DevicePrecision automatic_;
    Diagnostics diagnostics_;
    ComposedStudy text_;
    NameableFields nameable_;  // by a search or an ablation
    GivenFields given_;
    std::shared_ptr<Study::Plan> plan_;
    std::vector<Stage> stages_;
};

}  // namespace

Study load_study(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
    return load_study(file, overrides, DevicePrecision{});
}

Study load_study(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                 const DevicePrecision& automatic) {
    return StudyLoader(file, read_study_source(file), overrides, automatic).load();
}

Study load_study_text(const std::string& text, const std::filesystem::path& file,
                      const DevicePrecision& automatic) {
    const auto folder = std::filesystem::absolute(file).parent_path();
    const auto source = std::make_shared<SourceText>(SourceText{file.string(), folder, text});
    return StudyLoader(file, source, {}, automatic).load();
}

}  // namespace orchestrate
