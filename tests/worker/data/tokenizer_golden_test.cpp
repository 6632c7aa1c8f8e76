// RoBERTa's and BERT's ids, against what Hugging Face's tokenizers gave for the same texts.
#include <gtest/gtest.h>

#include "common/base/temporary_folder.h"
#include "golden.h"
#include "worker/data/byte_level_bpe.h"
#include "worker/data/word_piece.h"

namespace orchestrate {
namespace {

TEST(TokenizerGolden, RobertaIdsAreThoseOfHuggingFace) {
    const auto cases_file = golden_folder() / "tokenizer-roberta.jsonl";
    const auto vocabulary = data_folder() / "roberta";
    ORCHESTRATE_SKIP_WITHOUT(cases_file, "ORCHESTRATE_GOLDEN");
    ORCHESTRATE_SKIP_WITHOUT(vocabulary / "vocab.json", "ORCHESTRATE_DATA");
    const auto bpe = ByteLevelBpe::load(vocabulary);
    EXPECT_EQ(bpe.vocabulary_size(), 50'265);
    const auto cases = read_json_lines(cases_file);
    ASSERT_FALSE(cases.empty());
    for (const auto& expected : cases) {
        const auto text = expected.at("text").get<std::string>();
        const auto max_length = expected.value("max_length", std::int64_t{0});
        const auto ids = expected.contains("text_pair")
                             ? bpe.encode_pair(text, expected["text_pair"].get<std::string>(), max_length)
                             : bpe.encode(text, max_length);
        EXPECT_EQ(ids, expected.at("ids").get<std::vector<std::int32_t>>()) << expected.dump();
    }
}

TEST(TokenizerGolden, BertIdsAreThoseOfHuggingFace) {
    const auto cases_file = golden_folder() / "tokenizer-bert.jsonl";
    const auto vocabulary = data_folder() / "bert" / "vocab.txt";
    ORCHESTRATE_SKIP_WITHOUT(cases_file, "ORCHESTRATE_GOLDEN");
    ORCHESTRATE_SKIP_WITHOUT(vocabulary, "ORCHESTRATE_DATA");
    const auto word_piece = WordPiece::load(vocabulary);
    EXPECT_EQ(word_piece.vocabulary_size(), 30'522);
    const auto cases = read_json_lines(cases_file);
    ASSERT_FALSE(cases.empty());
    for (const auto& expected : cases) {
        const auto text = expected.at("text").get<std::string>();
        const auto max_length = expected.value("max_length", std::int64_t{0});
        const auto found =
            expected.contains("text_pair")
                ? word_piece.encode_pair(text, expected["text_pair"].get<std::string>(), max_length)
                : word_piece.encode(text, max_length);
        EXPECT_EQ(found.ids, expected.at("ids").get<std::vector<std::int32_t>>()) << expected.dump();
        EXPECT_EQ(found.type_ids, expected.at("type_ids").get<std::vector<std::int32_t>>())
            << expected.dump();
    }
}

TEST(TokenizerGolden, SavedVocabularyIsReadBackEqual) {
    const auto vocabulary = data_folder() / "roberta";
    ORCHESTRATE_SKIP_WITHOUT(vocabulary / "vocab.json", "ORCHESTRATE_DATA");
    const auto bpe = ByteLevelBpe::load(vocabulary);
    const TemporaryFolder parent;
    const std::filesystem::path& copy = parent.path();
    bpe.save(copy);
    EXPECT_EQ(read_json(copy / "vocab.json"), read_json(vocabulary / "vocab.json"));
    std::ifstream merges(copy / "merges.txt");
    std::ifstream original(vocabulary / "merges.txt");
    EXPECT_TRUE(
        std::equal(std::istreambuf_iterator<char>(merges), {}, std::istreambuf_iterator<char>(original), {}));
}

}  // namespace
}  // namespace orchestrate
