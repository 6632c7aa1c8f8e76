// What the study language says of itself: explain, schema, tree.
#include "experiments/fields/reference.h"

#include <set>

#include <gmock/gmock.h>

#include "common/base/error.h"
#include "common/base/json.h"
#include "experiments/fields/schema.h"
#include "experiments/fields/table_keys.h"
#include "experiments/tree.h"
#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Explain, SaysWhatAFieldIs) {
    EXPECT_THAT(explain_field("train.epochs"),
                AllOf(HasSubstr("Passes over the training part."), HasSubstr("integer"),
                      HasSubstr("from 1 to 100000"), HasSubstr("default   3"), HasSubstr("varies    yes"),
                      HasSubstr("--set train.epochs=3")));
    EXPECT_THAT(explain_field("data.label"), AllOf(HasSubstr("Required"), HasSubstr("whole study")));
}

TEST(Explain, FindsAFieldByItsLastPartAndListsSections) {
    EXPECT_EQ(explain_field("epochs"), explain_field("train.epochs"));
    EXPECT_THAT(explain_field("seed"), AllOf(HasSubstr("data.split.seed\n"), HasSubstr("search.seed\n")));
    EXPECT_THAT(explain_field("data.split"),
                AllOf(HasSubstr("[data.split]"), HasSubstr("data.split.folds"), HasSubstr("default 0.8")));
    const std::string command = explain_field("command");
    EXPECT_THAT(command,
                AllOf(HasSubstr("  command.run: list of texts\n      The program and its arguments."),
                      Not(HasSubstr(" \n"))));
}

TEST(Explain, KnowsTheKeysOfTablesThatAreNoFields) {
    EXPECT_THAT(
        explain_field("ablation.leave_one_out"),
        AllOf(HasSubstr("One variant without each"), HasSubstr("in [[ablation]]:   leave_one_out = ")));
    EXPECT_EQ(explain_field("leave_one_out"), explain_field("ablation.leave_one_out"));
    EXPECT_THAT(explain_field("ensemble"),
                AllOf(HasSubstr("[[ensemble]]"), HasSubstr("ensemble.across_seeds"), HasSubstr("boolean")));
    EXPECT_THAT(explain_field("stages.rows"), HasSubstr("top 2 of ablation"));
    EXPECT_THAT(explain_field("log_uniform"), HasSubstr("each order of magnitude as likely"));
    EXPECT_THAT(explain_field("variables"), HasSubstr("reads the environment"));
    EXPECT_THAT(explain_field("include"), HasSubstr("files to start from"));
    EXPECT_THAT(explain_field("parameters"), HasSubstr("What a command is given"));
    EXPECT_THAT(explain_field("name"), AllOf(HasSubstr("study.name\n"), HasSubstr("ensemble.name\n")));
    try {
        explain_field("ablation.leave_one_ot");
        FAIL() << "expected UserError";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("did you mean 'ablation.leave_one_out'?"));
    }
}

// Nothing that the schema lets an editor offer is unknown to explain, and the other way round.
TEST(Explain, KnowsWhatTheSchemaKnows) {
    const Json schema = Json::parse(study_schema());
    const Json& properties = schema["properties"];
    const auto expect_same_keys = [](const Json& table, const std::string& name) {
        std::set<std::string> keys;
        for (const auto& [key, value] : table["properties"].items()) {
            keys.insert(key);
            EXPECT_FALSE(value.value("description", "").empty()) << name << "." << key;
        }
        const auto explained = keys_of(name);
        EXPECT_EQ(keys, std::set<std::string>(explained.begin(), explained.end())) << name;
    };
    for (const auto& [name, table] : properties.items()) {
        EXPECT_NO_THROW(explain_field(name));
    }
    expect_same_keys(properties["ablation"]["items"], "ablation");
    expect_same_keys(properties["ensemble"]["items"], "ensemble");
    expect_same_keys(properties["stages"]["additionalProperties"], "stages");
    const Json& space = properties["search"]["properties"]["space"]["anyOf"][0]["properties"];
    expect_same_keys(space["train.learning_rate"]["anyOf"][1], "search.space");
}

// A study in which the example of a key stands.
std::string study_with(const TableKey& key) {
    const std::string ablation = "[[ablation]]\nleave_one_out = [\"energy\"]\n";
    std::string text = kDataSection +
                       "[study]\nname = \"s\"\n[search]\ntrials = 6\n[search.space]\n"
                       "train.learning_rate_schedule = [\"linear\", \"constant\"]\n";
    if (key.table == "search.space") {
        text += key.example + "\n";
    } else if (key.table == "ablation") {
        text += key.name == "stage" ? "[stages.widths]\n" : "";
        text += key.role == KeyRole::other ? ablation : "[[ablation]]\n";
    } else if (key.table == "ensemble") {
        text += ablation + "[[ensemble]]\n";
        text += key.name == "members" ? "" : "members = [\"baseline\", \"without energy\"]\n";
    } else {
        text += ablation + "[stages.next]\n" + key.example +
                "\n[[ablation]]\nstage = \"next\"\nset = { train.epochs = 2 }";
    }
    return key.table == "ablation" || key.table == "ensemble" ? text + key.example + "\n" : text + "\n";
}

TEST(Explain, GivesExamplesThatAreUnderstood) {
    const StudyFolder folder;
    for (const auto& key : table_keys()) {
        EXPECT_THAT(folder.diagnostics(study_with(key)), ::testing::IsEmpty()) << study_with(key);
    }
}

TEST(Explain, NamesTheNearestField) {
    try {
        explain_field("train.epoch");
        FAIL() << "expected UserError";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr("did you mean 'train.epochs'?"));
    }
    EXPECT_THROW(explain_field("qqqqqqqq"), UserError);
}

TEST(Schema, KnowsEverySection) {
    const Json schema = Json::parse(study_schema());
    const Json& properties = schema["properties"];
    EXPECT_EQ(properties["train"]["properties"]["epochs"]["anyOf"][0]["maximum"], 100000);
    EXPECT_EQ(properties["model"]["properties"]["head_activation"]["anyOf"][0]["enum"][1], "tanh");
    EXPECT_FALSE(properties["train"]["additionalProperties"].get<bool>());
    EXPECT_TRUE(schema["$defs"]["sweep"]["anyOf"][0]["properties"].contains("model.head_width"));
    EXPECT_FALSE(schema["$defs"]["sweep"]["anyOf"][0]["properties"].contains("data.label"));
}

TEST(Tree, DrawsStagesAblationsAndVariants) {
    const StudyFolder folder;
    const auto study = folder.load(kDataSection + R"([study]
name = "grid"
seeds = 2
[search]
method = "grid"
[search.space]
train.epochs = [2, 4]
train.learning_rate = { uniform = [0.1, 0.3], step = 0.1 }
[[ablation]]
leave_one_out = "data.features"
[[ablation]]
cross = [{ add = "explicit" }, { sweep = { model.head_width = [8, 16] } }]
)");
    EXPECT_EQ(render_tree(study), R"(grid
├─ search: 6 trials (grid), 12 jobs
│  ├─ train.epochs: 2, 4
│  └─ train.learning_rate: 0.1 to 0.3, in steps of 0.1
└─ ablation: 6 variants, 12 jobs
   ├─ baseline: best of search (2 jobs)
   ├─ leave_one_out: 3 variants, 6 jobs
   │  ├─ without energy: data.features without energy (2 jobs)
   │  ├─ without tempo: data.features without tempo (2 jobs)
   │  └─ without valence: data.features without valence (2 jobs)
   └─ add x model.head_width: 2 variants, 4 jobs
      ├─ with explicit, head width 8: data.features with explicit, model.head_width = 8 (2 jobs)
      └─ with explicit, head width 16: data.features with explicit, model.head_width = 16 (2 jobs)
)");
}

}  // namespace
}  // namespace orchestrate::testing
