// BERT's tokenizer (uncased): WordPiece with the vocab.txt of a BERT model; its ids are those of
// BertTokenizerFast for every text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "worker/data/tokenized_texts.h"
#include "worker/data/word_cache.h"

namespace orchestrate {

// Ids of BERT's special tokens.
struct BertSpecialTokens {
    std::int32_t pad = 0;
    std::int32_t unk = 100;
    std::int32_t cls = 101;  // first of every text
    std::int32_t sep = 102;  // after each text
    std::int32_t mask = 103;
};

struct TypedTokens {
    std::vector<std::int32_t> ids;
    std::vector<std::int32_t> type_ids;  // 1 for the second text of a pair and the [SEP] after it
};

// Immutable after construction: any number of threads may use one.
class WordPiece {
  public:
    // Reads vocab.txt, one token per line, its id the line's number from 0. Throws UserError naming file and
    // line.
    static WordPiece load(const std::filesystem::path& file);

    // Throws UserError if a special token is missing or a token stands twice.
    explicit WordPiece(std::vector<std::string> tokens);

    // Writes vocab.txt. Throws UserError.
    void save(const std::filesystem::path& folder) const;

    std::int64_t vocabulary_size() const { return static_cast<std::int64_t>(tokens_.size()); }
    const BertSpecialTokens& special() const { return special_; }

    // [CLS] text [SEP]; with max_length > 0 cut to that many ids, special tokens included (the text is cut,
    // at its end). Literal special tokens in a text become their ids.
    TypedTokens encode(std::string_view text, std::int64_t max_length = 0) const;

    // [CLS] first [SEP] second [SEP]; with max_length > 0 the longer of the two is cut first.
    TypedTokens encode_pair(std::string_view first, std::string_view second,
                            std::int64_t max_length = 0) const;

    // The ids of encode() of each text, by `threads` threads; their number does not change the result.
    TokenizedTexts encode_batch(std::span<const std::string> texts, std::int64_t max_length,
                                int threads) const;

  private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    using Ids = std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>>;

    void append_text(std::string_view text, WordCache& cache, std::vector<std::int32_t>& ids) const;
    void append_words(std::string_view text, WordCache& cache, std::vector<std::int32_t>& ids) const;
    void append_pieces(std::string_view word, std::vector<std::int32_t>& ids) const;

    std::vector<std::string> tokens_;
    Ids starts_;         // tokens that begin a word
    Ids continuations_;  // tokens that go on with one, without their ##
    std::size_t longest_token_ = 0;
    BertSpecialTokens special_;
};

}  // namespace orchestrate
