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

struct Mistake {
    std::string name;        // of the test
    std::string toml;        // below kDataSection, which has 4 lines
    std::string underlined;  // what is pointed at
    std::string message;     // a part of it
    std::string suggestion;
};

void PrintTo(const Mistake& mistake, std::ostream* output) {
    *output << mistake.name;
}

// The text that a diagnostic points at (ASCII lines only).
std::string underlined_part(const Diagnostic& diagnostic) {
    return diagnostic.source_line.substr(static_cast<std::size_t>(diagnostic.column - 1),
                                         static_cast<std::size_t>(diagnostic.length));
}

class OneMistake : public ::testing::TestWithParam<Mistake> {};

TEST_P(OneMistake, IsShownAtItsPlace) {
    const StudyFolder folder;
    const auto& expected = GetParam();
    const std::string toml = kDataSection + expected.toml;
    const auto mistakes = folder.mistakes(toml);
    ASSERT_THAT(mistakes, SizeIs(1)) << (mistakes.empty() ? "" : StudyError(mistakes).what());
    const auto& found = mistakes.front();
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
    Kinds, OneMistake,
    ::testing::Values(
        Mistake{"unknown_key", "[train]\nepoch = 3", "epoch", "unknown key 'epoch' in [train]", "epochs"},
        Mistake{"unknown_nested_key", "text.from = \"rounded\"", "from", "unknown key 'from' in [data.text]",
                "form"},
        Mistake{"unknown_section", "[trian]\nepochs = 3", "trian", "unknown section 'trian'", "train"},
        Mistake{"key_of_another_section", "[model]\nbatch_size = 3", "batch_size", "in [model]",
                "train.batch_size"},
        Mistake{"nothing_near", "[train]\nqqqqqq = 3", "qqqqqq", "expected adam_beta1", ""},
        Mistake{"section_is_no_table", "split = 3", "3", "expected a table, [data.split]", ""},
        Mistake{"text_for_integer", "[train]\nepochs = \"three\"", "\"three\"", "expected an integer from 1",
                ""},
        Mistake{"number_for_integer", "[train]\nepochs = 2.5", "2.5",
                "cannot be the number 2.5; expected an integer", ""},
        Mistake{"date", "[train]\nepochs = 2020-01-01", "2020-01-01", "the date or time 2020-01-01", ""},
        Mistake{"below_range", "[train]\nepochs = 0", "0", "from 1 to 100000", ""},
        Mistake{"above_range", "[model]\nhidden_dropout_prob = 1.0", "1.0", "of at least 0 and below 1", ""},
        Mistake{"not_finite", "[train]\nlearning_rate = inf", "inf", "above 0", ""},
        Mistake{"not_a_number", "[train]\nlearning_rate = nan", "nan", "above 0", ""},
        Mistake{"text_for_flag", "split.stratify = \"yes\"", "\"yes\"", "expected true or false", ""},
        Mistake{"integer_for_text", "[study]\nname = 3", "3", "expected a text", ""},
        Mistake{"empty_name", "[study]\nname = \"\"", "\"\"", "study.name is empty", ""},
        Mistake{"unknown_choice", "[model]\nhead_activation = \"rellu\"", "\"rellu\"",
                "expected \"relu\", \"tanh\", \"sigmoid\" or \"gelu\"", "relu"},
        Mistake{"number_for_choice", "[model]\nhead_activation = 1", "1", "expected \"relu\"", ""},
        Mistake{"unknown_precision", "[train]\nprecision = \"fp23\"", "\"fp23\"",
                "expected \"auto\", \"fp32\"", "fp32"},
        Mistake{"head_width", "[model]\nhead_width = \"non\"", "\"non\"", "or \"none\"", ""},
        Mistake{"unknown_selection",
                "[search]\nselect_by = \"validation macro_f2\"\n[search.space]\n"
                "\"train.epochs\" = { choice = [1] }",
                "\"validation macro_f2\"", "there is no metric 'macro_f2'; expected accuracy", "macro_f1"},
        Mistake{"selection_without_part",
                "[search]\nselect_by = \"macro_f1\"\n[search.space]\n"
                "\"train.epochs\" = { choice = [1] }",
                "\"macro_f1\"", "e.g. \"validation macro_f1\"", ""},
        Mistake{"time_limit", "[cluster]\ntime_limit = \"soon\"", "\"soon\"", "01:30:00", ""},
        Mistake{"seed_twice", "[study]\nseeds = [1, 2, 1]", "1", "seed 1 is listed twice", ""},
        Mistake{"negative_seed", "[study]\nseeds = [1, -2]", "-2", "an integer of at least 0", ""},
        Mistake{"no_seeds", "[study]\nseeds = []", "[]",
                "study.seeds cannot be an empty list; expected a list such as", ""},
        Mistake{"unknown_group_column", "split.group_by = [\"track\"]", "\"track\"",
                "grouping column 'track' is no column of tracks.csv", "track_id"},
        Mistake{"unknown_group_column_key", "split.group_by = [{ column = \"track_id\", first = \";\" }]",
                "first", "unknown key 'first'", "first_of"},
        Mistake{"group_column_twice", "split.group_by = [\"track_id\", \"track_id\"]", "\"track_id\"",
                "twice", ""},
        Mistake{"unknown_class", "classes = [\"punk\", \"fink\"]", "\"fink\"", "'fink' does not occur",
                "funk"},
        Mistake{"class_twice", "classes = [\"punk\", \"funk\", \"punk\"]", "\"punk\"", "listed twice", ""},
        Mistake{"one_class", "classes = [\"punk\"]", "[\"punk\"]", "at least two", ""},
        Mistake{"missing_vocabulary", "[tokenizer]\nvocabulary = \"nowhere\"", "\"nowhere\"", "vocab.json",
                ""},
        Mistake{"parts", "split.train = 0.7", "0.7", "add up to 0.9", ""},
        Mistake{"heads", "[model]\nnum_attention_heads = 3", "3", "does not divide model.hidden_size = 64",
                ""},
        Mistake{"positions", "[tokenizer]\nmax_length = 600", "600",
                "max_position_embeddings of at least 602", ""},
        Mistake{"batch_below_ranks", "[study]\nranks = 4\n[train]\nbatch_size = 2", "2", "over 4 ranks", ""},
        Mistake{"too_few_slots", "[study]\nranks = 4\n[cluster]\nslots = 2", "2", "study.ranks = 4", ""},
        Mistake{"too_few_rows", "max_rows = 1", "1", "at least one row per class", ""},
        Mistake{"search_without_space", "[search]\ntrials = 3", "search", "no [search.space]", ""},
        Mistake{"unknown_distribution", "[search.space]\n\"train.epochs\" = { intger = [1, 2] }", "intger",
                "unknown distribution 'intger'", "integer"},
        Mistake{"no_distribution", "[search.space]\n\"train.epochs\" = 3", "3", "{ choice = [...] }", ""},
        Mistake{"searched_unknown_field", "[search.space]\n\"train.epoch\" = { choice = [1] }",
                "\"train.epoch\"", "unknown field 'train.epoch'", "train.epochs"},
        Mistake{"searched_fixed_field", "[search.space]\n\"data.label\" = { choice = [\"a\"] }",
                "\"data.label\"", "holds for the whole study", ""},
        Mistake{"choice_out_of_range", "[search.space]\n\"train.epochs\" = { choice = [3, 0] }", "0",
                "from 1", ""},
        Mistake{"range_out_of_range", "[search.space]\n\"train.epochs\" = { integer = [0, 5] }", "0",
                "from 1", ""},
        Mistake{"range_backwards", "[search.space]\n\"train.epochs\" = { integer = [5, 2] }", "[5, 2]",
                "lowest", ""},
        Mistake{"range_of_one", "[search.space]\n\"train.epochs\" = { integer = [5] }", "[5]", "two numbers",
                ""},
        Mistake{"real_range_of_integer", "[search.space]\n\"train.epochs\" = { uniform = [1, 5] }", "[1, 5]",
                "is an integer", "integer"},
        Mistake{"log_of_zero", "[search.space]\n\"train.weight_decay\" = { log_uniform = [0, 1] }", "0",
                "above 0", ""},
        Mistake{"contradictory_trial", "[search.space]\n\"model.hidden_size\" = { choice = [63] }", "space",
                "trial 1 (hidden size 63)", ""},
        Mistake{"ablation_in_single_brackets", "[ablation]\nadd = \"explicit\"", "[ablation]",
                "double brackets", ""},
        Mistake{"unknown_ablation_key", "[[ablation]]\nadd = \"explicit\"\nseed = 3", "seed",
                "in [[ablation]]", "seeds"},
        Mistake{"empty_ablation", "[[ablation]]\nname = \"x\"", "[[ablation]]", "changes nothing", ""},
        Mistake{"mixed_ablation", "[[ablation]]\nleave_one_out = \"data.features\"\nadd = \"explicit\"",
                "[[ablation]]", "leave_one_out and add in one ablation contradict", ""},
        Mistake{"left_out_feature_is_not_in_the_list", "[[ablation]]\nleave_out = \"enrgy\"", "\"enrgy\"",
                "not in data.features", "energy"},
        Mistake{"added_feature_is_there", "[[ablation]]\nadd = \"tempo\"", "\"tempo\"",
                "already in data.features", ""},
        Mistake{"added_feature_is_no_column", "[[ablation]]\nadd = \"explcit\"", "\"explcit\"",
                "is no column", "explicit"},
        Mistake{"added_feature_is_the_label", "[[ablation]]\nadd = \"genre\"", "\"genre\"",
                "reads the answer", ""},
        Mistake{"nothing_left", "[[ablation]]\nleave_out = [\"energy\", \"tempo\", \"valence\"]",
                "\"valence\"", "leaves no feature", ""},
        Mistake{"set_unknown_field", "[[ablation]]\nset = { model.head_widht = 16 }", "head_widht",
                "unknown field 'model.head_widht'", "model.head_width"},
        Mistake{"set_unfit_value", "[[ablation]]\nset = { model.head_width = -1 }", "-1",
                "expected an integer from 1", ""},
        Mistake{"set_contradiction", "[[ablation]]\nset = { model.num_attention_heads = 5 }", "5",
                "variant 'attention heads 5': model.num_attention_heads = 5 does not divide", ""},
        Mistake{"sweep_is_no_list", "[[ablation]]\nsweep = { model.head_width = 16 }", "16",
                "a list of values", ""},
        Mistake{"same_name", "[[ablation]]\nadd = \"explicit\"\n[[ablation]]\nadd = \"explicit\"",
                "\"explicit\"", "two variants are named 'with explicit': the other is made in line 6", ""},
        Mistake{"named_baseline", "[[ablation]]\nadd = \"explicit\"\nname = \"baseline\"", "\"explicit\"",
                "two variants are named 'baseline'", ""},
        Mistake{"one_name_for_several", "[[ablation]]\nleave_one_out = \"data.features\"\nname = \"x\"",
                "\"x\"", "expected {} in it", ""},
        Mistake{"ranks_of_ablation", "[[ablation]]\nadd = \"explicit\"\nranks = 0", "0", "from 1 to 4096",
                ""}),
    [](const auto& test) { return test.param.name; });

TEST(Mistakes, AreAllShownAtOnceInOrder) {
    const StudyFolder folder;
    const auto mistakes = folder.mistakes(R"([data]
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
    for (const auto& mistake : mistakes) {
        suggestions.push_back(std::to_string(mistake.line) + " " + mistake.suggestion);
    }
    EXPECT_THAT(suggestions, ::testing::UnorderedElementsAre("3 genre", "4 tempo", "7 epochs", "8 ",
                                                             "10 explicit", "0 model.hidden_size"));
}

TEST(Mistakes, GenresAreCheckedBesideUnknownColumns) {
    const StudyFolder folder;
    const auto mistakes = folder.mistakes(
        "[data]\npath = \"tracks.csv\"\nlabel = \"genre\"\nfeatures = [\"tempi\"]\nclasses = [\"fnk\", "
        "\"punk\"]\n");
    ASSERT_THAT(mistakes, SizeIs(2));
    EXPECT_EQ(mistakes[0].suggestion, "tempo");
    EXPECT_EQ(mistakes[1].suggestion, "funk");
}

TEST(Mistakes, RequiredFieldsAreNamed) {
    const StudyFolder folder;
    const auto mistakes = folder.mistakes("[data]\nsource = \"the moon\"\n");
    ASSERT_THAT(mistakes, SizeIs(3));
    std::string all = StudyError(mistakes).what();
    EXPECT_THAT(all, AllOf(HasSubstr("data.path is not set"), HasSubstr("--set data.path=FILE"),
                           HasSubstr("the moon"), HasSubstr("data.label is not set"),
                           HasSubstr("data.features is not set")));
    EXPECT_EQ(mistakes[0].line, 1);
    EXPECT_THAT(folder.mistakes(""), SizeIs(3));
}

TEST(Mistakes, AMissingDataFileIsNamedWithWhereToGetIt) {
    const StudyFolder folder;
    const auto mistakes =
        folder.mistakes(kDataSection + "source = \"the moon\"\n", {"data.path=nowhere.csv"});
    ASSERT_THAT(mistakes, SizeIs(1));
    EXPECT_THAT(mistakes[0].message,
                AllOf(HasSubstr("no file"), HasSubstr("nowhere.csv"), HasSubstr("the moon")));
    EXPECT_EQ(mistakes[0].file, "command line");
    EXPECT_EQ(mistakes[0].line, 0);
}

TEST(Mistakes, AreCalledByTheWholeListsName) {
    const StudyFolder folder;
    const auto first = [&](const std::string& toml, const std::vector<std::string>& overrides = {}) {
        const auto found = folder.mistakes(toml, overrides);
        return found.empty() ? "none" : found.front().message;
    };
    EXPECT_THAT(first("[data]\npath = \"tracks.csv\"\nlabel = \"genre\"\nfeatures = []\n"),
                HasSubstr("data.features cannot be an empty list"));
    EXPECT_THAT(first(kDataSection + "[[ensemble]]\nmembers = []\n"),
                HasSubstr("members cannot be an empty list"));
    EXPECT_THAT(first(kDataSection, {"study.seeds=1,2"}), HasSubstr("study.seeds cannot be"));
}

TEST(Mistakes, NamesHaveNoBlanksAtTheirEnds) {
    const StudyFolder folder;
    const auto all = [&](const std::string& toml) {
        return std::string(StudyError(folder.mistakes(kDataSection + toml)).what());
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

TEST(Mistakes, OfAParameterAreNotRepeatedWhereItIsSwept) {
    const StudyFolder folder;
    const auto found = folder.mistakes(
        "[command]\nrun = [\"true\"]\nmetrics = [\"a\"]\n[parameters]\nx = nan\n"
        "[[ablation]]\nsweep = { x = [1.0, inf] }\n");
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_THAT(found[0].message,
                HasSubstr("parameters.x cannot be the number nan; expected a finite number"));
}

// Opening a named pipe would wait for ever, and /dev/zero has no end.
TEST(Mistakes, WhatIsNoRegularFileIsNamed) {
    const StudyFolder folder;
    const std::string pipe = (folder.path() / "pipe").string();
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    std::filesystem::create_symlink("/dev/zero", folder.path() / "zero");
    const auto mistake = [&](const std::string& toml, const std::vector<std::string>& overrides = {}) {
        const auto found = folder.mistakes(toml, overrides);
        return found.empty() ? "none" : found.front().message;
    };
    EXPECT_THAT(mistake(kDataSection, {"data.path=" + pipe}),
                HasSubstr("pipe' is a named pipe; expected a CSV"));
    EXPECT_THAT(mistake(kDataSection, {"data.path=" + folder.path().string()}),
                HasSubstr("' is a directory; expected"));
    EXPECT_THAT(mistake(kDataSection, {"data.path=/dev/zero"}),
                HasSubstr("'/dev/zero' is a device; expected"));
    EXPECT_THAT(mistake("include = [\"pipe\"]\n"), HasSubstr("pipe' is a named pipe; expected a study file"));
    for (const std::string name : {"pipe", "zero"}) {
        EXPECT_THAT(mistake("[command]\nrun = [\"true\"]\nmetrics = [\"a\"]\nfiles = [\"" + name + "\"]\n"),
                    HasSubstr(name + "' is a " + (name == "pipe" ? "named pipe" : "device") + "; expected"));
    }
    std::filesystem::create_directory(folder.path() / "model");
    for (const char* name : {"vocab.txt", "config.json", "model.safetensors"}) {
        mkfifo((folder.path() / "model" / name).c_str(), 0600);
    }
    EXPECT_THAT(mistake(kDataSection + "[tokenizer]\nvocabulary = \"model\"\n"),
                HasSubstr("vocab.txt' is a named pipe"));
    EXPECT_THAT(mistake(kDataSection + "[model]\npretrained = \"model\"\n"),
                HasSubstr("config.json' is a named pipe"));
    try {
        load_study(pipe, {});
        FAIL() << "expected StudyError";
    } catch (const StudyError& error) {
        EXPECT_THAT(error.what(),
                    AllOf(HasSubstr(pipe), HasSubstr("is a named pipe; expected the file of a study")));
    }
}

TEST(Mistakes, BadRowsAreNamedByTheirLineInTheData) {
    const StudyFolder folder;
    folder.write("bad.csv",
                 "genre,energy,tempo,valence\npunk,1,2,3\nfunk,x,2,3\nfunk,1,2\npunk,2,2,2\nfunk,3,3,3\n");
    const auto mistakes =
        folder.mistakes(kDataSection, {"data.path=" + (folder.path() / "bad.csv").string()});
    ASSERT_THAT(mistakes, SizeIs(::testing::Ge(1U)));
    std::vector<std::int64_t> lines;
    for (const auto& mistake : mistakes) {
        EXPECT_EQ(mistake.file, (folder.path() / "bad.csv").string());
        lines.push_back(mistake.line);
    }
    EXPECT_THAT(lines, ::testing::Contains(4));
}

TEST(Mistakes, APartWithoutRowsOfAClassIsWarnedOf) {
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

TEST(Mistakes, TwoWaysToNameAVocabularyContradict) {
    const StudyFolder folder;
    std::filesystem::create_directory(folder.path() / "words");
    folder.write("words/vocab.json", "{}");
    folder.write("words/merges.txt", "#version: 0.2\n");
    for (const std::string size : {"512", "600"}) {  // the default and another
        const auto mistakes = folder.mistakes(
            kDataSection + "[tokenizer]\nvocabulary = \"words\"\nvocabulary_size = " + size + "\n");
        ASSERT_THAT(mistakes, SizeIs(1));
        EXPECT_THAT(mistakes[0].message, HasSubstr("contradict"));
        EXPECT_EQ(mistakes[0].line, 7);
    }
}

TEST(Mistakes, TheLabelAsFeature) {
    const StudyFolder folder;
    const auto mistakes = folder.mistakes(
        "[data]\npath = \"tracks.csv\"\nlabel = \"genre\"\nfeatures = [\"energy\", \"genre\"]\n");
    ASSERT_THAT(mistakes, SizeIs(1));
    EXPECT_THAT(mistakes[0].message, HasSubstr("also one of data.features"));
    EXPECT_EQ(mistakes[0].line, 4);
}

TEST(Mistakes, ProductsThatAreTooLargeAreNotTried) {
    const StudyFolder folder;
    std::string values = "0.1";
    for (int i = 0; i < 999; ++i) {
        values += ", 0.1";
    }
    const auto mistakes = folder.mistakes(kDataSection + "[[ablation]]\nsweep = { train.weight_decay = [" +
                                          values + "], train.learning_rate = [" + values +
                                          "], model.layer_norm_eps = [" + values + "] }\n");
    ASSERT_THAT(mistakes, SizeIs(2));
    EXPECT_THAT(mistakes[0].message, HasSubstr("1000 x 1000 variants; expected at most 100000"));
}

TEST(Mistakes, SyntaxErrorsHaveAPlace) {
    const StudyFolder folder;
    const auto mistakes = folder.mistakes("[data]\npath = \n");
    ASSERT_THAT(mistakes, SizeIs(1));
    EXPECT_EQ(mistakes[0].line, 2);
    EXPECT_THAT(mistakes[0].message, HasSubstr("not TOML"));
}

TEST(Mistakes, AMissingStudyFileIsOne) {
    try {
        load_study("/nowhere/grid.toml", {});
        FAIL() << "expected StudyError";
    } catch (const StudyError& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("/nowhere/grid.toml"), HasSubstr("no such file")));
    }
}

TEST(Mistakes, ContradictionsThatOnlyAWinnerMakesAreFoundBefore) {
    const StudyFolder folder;
    const auto mistakes = folder.mistakes(kDataSection + R"([search]
trials = 20
[search.space]
"model.hidden_size" = { choice = [60, 64] }
[[ablation]]
set = { "model.num_attention_heads" = 8 }
)");
    ASSERT_THAT(mistakes, SizeIs(2));
    EXPECT_TRUE(mistakes[0].is_warning);  // of equal trials
    EXPECT_THAT(mistakes[1].message,
                AllOf(HasSubstr("hidden size 60) wins the search"), HasSubstr("does not divide")));
    EXPECT_EQ(mistakes[1].line, 10);
}

TEST(Overrides, WithoutEqualsSignOrThroughAValueAreMistakes) {
    const StudyFolder folder;
    const auto mistakes = folder.mistakes(
        kDataSection, {"train.epochs", "data.label.x=3", "train.epoch=3", "train.epochs=[", "model.x.y=1"});
    ASSERT_THAT(mistakes, SizeIs(5));
    for (const auto& mistake : mistakes) {
        EXPECT_EQ(mistake.file, "command line");
        EXPECT_EQ(mistake.line, 0);
    }
    const std::string all = StudyError(mistakes).what();
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
