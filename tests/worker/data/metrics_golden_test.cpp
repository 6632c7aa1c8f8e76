// Metrics, scaler and label order, against what scikit-learn gave.
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/temporary_folder.h"
#include "common/data/dataset.h"
#include "common/job/job_config.h"
#include "common/metrics/classification_metrics.h"
#include "golden.h"
#include "worker/data/scaler.h"

namespace orchestrate {
namespace {

using nlohmann::json;

void expect_averages(const Averages& found, const json& expected, const std::string& name) {
    EXPECT_NEAR(found.precision, expected.at("precision").get<double>(), 1e-12) << name;
    EXPECT_NEAR(found.recall, expected.at("recall").get<double>(), 1e-12) << name;
    EXPECT_NEAR(found.f1, expected.at("f1").get<double>(), 1e-12) << name;
}

TEST(MetricsGolden, EqualScikitLearn) {
    const auto path = golden_folder() / "metrics.json";
    ORCHESTRATE_SKIP_WITHOUT(path, "ORCHESTRATE_GOLDEN");
    const auto cases = read_json(path).at("cases");
    ASSERT_FALSE(cases.empty());
    for (const auto& expected : cases) {
        const auto name = expected.at("name").get<std::string>();
        const auto classes = expected.at("num_classes").get<std::size_t>();
        ConfusionMatrix confusion(classes);
        confusion.add(expected.at("y_true").get<std::vector<std::int32_t>>(),
                      expected.at("y_pred").get<std::vector<std::int32_t>>());
        const auto found = classification_metrics(confusion);
        EXPECT_NEAR(found.accuracy, expected.at("accuracy").get<double>(), 1e-12) << name;
        expect_averages(found.macro, expected.at("macro"), name);
        expect_averages(found.micro, expected.at("micro"), name);
        expect_averages(found.weighted, expected.at("weighted"), name);
        for (std::size_t i = 0; i < classes; ++i) {
            const json one = {{"precision", expected["per_class"]["precision"][i]},
                              {"recall", expected["per_class"]["recall"][i]},
                              {"f1", expected["per_class"]["f1"][i]}};
            expect_averages(found.per_class[i], one, name);
            EXPECT_EQ(found.support[i], expected["per_class"]["support"][i].get<std::int64_t>()) << name;
            for (std::size_t j = 0; j < classes; ++j) {
                EXPECT_EQ(confusion.count(i, j), expected["confusion"][i][j].get<std::int64_t>()) << name;
            }
        }
    }
}

// What scikit-learn says of random labels and probabilities (make_scikit_learn_metrics.py).
TEST(ProbabilityMetrics, EqualScikitLearn) {
    const auto cases =
        read_json(std::string(ORCHESTRATE_SOURCE_DIR) + "/tests/worker/data/scikit_learn_metrics.json")
            .at("cases");
    ASSERT_FALSE(cases.empty());
    for (const auto& one : cases) {
        SCOPED_TRACE(one.at("name").get<std::string>());
        const auto classes = one.at("classes").get<std::size_t>();
        const auto labels = one.at("labels").get<std::vector<std::int32_t>>();
        const auto probabilities = one.at("probabilities").get<std::vector<float>>();
        ConfusionMatrix confusion(classes);
        for (std::size_t row = 0; row < labels.size(); ++row) {
            const auto begin = probabilities.begin() + static_cast<std::ptrdiff_t>(row * classes);
            const auto most = std::max_element(begin, begin + static_cast<std::ptrdiff_t>(classes));
            confusion.add(labels[row], static_cast<std::int32_t>(most - begin));
        }
        auto found = metrics_of_predictions(MetricPart::test, confusion);
        for (auto& metric :
             metrics_of_probabilities(MetricPart::test, 0.5, {probabilities, labels, classes})) {
            found.push_back(std::move(metric));
        }
        EXPECT_EQ(found.size(), training_metrics().size());
        for (const auto& [name, expected] : one.at("expected").items()) {
            EXPECT_NEAR(find_metric(found, {MetricPart::test, name}).value(), expected.get<double>(), 1e-12)
                << name;
        }
    }
}

TEST(ProbabilityMetrics, AreDefinedWithoutRows) {
    const ProbabilityMetrics none = probability_metrics({{}, {}, 3});
    EXPECT_EQ(none.brier_score, 0);
    EXPECT_EQ(none.macro_roc_auc, 0.5);
    EXPECT_EQ(ConfusionMatrix(3).cohen_kappa(), 0);
    EXPECT_EQ(ConfusionMatrix(3).matthews_correlation(), 0);
    EXPECT_EQ(ConfusionMatrix(3).balanced_accuracy(), 0);
}

TEST(ProbabilityMetrics, RefuseSizesThatDoNotFit) {
    const std::vector<float> probabilities = {0.5F, 0.5F};
    const std::vector<std::int32_t> labels = {0};
    const std::vector<std::int32_t> unknown = {2};
    EXPECT_THROW(probability_metrics({probabilities, labels, 3}), std::invalid_argument);
    EXPECT_THROW(probability_metrics({probabilities, unknown, 2}), std::invalid_argument);
}

// Any metric that a training reports can choose its epoch.
TEST(TrainingMetrics, AllChooseEpochs) {
    for (const auto& metric : training_metrics()) {
        const auto selection = enum_from_name<EpochSelection>("best_validation_" + metric.name);
        ASSERT_TRUE(selection) << metric.name;
        EXPECT_EQ(selection_metric(*selection), enum_from_name<TrainingMetric>(metric.name));
    }
    EXPECT_EQ(enum_names<EpochSelection>().size(), training_metrics().size() + 1);
    EXPECT_EQ(selection_metric(EpochSelection::last), std::nullopt);
}

TEST(SplitGolden, StandardizationEqualsScikitLearn) {
    const auto path = golden_folder() / "split.json";
    ORCHESTRATE_SKIP_WITHOUT(path, "ORCHESTRATE_GOLDEN");
    const auto scalers = read_json(path).at("scaler");
    ASSERT_FALSE(scalers.empty());
    for (const auto& expected : scalers) {
        const auto name = expected.at("name").get<std::string>();
        const bool large_offset = name == "large offset";
        const auto rows = expected.at("rows").get<std::vector<std::vector<double>>>();
        const auto new_rows = expected.at("new_rows").get<std::vector<std::vector<double>>>();
        for (std::size_t column = 0; column < rows.front().size(); ++column) {
            std::vector<double> values;
            for (const auto& row : rows) {
                values.push_back(row[column]);
            }
            const auto fitted = Standardization::fit(values);
            const auto mean = expected.at("mean")[column].get<double>();
            const auto scale = expected.at("scale")[column].get<double>();
            EXPECT_NEAR(fitted.mean, mean, 1e-12 * std::abs(mean)) << name << " column " << column;
            EXPECT_NEAR(fitted.deviation, scale, (large_offset ? 1e-9 : 1e-12) * scale)
                << name << " column " << column;
            for (std::size_t row = 0; row < new_rows.size(); ++row) {
                const auto scaled = expected.at("new_rows_scaled")[row][column].get<double>();
                EXPECT_NEAR(fitted(new_rows[row][column]), scaled,
                            large_offset ? 1e-5 : 1e-12 * (1 + std::abs(scaled)))
                    << name << " column " << column << " row " << row;
            }
        }
    }
}

TEST(SplitGolden, ClassesAreInTheOrderOfLabelEncoder) {
    const auto path = golden_folder() / "split.json";
    ORCHESTRATE_SKIP_WITHOUT(path, "ORCHESTRATE_GOLDEN");
    const auto golden = read_json(path);
    const TemporaryFolder folder;
    const auto file = folder.path() / "labels.csv";
    for (const auto& expected : golden.at("label_encoder")) {
        DataConfig config;
        config.label = "label";
        config.classes = expected.at("classes").get<std::vector<std::string>>();
        std::reverse(config.classes.begin(), config.classes.end());
        config.features = {"x"};
        {
            std::ofstream out(file);
            out << "label,x\n";
            for (const auto& value : expected.at("values")) {
                out << '"' << value.get<std::string>() << "\",1\n";
            }
        }
        const auto dataset = read_dataset(file, config, config.features);
        EXPECT_EQ(dataset.classes, expected.at("classes").get<std::vector<std::string>>());
        EXPECT_EQ(dataset.label, expected.at("ids").get<std::vector<std::int32_t>>());
    }

    const auto tracks = data_folder() / "spotify-tracks.csv.gz";
    ORCHESTRATE_SKIP_WITHOUT(tracks, "ORCHESTRATE_DATA");
    DataConfig config;
    config.label = "track_genre";
    EXPECT_EQ(read_dataset(tracks, config, {}).classes, golden.at("genres").get<std::vector<std::string>>());
}

}  // namespace
}  // namespace orchestrate
