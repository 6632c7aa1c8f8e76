// Helpers of the study tests: a folder with a small data file, and studies written into it.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "experiments/expansion/study.h"
#include "experiments/load_study.h"

namespace orchestrate::testing {

inline const std::string kDataSection = R"([data]
path = "tracks.csv"
label = "genre"
features = ["energy", "tempo", "valence"]
)";

// A folder that lives as long as the test, with tracks.csv: 40 rows, genres funk and punk.
class StudyFolder {
  public:
    StudyFolder() {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        std::string name =
            std::string(test->test_suite_name()) + "-" + test->name() + "-" + std::to_string(getpid());
        std::replace(name.begin(), name.end(), '/', '-');
        path_ = std::filesystem::temp_directory_path() / name;
        std::filesystem::create_directories(path_);
        std::string rows = "track_id,genre,energy,tempo,valence,duration_ms,explicit\n";
        for (int i = 0; i < 40; ++i) {
            rows += "id" + std::to_string(i / 2) + (i % 2 ? ",punk,0." : ",funk,0.") +
                    std::to_string(10 + i) + "," + std::to_string(80 + i) + ",0." +
                    std::to_string(1 + i % 7) + "," + std::to_string(180000 + i) +
                    (i % 3 ? ",True\n" : ",False\n");
        }
        write("tracks.csv", rows);
    }
    ~StudyFolder() { std::filesystem::remove_all(path_); }
    StudyFolder(const StudyFolder&) = delete;
    StudyFolder& operator=(const StudyFolder&) = delete;

    std::filesystem::path write(const std::string& name, const std::string& content) const {
        std::ofstream(path_ / name, std::ios::binary) << content;
        return path_ / name;
    }

    Study load(const std::string& toml, const std::vector<std::string>& overrides = {}) const {
        return load_study(write("study.toml", toml), overrides);
    }

    // The errors of a study; empty if it has none.
    std::vector<Diagnostic> diagnostics(const std::string& toml,
                                        const std::vector<std::string>& overrides = {}) const {
        try {
            load(toml, overrides);
        } catch (const StudyError& error) {
            return error.diagnostics();
        }
        return {};
    }

    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

// A folder with a model in it, of a hidden size of 32 with a vocabulary of 5 tokens.
inline void write_small_model(const StudyFolder& folder, const std::string& name,
                              const std::string& vocabulary_size = "5") {
    std::filesystem::create_directory(folder.path() / name);
    folder.write(name + "/config.json", R"({"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 3,
        "num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 200, "hidden_dropout_prob": 0.2,
        "vocab_size": )" + vocabulary_size + "}");
    folder.write(name + "/model.safetensors", "weights");
    folder.write(name + "/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
}

inline std::vector<Variant> last_stage(const Study& study) {
    return study.expand(study.stages.back(), study.base);
}

inline std::vector<std::string> names_of(const std::vector<Variant>& variants) {
    std::vector<std::string> names;
    for (const auto& variant : variants) {
        names.push_back(variant.name);
    }
    return names;
}

inline std::vector<SeedConfig> seeds_of(const Variant& variant) {
    std::vector<SeedConfig> seeds;
    for (const auto& run : variant.runs) {
        seeds.push_back(run.seed);
    }
    return seeds;
}

}  // namespace orchestrate::testing
