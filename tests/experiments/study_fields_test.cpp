#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "experiments/fields/fields.h"
#include "experiments/fields/reference.h"

namespace orchestrate {
namespace {

TEST(Fields, EveryFieldSaysWhatItIs) {
    std::set<std::string> paths;
    for (const auto& field : fields()) {
        EXPECT_TRUE(paths.insert(field.path).second) << field.path << " stands twice in the table";
        EXPECT_FALSE(field.type.empty()) << field.path;
        EXPECT_TRUE(field.write && field.show && field.phrase) << field.path;
        EXPECT_FALSE(field.schema.is_null()) << field.path;
        EXPECT_EQ(find_field(field.path), &field);
    }
}

// All members of a configuration, as dotted paths.
void collect(const Json& json, const std::string& path, std::set<std::string>& paths) {
    if (!json.is_object()) {
        paths.insert(path);
        return;
    }
    for (const auto& [key, value] : json.items()) {
        collect(value, path.empty() ? key : path + "." + key, paths);
    }
}

// A field added to JobConfig and forgotten here could never be set.
TEST(Fields, EveryMemberOfAJobCanBeSaid) {
    std::set<std::string> paths;
    collect(Json(JobConfig{}), "", paths);
    for (const std::string known :
         {"numerics_version", "data.sha256", "tokenizer.kind", "tokenizer.vocabulary_sha256",
          "model.pretrained_sha256", "seed.initialization", "seed.data_order", "data.split.fold", "command",
          "data.complete_columns"}) {
        paths.erase(
            known);  // come from elsewhere: contents of files, study.seeds, data.split.folds, [command]
    }
    for (const auto& path : paths) {
        EXPECT_NE(find_field(path), nullptr) << path;
    }
}

// What a field shows can be written back and means the same.
TEST(Fields, DefaultsAreValid) {
    for (const auto& field : fields()) {
        const std::string shown = field.show(Settings{});
        if (shown.empty() || field.path == "study.seeds") {
            continue;
        }
        auto source = std::make_shared<SourceText>();
        source->name = "test";
        for (const std::string& text : {shown, "\"" + shown + "\""}) {
            source->text = "value = " + text;
            Diagnostics diagnostics;
            const Value root = parse_toml(source, diagnostics);
            if (diagnostics.errors() > 0) {
                continue;
            }
            Settings settings;
            field.write(settings, root.as_table()->entries.front().value, diagnostics);
            if (diagnostics.errors() == 0) {
                EXPECT_EQ(field.show(settings), shown) << field.path;
                source->name = "written";
                break;
            }
        }
        EXPECT_EQ(source->name, "written") << field.path << " does not take its default " << shown;
    }
}

TEST(Fields, ReferenceInTheReadmeIsCurrent) {
    const std::string path = std::string(ORCHESTRATE_SOURCE_DIR) + "/experiments/README.md";
    std::ostringstream content;
    content << std::ifstream(path).rdbuf();
    const std::string readme = content.str();
    const std::size_t begin = readme.find('\n', readme.find("<!-- fields:")) + 1;
    const std::size_t end = readme.find("<!-- end of fields -->");
    ASSERT_NE(end, std::string::npos);
    ASSERT_LE(begin, end);
    const std::string expected = field_reference() + "\n";
    if (std::getenv("ORCHESTRATE_UPDATE_REFERENCE")) {
        std::ofstream(path) << readme.substr(0, begin) << expected << readme.substr(end);
        return;
    }
    EXPECT_EQ(readme.substr(begin, end - begin), expected)
        << "run this test once with ORCHESTRATE_UPDATE_REFERENCE=1 and commit experiments/README.md";
}

TEST(WriteToml, ParsesIntoAnEqualTree) {
    auto source = std::make_shared<SourceText>();
    source->name = "test";
    source->text = R"(a = [1, 2.0, "x\"y\\z	", true, { b = -1e300 }]
"quoted key" = inf
[c.d]
e = """two
lines"""
[[f]]
g = []
[[f]]
[f.h]
i = { }
)";
    Diagnostics diagnostics;
    const Value root = parse_toml(source, diagnostics);
    const std::string written = write_toml(root);
    auto again = std::make_shared<SourceText>(*source);
    again->text = written;
    const Value reread = parse_toml(again, diagnostics);
    EXPECT_EQ(diagnostics.errors(), 0U) << written;
    EXPECT_EQ(write_inline_toml(root), write_inline_toml(reread)) << written;
}

}  // namespace
}  // namespace orchestrate
