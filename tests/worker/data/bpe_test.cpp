// Byte-level BPE without reference files: the trainer, its files, and what must hold for every text.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/counter_random.h"
#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "golden.h"
#include "worker/data/bpe_trainer.h"
#include "worker/data/byte_level_words.h"

namespace orchestrate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> result;
    ByteLevelWords words(text);
    while (const auto word = words.next()) {
        result.emplace_back(*word);
    }
    return result;
}

// Random bytes, words and repetitions.
std::string random_text(std::uint64_t seed) {
    std::string text;
    const std::uint64_t length = counter_random(seed, 0, 0) % 300;
    for (std::uint64_t i = 1; text.size() < length; ++i) {
        const std::uint64_t random = counter_random(seed, 1, i);
        constexpr std::array<std::string_view, 10> kPieces = {" ", "a", "very high", "  ", "'s",
                                                              "é", "🎵", "12",        "\n", "low"};
        text += random % 11 == 10 ? std::string(1, static_cast<char>(random >> 8U))
                                  : std::string(kPieces[random % 11]);
    }
    return text;
}

TEST(ByteLevelWords, CutsAsGpt2) {
    EXPECT_THAT(words_of("energy very high, don't"),
                ElementsAre("energy", " very", " high", ",", " don", "'t"));
    EXPECT_THAT(words_of("a  b\n c   "), ElementsAre("a", " ", " b", "\n", " c", "   "));
    EXPECT_THAT(words_of("x12é٤ ½!?"), ElementsAre("x", "12", "é", "٤", " ½", "!?"));
    EXPECT_THAT(words_of(""), ElementsAre());
}

TEST(ByteLevelWords, PrintableCharactersStandForAllBytes) {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) {
        bytes += static_cast<char>(byte);
    }
    EXPECT_EQ(bytes_from_printable(printable_from_bytes(bytes)), bytes);
    EXPECT_EQ(printable_from_bytes(" a\n"), "ĠaĊ");
    EXPECT_EQ(bytes_from_printable("漢"), std::nullopt);
    EXPECT_EQ(bytes_from_printable(" "), std::nullopt);
}

const std::vector<std::string> kTexts = {"low lower lowest", "new newer newest", "low low low", "wide wider"};

TEST(BpeTrainer, MergesTheMostFrequentPairAndBreaksTiesByBytes) {
    // Words: low, " low" x2, " lower", " lowest", new, " newer", " newest", wide, " wider".
    // "lo" and "ow" occur 5 times (as " l" 4): "lo" comes first in bytes.
    const auto bpe = train_byte_level_bpe(kTexts, 264);
    EXPECT_EQ(bpe.vocabulary_size(), 264);
    EXPECT_EQ(bpe.special().mask, 263);
    EXPECT_THAT(bpe.encode("low"), ElementsAre(0, 261, 2));
    EXPECT_EQ(bpe.decode(std::vector<std::int32_t>{260}), "lo");
    EXPECT_EQ(bpe.decode(std::vector<std::int32_t>{261}), "low");
    EXPECT_EQ(bpe.decode(std::vector<std::int32_t>{262}), " low");
}

TEST(BpeTrainer, OrderOfTextsChangesNothing) {
    std::vector<std::string> reversed(kTexts.rbegin(), kTexts.rend());
    const TemporaryFolder parent;
    const std::filesystem::path& folder = parent.path();
    train_byte_level_bpe(kTexts, 280).save(folder / "a");
    train_byte_level_bpe(reversed, 280).save(folder / "b");
    for (const char* name : {"vocab.json", "merges.txt"}) {
        std::ifstream a(folder / "a" / name);
        std::ifstream b(folder / "b" / name);
        const std::string content((std::istreambuf_iterator<char>(a)), {});
        EXPECT_EQ(content, std::string(std::istreambuf_iterator<char>(b), {}));
        EXPECT_FALSE(content.empty());
    }
    const auto read = ByteLevelBpe::load(folder / "a");
    for (const auto& text : kTexts) {
        EXPECT_EQ(read.encode(text), train_byte_level_bpe(kTexts, 280).encode(text));
    }
}

TEST(BpeTrainer, EndsWhenNoPairOccursTwice) {
    const std::vector<std::string> texts = {"abc", "x"};
    EXPECT_EQ(train_byte_level_bpe(texts, 500).vocabulary_size(), kSmallestVocabulary);
    EXPECT_THROW(train_byte_level_bpe(texts, 260), UserError);
}

// Merging by definition: the pair of lowest rank everywhere from left to right, until none is left.
std::vector<std::int32_t> merged_by_definition(std::string_view word,
                                               const std::vector<std::string>& merged_in_order) {
    std::vector<std::string> symbols;
    for (const char c : word) {
        symbols.emplace_back(1, c);
    }
    for (;;) {
        std::size_t best = merged_in_order.size();
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const auto found =
                std::find(merged_in_order.begin(), merged_in_order.end(), symbols[i] + symbols[i + 1]);
            best = std::min(best, static_cast<std::size_t>(found - merged_in_order.begin()));
        }
        if (best == merged_in_order.size()) {
            break;
        }
        std::vector<std::string> next;
        for (std::size_t i = 0; i < symbols.size(); ++i) {
            if (i + 1 < symbols.size() && symbols[i] + symbols[i + 1] == merged_in_order[best]) {
                next.push_back(merged_in_order[best]);
                ++i;
            } else {
                next.push_back(symbols[i]);
            }
        }
        symbols = next;
    }
    std::vector<std::int32_t> ids;
    for (const auto& symbol : symbols) {
        const auto found = std::find(merged_in_order.begin(), merged_in_order.end(), symbol);
        ids.push_back(symbol.size() == 1 ? 4 + static_cast<unsigned char>(symbol[0])
                                         : 260 + static_cast<std::int32_t>(found - merged_in_order.begin()));
    }
    return ids;
}

TEST(ByteLevelBpe, LongAndShortWordsAreMergedByDefinition) {
    // A vocabulary in which a result is made by one pair only, so that results stand for pairs.
    ByteLevelBpe::Tokens tokens = {"<s>", "<pad>", "</s>", "<unk>"};
    for (int byte = 0; byte < 256; ++byte) {
        tokens.emplace_back(1, static_cast<char>(byte));
    }
    const std::vector<std::string> merged = {"ab", "ba", "aa", "abab", "aaab", "bb", "baab"};
    tokens.insert(tokens.end(), merged.begin(), merged.end());
    tokens.emplace_back("<mask>");
    const auto byte_id = [](char c) { return 4 + static_cast<unsigned char>(c); };
    const ByteLevelBpe bpe(tokens, {{byte_id('a'), byte_id('b')},
                                    {byte_id('b'), byte_id('a')},
                                    {byte_id('a'), byte_id('a')},
                                    {260, 260},
                                    {262, 260},
                                    {byte_id('b'), byte_id('b')},
                                    {261, 260}});
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        std::string word;
        for (std::uint64_t i = 0; i < 1 + seed; ++i) {
            word += counter_random(seed, 2, i) % 2 == 0 ? 'a' : 'b';
        }
        auto ids = bpe.encode(word);
        EXPECT_EQ(std::vector<std::int32_t>(ids.begin() + 1, ids.end() - 1),
                  merged_by_definition(word, merged))
            << word;
    }
}

TEST(ByteLevelBpe, DecodingGivesEveryTextBack) {
    const auto bpe = train_byte_level_bpe(kTexts, 280);
    for (std::uint64_t seed = 0; seed < 500; ++seed) {
        const std::string text = random_text(seed);
        EXPECT_EQ(bpe.decode(bpe.encode(text)), text) << "seed " << seed;
    }
}

TEST(ByteLevelBpe, BatchesAreTheSameForEveryNumberOfThreads) {
    const auto bpe = train_byte_level_bpe(kTexts, 280);
    std::vector<std::string> texts;
    for (std::uint64_t seed = 0; seed < 2000; ++seed) {
        texts.push_back(random_text(seed));
    }
    const auto one = bpe.encode_batch(texts, 50, 1);
    ASSERT_EQ(one.offsets.size(), texts.size() + 1);
    EXPECT_GT(one.truncated, 0);
    for (const int threads : {2, 3, 7}) {
        const auto many = bpe.encode_batch(texts, 50, threads);
        EXPECT_EQ(one.ids, many.ids);
        EXPECT_EQ(one.offsets, many.offsets);
        EXPECT_EQ(one.truncated, many.truncated);
    }
    for (std::size_t i = 0; i < texts.size(); i += 97) {
        EXPECT_EQ(bpe.encode(texts[i], 50), std::vector<std::int32_t>(one.ids.begin() + one.offsets[i],
                                                                      one.ids.begin() + one.offsets[i + 1]));
    }
}

class VocabularyFiles : public testing::Test {
  protected:
    VocabularyFiles() { train_byte_level_bpe(kTexts, 270).save(folder_); }
    std::string error() const {
        try {
            ByteLevelBpe::load(folder_);
        } catch (const UserError& error) {
            return error.what();
        }
        return "no error";
    }
    TemporaryFolder parent_;
    std::filesystem::path folder_ = parent_.path();
};

TEST_F(VocabularyFiles, ErrorsNameFileAndLine) {
    EXPECT_EQ(error(), "no error");
    std::ofstream(folder_ / "merges.txt", std::ios::app) << "l o w\n";
    EXPECT_THAT(error(), HasSubstr("line 11 of"));
    std::ofstream(folder_ / "merges.txt") << "#version: 0.2\nq z\n";
    EXPECT_THAT(error(), HasSubstr("line 2 of"));
    EXPECT_THAT(error(), HasSubstr("'qz'"));
    std::filesystem::remove(folder_ / "merges.txt");
    EXPECT_THAT(error(), HasSubstr("merges.txt"));
    std::ofstream(folder_ / "merges.txt") << "#version: 0.2\n";
    auto vocabulary = read_json(folder_ / "vocab.json");
    vocabulary.erase("<pad>");
    std::ofstream(folder_ / "vocab.json") << vocabulary;
    EXPECT_THAT(error(), HasSubstr("'<pad>' has no id"));
    vocabulary["<pad>"] = 0;
    std::ofstream(folder_ / "vocab.json") << vocabulary;
    EXPECT_THAT(error(), HasSubstr("stands for two tokens"));
    vocabulary["<pad>"] = -1;
    std::ofstream(folder_ / "vocab.json") << vocabulary;
    EXPECT_THAT(error(), HasSubstr("'<pad>' has the id -1"));
    std::ofstream(folder_ / "vocab.json") << "{";
    EXPECT_THAT(error(), HasSubstr("not JSON"));
}

}  // namespace
}  // namespace orchestrate
