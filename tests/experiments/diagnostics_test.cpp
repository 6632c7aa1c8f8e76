#include <gmock/gmock.h>
#include <sys/stat.h>

#include "study_files.h"

namespace orchestrate::testing {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct InvalidStudy {
    std::string name;        // of the test
    std::string toml;        // below kDataSection, which has 4 lines
    std::string underlined;  // what is pointed at
    std::string message;     // a part of it
    std::string suggestion;
};

void PrintTo(const InvalidStudy& invalid, std::ostream* output) {
    *output << invalid.name;
}

// The text that a diagnostic points at (ASCII lines only).
std::string underlined_part(const Diagnostic& diagnostic) {
    return diagnostic.source_line.substr(static_cast<std::size_t>(diagnostic.column - 1),
                                         static_cast<std::size_t>(diagnostic.length));
}

class OneInvalidStudy : public ::testing::TestWithParam<InvalidStudy> {};

TEST_P(OneInvalidStudy, IsShownAtItsPlace) {
    const StudyFolder folder;
    const auto& expected = GetParam();
    const std::string toml = kDataSection + expected.toml;
    const auto diagnostics = folder.diagnostics(toml);
    ASSERT_THAT(diagnostics, SizeIs(1)) << (diagnostics.empty() ? "" : StudyError(diagnostics).what());
    const auto& found = diagnostics.front();
    EXPECT_THAT(found.message, HasSubstr(expected.message));
    EXPECT_EQ(found.suggestion, expected.suggestion);
    EXPECT_EQ(underlined_part(found), expected.underlined);
    EXPECT_EQ(found.file, (folder.path() / "study.toml").string());
    EXPECT_FALSE(found.is_warning);
    // The line is where the file has it.
    std::istringstream lines(toml);
    std::string line;
    for (std::int64_t i = 0; i < found.line; ++i) {
        std::getline(lines, line);
    }
    EXPECT_EQ(line, found.source_line);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OneInvalidStudy,
    ::testing::Values(
        InvalidStudy{"unknown_key", "[train]\nepoch = 3", "epoch", "unknown key 'epoch' in [train]",
                     "epochs"},
        InvalidStudy{"unknown_nested_key", "text.from = \"rounded\"", "from",
                     "unknown key 'from' in [data.text]", "form"},
        InvalidStudy{"unknown_section", "[trian]\nepochs = 3", "trian", "unknown section 'trian'", "train"},
        InvalidStudy{"key_of_another_section", "[model]\nbatch_size = 3", "batch_size", "in [model]",
                     "train.batch_size"},
        InvalidStudy{"nothing_near", "[train]\nqqqqqq = 3", "qqqqqq", "expected adam_beta1", ""},
        InvalidStudy{"section_is_no_table", "split = 3", "3", "expected a table, [data.split]", ""},
        InvalidStudy{"text_for_integer", "[train]\nepochs = \"three\"", "\"three\"",
                     "expected an integer from 1", ""},
        InvalidStudy{"number_for_integer", "[train]\nepochs = 2.5", "2.5",
                     "cannot be the number 2.5; expected an integer", ""},
        InvalidStudy{"date", "[train]\nepochs = 2020-01-01", "2020-01-01", "the date or time 2020-01-01", ""},
        InvalidStudy{"below_range", "[train]\nepochs = 0", "0", "from 1 to 100000", ""},
        InvalidStudy{"above_range", "[model]\nhidden_dropout_prob = 1.0", "1.0", "of at least 0 and below 1",
                     ""},
        InvalidStudy{"not_finite", "[train]\nlearning_rate = inf", "inf", "above 0", ""},
        InvalidStudy{"not_a_number", "[train]\nlearning_rate = nan", "nan", "above 0", ""},
        InvalidStudy{"text_for_flag", "split.stratify = \"yes\"", "\"yes\"", "expected true or false", ""},
        InvalidStudy{"integer_for_text", "[study]\nname = 3", "3", "expected a text", ""},
        InvalidStudy{"empty_name", "[study]\nname = \"\"", "\"\"", "study.name is empty", ""},
        InvalidStudy{"unknown_choice", "[model]\nhead_activation = \"rellu\"", "\"rellu\"",
                     "expected \"relu\", \"tanh\", \"sigmoid\" or \"gelu\"", "relu"},
        InvalidStudy{"number_for_choice", "[model]\nhead_activation = 1", "1", "expected \"relu\"", ""},
        InvalidStudy{"unknown_precision", "[train]\nprecision = \"fp23\"", "\"fp23\"",
                     "expected \"auto\", \"fp32\"", "fp32"},
        InvalidStudy{"head_width", "[model]\nhead_width = \"non\"", "\"non\"", "or \"none\"", ""},
        InvalidStudy{"unknown_selection",
                     "[search]\nselect_by = \"validation macro_f2\"\n[search.space]\n"
                     "\"train.epochs\" = { choice = [1] }",
                     "\"validation macro_f2\"", "there is no metric 'macro_f2'; expected accuracy",
                     "macro_f1"},
        InvalidStudy{"selection_without_part",
                     "[search]\nselect_by = \"macro_f1\"\n[search.space]\n"
                     "\"train.epochs\" = { choice = [1] }",
                     "\"macro_f1\"", "e.g. \"validation macro_f1\"", ""},
        InvalidStudy{"time_limit", "[cluster]\ntime_limit = \"soon\"", "\"soon\"", "01:30:00", ""},
        InvalidStudy{"seed_twice", "[study]\nseeds = [1, 2, 1]", "1", "seed 1 is listed twice", ""},
        InvalidStudy{"negative_seed", "[study]\nseeds = [1, -2]", "-2", "an integer of at least 0", ""},
        InvalidStudy{"no_seeds", "[study]\nseeds = []", "[]",
                     "study.seeds cannot be an empty list; expected a list such as", ""},
        InvalidStudy{"unknown_group_column", "split.group_by = [\"track\"]", "\"track\"",
                     "grouping column 'track' is no column of tracks.csv", "track_id"},
        InvalidStudy{"unknown_group_column_key",
                     "split.group_by = [{ column = \"track_id\", first = \";\" }]", "first",
                     "unknown key 'first'", "first_of"},
        InvalidStudy{"group_column_twice", "split.group_by = [\"track_id\", \"track_id\"]", "\"track_id\"",
                     "twice", ""},
        InvalidStudy{"unknown_class", "classes = [\"punk\", \"fink\"]", "\"fink\"", "'fink' does not occur",
                     "funk"},
        InvalidStudy{"class_twice", "classes = [\"punk\", \"funk\", \"punk\"]", "\"punk\"", "listed twice",
                     ""},
        InvalidStudy{"one_class", "classes = [\"punk\"]", "[\"punk\"]", "at least two", ""},
        InvalidStudy{"missing_vocabulary", "[tokenizer]\nvocabulary = \"nowhere\"", "\"nowhere\"",
                     "vocab.json", ""},
        InvalidStudy{"parts", "split.train = 0.7", "0.7", "add up to 0.9", ""},
        InvalidStudy{"heads", "[model]\nnum_attention_heads = 3", "3",
                     "does not divide model.hidden_size = 64", ""},
        InvalidStudy{"positions", "[tokenizer]\nmax_length = 600", "600",
                     "max_position_embeddings of at least 602", ""},
        InvalidStudy{"batch_below_ranks", "[study]\nranks = 4\n[train]\nbatch_size = 2", "2", "over 4 ranks",
                     ""},
        InvalidStudy{"too_few_slots", "[study]\nranks = 4\n[cluster]\nslots = 2", "2", "study.ranks = 4", ""},
        InvalidStudy{"too_few_rows", "max_rows = 1", "1", "at least one row per class", ""},
        InvalidStudy{"search_without_space", "[search]\ntrials = 3", "search", "no [search.space]", ""},
        InvalidStudy{"unknown_distribution", "[search.space]\n\"train.epochs\" = { intger = [1, 2] }",
                     "intger", "unknown distribution 'intger'", "integer"},
        InvalidStudy{"no_distribution", "[search.space]\n\"train.epochs\" = 3", "3", "{ choice = [...] }",
                     ""},
        InvalidStudy{"searched_unknown_field", "[search.space]\n\"train.epoch\" = { choice = [1] }",
                     "\"train.epoch\"", "unknown field 'train.epoch'", "train.epochs"},
        InvalidStudy{"searched_fixed_field", "[search.space]\n\"data.label\" = { choice = [\"a\"] }",
                     "\"data.label\"", "holds for the whole study", ""},
        InvalidStudy{"choice_out_of_range", "[search.space]\n\"train.epochs\" = { choice = [3, 0] }", "0",
                     "from 1", ""},
        InvalidStudy{"range_out_of_range", "[search.space]\n\"train.epochs\" = { integer = [0, 5] }", "0",
                     "from 1", ""},
        InvalidStudy{"range_backwards", "[search.space]\n\"train.epochs\" = { integer = [5, 2] }", "[5, 2]",
                     "lowest", ""},
        InvalidStudy{"range_of_one", "[search.space]\n\"train.epochs\" = { integer = [5] }", "[5]",
                     "two numbers", ""},
        InvalidStudy{"real_range_of_integer", "[search.space]\n\"train.epochs\" = { uniform = [1, 5] }",
                     "[1, 5]", "is an integer", "integer"},
        InvalidStudy{"log_of_zero", "[search.space]\n\"train.weight_decay\" = { log_uniform = [0, 1] }", "0",
                     "above 0", ""},
        InvalidStudy{"contradictory_trial", "[search.space]\n\"model.hidden_size\" = { choice = [63] }",
                     "space", "trial 1 (hidden size 63)", ""},
        InvalidStudy{"ablation_in_single_brackets", "[ablation]\nadd = \"explicit\"", "[ablation]",
                     "double brackets", ""},
        InvalidStudy{"unknown_ablation_key", "[[ablation]]\nadd = \"explicit\"\nseed = 3", "seed",
                     "in [[ablation]]", "seeds"},
        InvalidStudy{"empty_ablation", "[[ablation]]\nname = \"x\"", "[[ablation]]", "changes nothing", ""},
        InvalidStudy{"mixed_ablation", "[[ablation]]\nleave_one_out = \"data.features\"\nadd = \"explicit\"",
                     "[[ablation]]", "leave_one_out and add in one ablation contradict", ""},
        InvalidStudy{"left_out_feature_is_not_in_the_list", "[[ablation]]\nleave_out = \"enrgy\"",
                     "\"enrgy\"", "not in data.features", "energy"},
        InvalidStudy{"added_feature_is_there", "[[ablation]]\nadd = \"tempo\"", "\"tempo\"",
                     "already in data.features", ""},
        InvalidStudy{"added_feature_is_no_column", "[[ablation]]\nadd = \"explcit\"", "\"explcit\"",
                     "is no column", "explicit"},
        InvalidStudy{"added_feature_is_the_label", "[[ablation]]\nadd = \"genre\"", "\"genre\"",
                     "reads the answer", ""},
        InvalidStudy{"nothing_left", "[[ablation]]\nleave_out = [\"energy\", \"tempo\", \"valence\"]",
                     "\"valence\"", "leaves no feature", ""},
        InvalidStudy{"set_unknown_field", "[[ablation]]\nset = { model.head_widht = 16 }", "head_widht",
                     "unknown field 'model.head_widht'", "model.head_width"},
        InvalidStudy{"set_unfit_value", "[[ablation]]\nset = { model.head_width = -1 }", "-1",
                     "expected an integer from 1", ""},
        InvalidStudy{"set_contradiction", "[[ablation]]\nset = { model.num_attention_heads = 5 }", "5",
                     "variant 'attention heads 5': model.num_attention_heads = 5 does not divide", ""},
        InvalidStudy{"sweep_is_no_list", "[[ablation]]\nsweep = { model.head_width = 16 }", "16",
                     "a list of values", ""},
        InvalidStudy{"same_name", "[[ablation]]\nadd = \"explicit\"\n[[ablation]]\nadd = \"explicit\"",
                     "\"explicit\"", "two variants are named 'with explicit': the other is made in line 6",
                     ""},
        InvalidStudy{"named_baseline", "[[ablation]]\nadd = \"explicit\"\nname = \"baseline\"",
                     "\"explicit\"", "two variants are named 'baseline'", ""},
        InvalidStudy{"one_name_for_several", "[[ablation]]\nleave_one_out = \"data.features\"\nname = \"x\"",
                     "\"x\"", "expected {} in it", ""},
        InvalidStudy{"ranks_of_ablation", "[[ablation]]\nadd = \"explicit\"\nranks = 0", "0",
                     "from 1 to 4096", ""}),
    [](const auto& test) { return test.param.name; });

TEST(Diagnostics, AreAllShownAtOnceInOrder) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(R"([data]
path = "tracks.csv"
label = "genr"
features = ["energy", "tempi"]
classes = ["fnk", "punk"]
[train]
epoch = 3
batch_size = "many"
[[ablation]]
add = "explict"
)",
                                                {"model.hidden_sise=3"});
    std::vector<std::string> suggestions;
    for (const auto& invalid : diagnostics) {
        suggestions.push_back(std::to_string(invalid.line) + " " + invalid.suggestion);
    }
    EXPECT_THAT(suggestions, ::testing::UnorderedElementsAre("3 genre", "4 tempo", "7 epochs", "8 ",
                                                             "10 explicit", "0 model.hidden_size"));
}

TEST(Diagnostics, GenresAreCheckedBesideUnknownColumns) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(
        "[data]\npath = \"tracks.csv\"\nlabel = \"genre\"\nfeatures = [\"tempi\"]\nclasses = [\"fnk\", "
        "\"punk\"]\n");
    ASSERT_THAT(diagnostics, SizeIs(2));
    EXPECT_EQ(diagnostics[0].suggestion, "tempo");
    EXPECT_EQ(diagnostics[1].suggestion, "funk");
}

TEST(Diagnostics, RequiredFieldsAreNamed) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics("[data]\nsource = \"the moon\"\n");
    ASSERT_THAT(diagnostics, SizeIs(3));
    std::string all = StudyError(diagnostics).what();
    EXPECT_THAT(all, AllOf(HasSubstr("data.path is not set"), HasSubstr("--set data.path=FILE"),
                           HasSubstr("the moon"), HasSubstr("data.label is not set"),
                           HasSubstr("data.features is not set")));
    EXPECT_EQ(diagnostics[0].line, 1);
    EXPECT_THAT(folder.diagnostics(""), SizeIs(3));
}

TEST(Diagnostics, AMissingDataFileIsNamedWithWhereToGetIt) {
    const StudyFolder folder;
    const auto diagnostics =
        folder.diagnostics(kDataSection + "source = \"the moon\"\n", {"data.path=nowhere.csv"});
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_THAT(diagnostics[0].message,
                AllOf(HasSubstr("no file"), HasSubstr("nowhere.csv"), HasSubstr("the moon")));
    EXPECT_EQ(diagnostics[0].file, "command line");
    EXPECT_EQ(diagnostics[0].line, 0);
}

TEST(Diagnostics, AreCalledByTheWholeListsName) {
    const StudyFolder folder;
    const auto first = [&](const std::string& toml, const std::vector<std::string>& overrides = {}) {
        const auto found = folder.diagnostics(toml, overrides);
        return found.empty() ? "none" : found.front().message;
    };
    EXPECT_THAT(first("[data]\npath = \"tracks.csv\"\nlabel = \"genre\"\nfeatures = []\n"),
                HasSubstr("data.features cannot be an empty list"));
    EXPECT_THAT(first(kDataSection + "[[ensemble]]\nmembers = []\n"),
                HasSubstr("members cannot be an empty list"));
    EXPECT_THAT(first(kDataSection, {"study.seeds=1,2"}), HasSubstr("study.seeds cannot be"));
}

TEST(Diagnostics, NamesHaveNoBlanksAtTheirEnds) {
    const StudyFolder folder;
    const auto all = [&](const std::string& toml) {
        return std::string(StudyError(folder.diagnostics(kDataSection + toml)).what());
    };
    EXPECT_THAT(all("[study]\nname = \" \"\n"), HasSubstr("study.name cannot be ' ', which is blank"));
    EXPECT_THAT(all("[study]\nname = \"grid \"\n"),
                HasSubstr("study.name cannot be 'grid '; expected a name without blanks at its ends"));
    const std::string ablation = "[[ablation]]\nleave_one_out = [\"energy\"]\n";
    EXPECT_THAT(all(ablation + "name = \" \"\n"), HasSubstr("name cannot be ' '"));
    EXPECT_THAT(all(ablation + "names = { \"without energy\" = \" x\" }\n"), HasSubstr("cannot be ' x'"));
    EXPECT_THAT(all("[[ablation]]\nvariants = { \" \" = { set = { train.epochs = 2 } } }\n"),
                HasSubstr("the name of a variant cannot be ' '"));
}

TEST(Diagnostics, OfAParameterAreNotRepeatedWhereItIsSwept) {
    const StudyFolder folder;
    const auto found = folder.diagnostics(
        "[command]\nrun = [\"true\"]\nmetrics = [\"a\"]\n[parameters]\nx = nan\n"
        "[[ablation]]\nsweep = { x = [1.0, inf] }\n");
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_THAT(found[0].message,
                HasSubstr("parameters.x cannot be the number nan; expected a finite number"));
}

// Opening a named pipe would wait for ever, and /dev/zero has no end.
TEST(Diagnostics, WhatIsNoRegularFileIsNamed) {
    const StudyFolder folder;
    const std::string pipe = (folder.path() / "pipe").string();
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    std::filesystem::create_symlink("/dev/zero", folder.path() / "zero");
    const auto invalid = [&](const std::string& toml, const std::vector<std::string>& overrides = {}) {
        const auto found = folder.diagnostics(toml, overrides);
        return found.empty() ? "none" : found.front().message;
    };
    EXPECT_THAT(invalid(kDataSection, {"data.path=" + pipe}),
                HasSubstr("pipe' is a named pipe; expected a CSV"));
    EXPECT_THAT(invalid(kDataSection, {"data.path=" + folder.path().string()}),
                HasSubstr("' is a directory; expected"));
    EXPECT_THAT(invalid(kDataSection, {"data.path=/dev/zero"}),
                HasSubstr("'/dev/zero' is a device; expected"));
    EXPECT_THAT(invalid("include = [\"pipe\"]\n"), HasSubstr("pipe' is a named pipe; expected a study file"));
    for (const std::string name : {"pipe", "zero"}) {
        EXPECT_THAT(invalid("[command]\nrun = [\"true\"]\nmetrics = [\"a\"]\nfiles = [\"" + name + "\"]\n"),
                    HasSubstr(name + "' is a " + (name == "pipe" ? "named pipe" : "device") + "; expected"));
    }
    std::filesystem::create_directory(folder.path() / "model");
    for (const char* name : {"vocab.txt", "config.json", "model.safetensors"}) {
        mkfifo((folder.path() / "model" / name).c_str(), 0600);
    }
    EXPECT_THAT(invalid(kDataSection + "[tokenizer]\nvocabulary = \"model\"\n"),
                HasSubstr("vocab.txt' is a named pipe"));
    EXPECT_THAT(invalid(kDataSection + "[model]\npretrained = \"model\"\n"),
                HasSubstr("config.json' is a named pipe"));
    try {
        load_study(pipe, {});
        FAIL() << "expected StudyError";
    } catch (const StudyError& error) {
        EXPECT_THAT(error.what(),
                    AllOf(HasSubstr(pipe), HasSubstr("is a named pipe; expected the file of a study")));
    }
}

TEST(Diagnostics, BadRowsAreNamedByTheirLineInTheData) {
    const StudyFolder folder;
    folder.write("bad.csv",
                 "genre,energy,tempo,valence\npunk,1,2,3\nfunk,x,2,3\nfunk,1,2\npunk,2,2,2\nfunk,3,3,3\n");
    const auto diagnostics =
        folder.diagnostics(kDataSection, {"data.path=" + (folder.path() / "bad.csv").string()});
    ASSERT_THAT(diagnostics, SizeIs(::testing::Ge(1U)));
    std::vector<std::int64_t> lines;
    for (const auto& invalid : diagnostics) {
        EXPECT_EQ(invalid.file, (folder.path() / "bad.csv").string());
        lines.push_back(invalid.line);
    }
    EXPECT_THAT(lines, ::testing::Contains(4));
}

TEST(Diagnostics, APartWithoutRowsOfAClassIsWarnedOf) {
    const StudyFolder folder;
    std::string rows = "genre,energy,tempo,valence\n";
    for (int i = 0; i < 40; ++i) {
        rows += i < 36 ? "punk,1,2,3\n" : "ska,3,4,1\n";
    }
    folder.write("tracks.csv", rows);
    const auto study = folder.load(kDataSection + "[data.split]\nvalidation = 0.1\n");
    std::vector<std::string> of_parts;
    for (const auto& warning : study.warnings) {
        if (warning.message.find("no row in the") != std::string::npos) {
            of_parts.push_back(warning.message);
        }
    }
    ASSERT_THAT(of_parts, SizeIs(2)) << "validation and test";
    EXPECT_THAT(of_parts, Each(HasSubstr("1 of 2 classes has no row in the")));
    EXPECT_THAT(of_parts, Each(HasSubstr("'ska' (4 rows)")));
    EXPECT_THAT(
        folder.load(kDataSection + "split = { train = 0.6, validation = 0.2, test = 0.2 }\n").warnings,
        IsEmpty());
}

TEST(Diagnostics, TwoWaysToNameAVocabularyContradict) {
    const StudyFolder folder;
    std::filesystem::create_directory(folder.path() / "words");
    folder.write("words/vocab.json", "{}");
    folder.write("words/merges.txt", "#version: 0.2\n");
    for (const std::string size : {"512", "600"}) {  // the default and another
        const auto diagnostics = folder.diagnostics(
            kDataSection + "[tokenizer]\nvocabulary = \"words\"\nvocabulary_size = " + size + "\n");
        ASSERT_THAT(diagnostics, SizeIs(1));
        EXPECT_THAT(diagnostics[0].message, HasSubstr("contradict"));
        EXPECT_EQ(diagnostics[0].line, 7);
    }
}

TEST(Diagnostics, TheLabelAsFeature) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(
        "[data]\npath = \"tracks.csv\"\nlabel = \"genre\"\nfeatures = [\"energy\", \"genre\"]\n");
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_THAT(diagnostics[0].message, HasSubstr("also one of data.features"));
    EXPECT_EQ(diagnostics[0].line, 4);
}

TEST(Diagnostics, ProductsThatAreTooLargeAreNotTried) {
    const StudyFolder folder;
    std::string values = "0.1";
    for (int i = 0; i < 999; ++i) {
        values += ", 0.1";
    }
    const auto diagnostics = folder.diagnostics(
        kDataSection + "[[ablation]]\nsweep = { train.weight_decay = [" + values +
        "], train.learning_rate = [" + values + "], model.layer_norm_eps = [" + values + "] }\n");
    ASSERT_THAT(diagnostics, SizeIs(2));
    EXPECT_THAT(diagnostics[0].message, HasSubstr("1000 x 1000 variants; expected at most 100000"));
}

TEST(Diagnostics, SyntaxErrorsHaveAPlace) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics("[data]\npath = \n");
    ASSERT_THAT(diagnostics, SizeIs(1));
    EXPECT_EQ(diagnostics[0].line, 2);
    EXPECT_THAT(diagnostics[0].message, HasSubstr("not TOML"));
}

TEST(Diagnostics, AMissingStudyFileIsOne) {
    try {
        load_study("/nowhere/grid.toml", {});
        FAIL() << "expected StudyError";
    } catch (const StudyError& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("/nowhere/grid.toml"), HasSubstr("no such file")));
    }
}

TEST(Diagnostics, ContradictionsThatOnlyAWinnerMakesAreFoundBefore) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(kDataSection + R"([search]
trials = 20
[search.space]
"model.hidden_size" = { choice = [60, 64] }
[[ablation]]
set = { "model.num_attention_heads" = 8 }
)");
    ASSERT_THAT(diagnostics, SizeIs(2));
    EXPECT_TRUE(diagnostics[0].is_warning);  // of equal trials
    EXPECT_THAT(diagnostics[1].message,
                AllOf(HasSubstr("hidden size 60) wins the search"), HasSubstr("does not divide")));
    EXPECT_EQ(diagnostics[1].line, 10);
}

TEST(Overrides, WithoutEqualsSignOrThroughAValueAreMistakes) {
    const StudyFolder folder;
    const auto diagnostics = folder.diagnostics(
        kDataSection, {"train.epochs", "data.label.x=3", "train.epoch=3", "train.epochs=[", "model.x.y=1"});
    ASSERT_THAT(diagnostics, SizeIs(5));
    for (const auto& invalid : diagnostics) {
        EXPECT_EQ(invalid.file, "command line");
        EXPECT_EQ(invalid.line, 0);
    }
    const std::string all = StudyError(diagnostics).what();
    EXPECT_THAT(all, AllOf(HasSubstr("expected key=value"), HasSubstr("'label' is no table"),
                           HasSubstr("did you mean 'train.epochs'?"), HasSubstr("the text '['")));
}

TEST(Render, UnderlinesTheSourceLine) {
    Diagnostic diagnostic;
    diagnostic.file = "grid.toml";
    diagnostic.line = 12;
    diagnostic.column = 3;
    diagnostic.length = 5;
    diagnostic.message = "unknown key 'epoch' in [train]";
    diagnostic.suggestion = "epochs";
    diagnostic.source_line = "  epoch = 3";
    EXPECT_EQ(render(diagnostic),
              "grid.toml:12:3: error: unknown key 'epoch' in [train]; did you mean 'epochs'?\n"
              "   12 |   epoch = 3\n"
              "      |   ^~~~~");
    diagnostic.is_warning = true;
    diagnostic.suggestion.clear();
    diagnostic.source_line.clear();
    EXPECT_EQ(render(diagnostic), "grid.toml:12:3: warning: unknown key 'epoch' in [train]");
}

TEST(Render, ShowsOfAVeryLongLineWhatStandsAroundTheMistake) {
    Diagnostic diagnostic;
    diagnostic.file = "grid.toml";
    diagnostic.line = 1;
    diagnostic.column = 5001;
    diagnostic.length = 3;
    diagnostic.message = "m";
    diagnostic.source_line = std::string(5000, 'a') + "bad" + std::string(5000, 'c');
    EXPECT_EQ(render(diagnostic), "grid.toml:1:5001: error: m\n    1 | ..." + std::string(40, 'a') + "bad" +
                                      std::string(157, 'c') + "...\n      | " + std::string(43, ' ') + "^~~");
}

TEST(Render, CommandLineAndWideCharacters) {
    Diagnostic diagnostic;
    diagnostic.file = "command line";
    diagnostic.column = 8;
    diagnostic.length = 100;
    diagnostic.message = "m";
    diagnostic.source_line = "ä\tb = \"üü\"";
    EXPECT_EQ(render(diagnostic), "command line: error: m\n--set | ä\tb = \"üü\"\n      |  \t     ^~~");
}

}  // namespace
}  // namespace orchestrate::testing
