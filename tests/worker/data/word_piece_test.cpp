// WordPiece without reference files.
#include "worker/data/word_piece.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "worker/data/bert_text.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Ids: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, then those below from 5 on.
WordPiece small_vocabulary() {
    return WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "low", "##er", "##e", "##r", "wide", "l",
                      ",", "é", "e"});
}

TEST(BertText, IsCleanedUnaccentedAndLowerCased) {
    EXPECT_EQ(bert_normalized("Caf\u00e9\tA\u030angstro\u0308m \u1e9e"), "cafe angstrom \u00df");
    EXPECT_EQ(bert_normalized("a\u4e2db"), "a \u4e2d b");
    EXPECT_EQ(bert_normalized(std::string("a\0b\x01 \x7f\u200b\ue000c", 13)), "ab c");
    EXPECT_EQ(bert_normalized("\u0130"), "i");
}

TEST(BertText, PunctuationIsAWordOfItsOwn) {
    EXPECT_THAT(bert_words("don't  stop--now \u00bfno?"),
                ElementsAre("don", "'", "t", "stop", "-", "-", "now", "\u00bf", "no", "?"));
    EXPECT_THAT(bert_words("  "), ElementsAre());
}

TEST(WordPiece, TakesTheLongestPiecesFromTheLeft) {
    const auto word_piece = small_vocabulary();
    EXPECT_THAT(word_piece.encode("Lower, wider LOW").ids, ElementsAre(2, 5, 6, 11, 9, 8, 5, 3));
    EXPECT_THAT(word_piece.encode("lox low").ids, ElementsAre(2, 1, 5, 3));
    EXPECT_THAT(word_piece.encode("\u00e9").ids, ElementsAre(2, 13, 3));
    EXPECT_THAT(word_piece.encode("l[MASK]low").ids, ElementsAre(2, 10, 4, 5, 3));
    EXPECT_THAT(word_piece.encode(std::string(101, 'l')).ids, ElementsAre(2, 1, 3));
}

TEST(WordPiece, CutsTextsAndPairs) {
    const auto word_piece = small_vocabulary();
    EXPECT_THAT(word_piece.encode("low low low low", 4).ids, ElementsAre(2, 5, 5, 3));
    const auto pair = word_piece.encode_pair("wide", "low low low low", 6);
    EXPECT_THAT(pair.ids, ElementsAre(2, 9, 3, 5, 5, 3));
    EXPECT_THAT(pair.type_ids, ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST(WordPiece, BatchesAreTheSameForEveryNumberOfThreads) {
    const auto word_piece = small_vocabulary();
    std::vector<std::string> texts;
    for (int i = 0; i < 1500; ++i) {
        texts.push_back(std::string(static_cast<std::size_t>(i % 5), 'l') + " low, wide" +
                        std::string(i % 3 == 0 ? "r" : ""));
    }
    const auto one = word_piece.encode_batch(texts, 6, 1);
    const auto four = word_piece.encode_batch(texts, 6, 4);
    EXPECT_EQ(one.ids, four.ids);
    EXPECT_EQ(one.offsets, four.offsets);
    EXPECT_GT(one.truncated, 0);
    EXPECT_EQ(one.truncated, four.truncated);
}

TEST(WordPiece, ErrorsNameFileAndToken) {
    EXPECT_THROW(WordPiece({"[PAD]", "[UNK]", "[CLS]", "[SEP]"}), UserError);
    const TemporaryFolder folder;
    const auto file = folder.path() / "vocab.txt";
    std::ofstream(file) << "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\na\n";
    try {
        WordPiece::load(file);
        ADD_FAILURE() << "no error";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), HasSubstr(file.string()));
        EXPECT_THAT(error.what(), HasSubstr("line 7"));
    }
    EXPECT_THROW(WordPiece::load(file), UserError);
}

}  // namespace
}  // namespace orchestrate
