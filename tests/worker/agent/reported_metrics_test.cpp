// What is made of a command's reports: which values hold at its end, and which fault a refused one is.
#include "worker/agent/reported_metrics.h"

#include <gmock/gmock.h>

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Recorder : public AttemptObserver {
  public:
    void on_progress(const TrainingProgress& line) override { progress.push_back(line); }
    void on_epoch(const EpochMetrics& line) override { epochs.push_back(line); }
    void on_log(const std::string& line) override { log += line + "\n"; }

    std::vector<TrainingProgress> progress;
    std::vector<EpochMetrics> epochs;
    std::string log;
};

class Reports : public ::testing::Test {
  protected:
    void take(std::initializer_list<const char*> lines) {
        for (const char* line : lines) {
            metrics_.take(line);
        }
    }
    // "": none.
    std::string fault(const std::vector<std::string>& expected = {"test loss"}) const {
        const auto found = metrics_.fault(expected);
        return found ? std::string(to_string(found->cause)) + ": " + found->message : "";
    }

    Recorder seen_;
    ReportedMetrics metrics_{seen_};
};

TEST_F(Reports, TheLastValueHolds) {
    take({R"({"metrics": {"loss": 2, "f1": 0.1}})", R"({"metrics": {"loss": 1}})"});
    EXPECT_THAT(metrics_.values(), ElementsAre(MetricValue{MetricPart::test, "f1", 0.1},
                                               MetricValue{MetricPart::test, "loss", 1}));
    EXPECT_EQ(fault(), "");
}

struct RefusedCase {
    const char* lines[3];  // after {"metrics": {"loss": 0.5}}
    const char* fault;     // "": none
};

class LastWord : public Reports, public ::testing::WithParamInterface<RefusedCase> {};

TEST_P(LastWord, Counts) {
    take({R"({"metrics": {"loss": 0.5}})"});
    for (const char* line : GetParam().lines) {
        if (line != nullptr) {
            metrics_.take(line);
        }
    }
    if (*GetParam().fault == '\0') {
        EXPECT_EQ(fault(), "");
        EXPECT_THAT(metrics_.values(), SizeIs(1));
    } else {
        EXPECT_THAT(fault(), HasSubstr(GetParam().fault));
        EXPECT_THAT(metrics_.values(), IsEmpty()) << "an older value is still there";
    }
}

INSTANTIATE_TEST_SUITE_P(
    Reports, LastWord,
    ::testing::Values(
        RefusedCase{{R"({"metrics": {"loss": NaN}})"}, "diverged: the last test loss is NaN (line 2"},
        RefusedCase{{R"({"metrics": {"loss": Infinity}})"}, "diverged: the last test loss is Infinity"},
        RefusedCase{{R"({"metrics": {"loss": -inf}})"}, "diverged: the last test loss is -inf"},
        RefusedCase{{R"({"metrics": {"loss": 1e999}})"}, "diverged: the last test loss is 1e999"},
        RefusedCase{{R"({"metrics": {"loss": -1e400}})"}, "diverged: the last test loss is -1e400"},
        RefusedCase{{R"({"metrics": {"loss": "0.4"}})"}, "user_error: the last test loss is \"0.4\" (line 2"},
        RefusedCase{{R"({"metrics": {"loss": "NaN"}})"}, "user_error: the last test loss is \"NaN\""},
        RefusedCase{{R"({"metrics": {"loss": null}})"}, "user_error: the last test loss is null"},
        RefusedCase{{R"({"metrics": {"loss": true}})"}, "user_error: the last test loss is true"},
        RefusedCase{{R"({"metrics": {"loss": [0.4]}})"}, "user_error: the last test loss is [0.4]"},
        RefusedCase{{R"({"metrics": {"loss": 0.4}, "part": "tset"})"},
                    "line 2 of the metrics is not understood"},
        RefusedCase{{R"({"metric": {"loss": 0.4}})"}, "did you mean 'metrics'?"},
        RefusedCase{{R"({"loss_": 0.4})"}, "has the unknown key 'loss_'"},
        RefusedCase{{R"({"metrics": {"loss": 0.)"}, "is no valid JSON"},
        RefusedCase{{"{\"metrics\": {\"loss\xff\": 0.4}}"}, "is no valid JSON"},
        RefusedCase{{R"({"metrics": {"loss": 0.4, "loss": 0.3}})"}, "stands twice"},
        RefusedCase{{R"({"metrics": {"lo\u001bss": 0.4}})"}, "has control characters"},
        // A later value that is taken holds.
        RefusedCase{{R"({"metrics": {"loss": NaN}})", R"({"metrics": {"loss": 0.4}})"}, ""},
        RefusedCase{{"nonsense", R"({"metrics": {"loss": 0.4}})"}, ""},
        // Lines that report no metric of the end do no harm.
        RefusedCase{{R"({"step": "three"})", R"({"step": 3, "loss": NaN})"}, ""},
        RefusedCase{{R"({"epoch": 2, "metrics": {"loss": NaN}})"}, ""}, RefusedCase{{""}, ""}));

TEST_F(Reports, ALineThatIsTooLongIsNotUnderstood) {
    take({R"({"metrics": {"loss": 0.5}})"});
    metrics_.take(R"({"metrics": {"loss": 0.4}})" + std::string(kMaxMetricLineBytes, ' '));
    EXPECT_THAT(fault(), AllOf(HasSubstr("line 2"), HasSubstr("1048576 bytes or more")));
}

TEST_F(Reports, DivergenceIsFoundBeforeAnotherFault) {
    take({R"({"metrics": {"loss": NaN}, "part": "validation"})"});
    EXPECT_THAT(fault({"test loss", "validation loss"}),
                HasSubstr("diverged: the last validation loss is NaN"));
}

TEST_F(Reports, AMetricThatNobodyAskedForMayBeNotFinite) {
    take({R"({"metrics": {"loss": 0.5, "norm": 3}})", R"({"metrics": {"norm": NaN}})"});
    EXPECT_EQ(fault(), "");
    EXPECT_THAT(metrics_.values(), ElementsAre(MetricValue{MetricPart::test, "loss", 0.5}));
    EXPECT_THAT(seen_.log, HasSubstr("not taken: line 2 of the metrics: test norm is NaN"));
}

TEST_F(Reports, AMissingMetricIsExplained) {
    take({R"({"metrics": {"losss": 0.5}})"});
    EXPECT_EQ(fault(),
              "user_error: the metric 'test loss' was not reported; reported: test losss; is 'test losss' "
              "meant?");
}

TEST_F(Reports, EpochsComeInAscendingOrder) {
    take({R"({"epoch": 2, "metrics": {"f1": 0.5}})",
          R"({"epoch": 2, "metrics": {"f1": 0.5}, "part": "test"})",
          R"({"epoch": 1, "metrics": {"f1": 0.9}})", R"({"epoch": 3, "metrics": {"f1": NaN, "loss": 1}})"});
    ASSERT_THAT(seen_.epochs, SizeIs(3));
    EXPECT_EQ(seen_.epochs[1].metrics, (std::vector<MetricValue>{{MetricPart::test, "f1", 0.5}}));
    EXPECT_EQ(seen_.epochs[2].metrics, (std::vector<MetricValue>{{MetricPart::validation, "loss", 1}}));
    EXPECT_THAT(seen_.log, AllOf(HasSubstr("of epoch 1, after epoch 2"),
                                 HasSubstr("epoch's validation f1 is NaN, expected a finite number")));
}

TEST_F(Reports, DeclaredOnesHaveRoomAndComeFirst) {
    ReportedMetrics metrics(seen_, {"test v", "validation w"});
    for (std::size_t i = 0; i < kMaxReportedMetrics + 5; ++i) {
        metrics.take(R"({"metrics": {"u)" + std::to_string(i) + R"(": 1}})");
    }
    metrics.take(R"({"metrics": {"w": 3}, "part": "validation"})");
    metrics.take(R"({"metrics": {"v": 2}})");
    EXPECT_FALSE(metrics.fault({"test v", "validation w"}));
    const auto values = metrics.values();
    ASSERT_THAT(values, SizeIs(kMaxReportedMetrics));
    EXPECT_EQ(values[0], (MetricValue{MetricPart::test, "v", 2}));
    EXPECT_EQ(values[1], (MetricValue{MetricPart::validation, "w", 3}));
    EXPECT_EQ(values[2], (MetricValue{MetricPart::test, "u0", 1}));
    EXPECT_THAT(seen_.log, HasSubstr("not taken: 'test u9998' and all later ones"));
}

TEST_F(Reports, AreBounded) {
    std::string many = R"({"metrics": {)";
    for (std::size_t i = 0; i < kMaxReportedMetrics + 5; ++i) {
        many += (i == 0 ? "\"m" : ",\"m") + std::to_string(i) + "\":1";
    }
    metrics_.take(many + "}}");
    EXPECT_THAT(metrics_.values(), SizeIs(kMaxReportedMetrics));
    std::string line = R"(, "metrics": {)";
    for (int i = 0; i < 1000; ++i) {
        line += (i == 0 ? "\"m" : ",\"m") + std::to_string(i) + "\":1";
    }
    for (std::size_t epoch = 1; epoch <= kMaxEpochValues / 1000 + 3; ++epoch) {
        metrics_.take("{\"epoch\": " + std::to_string(epoch) + line + "}}");
    }
    EXPECT_THAT(seen_.epochs, SizeIs(kMaxEpochValues / 1000));
    EXPECT_THAT(seen_.log, HasSubstr("at most 200000 values of epochs"));
}

}  // namespace
}  // namespace orchestrate
