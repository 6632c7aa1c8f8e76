#include "worker/data/word_piece.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <utility>

#include "common/base/error.h"
#include "common/base/named_file.h"
#include "worker/data/bert_text.h"

namespace orchestrate {
namespace {

constexpr std::array<std::string_view, 5> kSpecialTokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr std::size_t kLongestWordCharacters = 100;  // longer ones are [UNK]

bool begins_character(char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

std::optional<std::pair<std::size_t, std::size_t>> find_special(std::string_view text, std::size_t from) {
    for (std::size_t at = text.find('[', from); at != std::string_view::npos; at = text.find('[', at + 1)) {
        for (std::size_t k = 0; k < kSpecialTokens.size(); ++k) {
            if (text.substr(at).starts_with(kSpecialTokens[k])) {
                return std::pair{at, k};
            }
        }
    }
    return std::nullopt;
}

}  // namespace

WordPiece WordPiece::load(const std::filesystem::path& file) {
    std::ifstream in = open_named_file(file, "BERT's vocabulary, one token per line");
    std::vector<std::string> tokens;
    for (std::string line; std::getline(in, line);) {
        if (!line.empty() && line.back() == '\r') {
            line.pop_back();
        }
        tokens.push_back(line);
    }
    try {
        return WordPiece(std::move(tokens));
    } catch (const UserError& error) {
        throw UserError(std::string("vocabulary '") + file.string() + "': " + error.what());
    }
}

WordPiece::WordPiece(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
        const std::string& token = tokens_[id];
        const bool continues = token.starts_with("##") && token.size() > 2;
        auto& table = continues ? continuations_ : starts_;
        const bool is_new =
            table.emplace(continues ? token.substr(2) : token, static_cast<std::int32_t>(id)).second;
        if (!is_new) {
            throw UserError("line " + std::to_string(id + 1) + " holds the token '" + token + "' once more");
        }
        longest_token_ = std::max(longest_token_, token.size());
    }
    const std::array<std::int32_t*, 5> special = {&special_.pad, &special_.unk, &special_.cls, &special_.sep,
                                                  &special_.mask};
    for (std::size_t k = 0; k < special.size(); ++k) {
        const auto found = starts_.find(kSpecialTokens[k]);
        if (found == starts_.end()) {
            throw UserError("the token '" + std::string(kSpecialTokens[k]) + "' is missing");
        }
        *special[k] = found->second;
    }
}

void WordPiece::save(const std::filesystem::path& folder) const {
    std::filesystem::create_directories(folder);
    std::ofstream file(folder / "vocab.txt", std::ios::binary);
    for (const auto& token : tokens_) {
        file << token << '\n';
    }
    file.flush();
    if (!file) {
        throw UserError("cannot write vocab.txt into '" + folder.string() + "'");
    }
}

// The longest token that begins the word, then the longest that goes on, and so on; [UNK] if one is not
// known.
void WordPiece::append_pieces(std::string_view word, std::vector<std::int32_t>& ids) const {
    const auto characters = std::count_if(word.begin(), word.end(), begins_character);
    if (static_cast<std::size_t>(characters) > kLongestWordCharacters) {
        ids.push_back(special_.unk);
        return;
    }
    const std::size_t before = ids.size();
    for (std::size_t begin = 0; begin < word.size();) {
        const Ids& table = begin == 0 ? starts_ : continuations_;
        std::size_t length = std::min(word.size() - begin, longest_token_);
        auto found = table.end();
        for (; length > 0; --length) {
            const bool between_characters =
                begin + length == word.size() || begins_character(word[begin + length]);
            if (between_characters && (found = table.find(word.substr(begin, length))) != table.end()) {
                break;
            }
        }
        if (length == 0) {
            ids.resize(before);
            ids.push_back(special_.unk);
            return;
        }
        ids.push_back(found->second);
        begin += length;
    }
}

void WordPiece::append_words(std::string_view text, WordCache& cache, std::vector<std::int32_t>& ids) const {
    const std::string normalized = bert_normalized(text);
    for (const std::string_view word : bert_words(normalized)) {
        if (const auto known = cache.find(word)) {
            ids.insert(ids.end(), known->begin(), known->end());
            continue;
        }
        const std::size_t begin = ids.size();
        append_pieces(word, ids);
        cache.add(word, std::span(ids).subspan(begin));
    }
}

// Literal special tokens are cut out before the text is normalised.
void WordPiece::append_text(std::string_view text, WordCache& cache, std::vector<std::int32_t>& ids) const {
    const std::array<std::int32_t, 5> special_ids = {special_.pad, special_.unk, special_.cls, special_.sep,
                                                     special_.mask};
    std::size_t at = 0;
    while (const auto found = find_special(text, at)) {
        const auto [position, k] = *found;
        append_words(text.substr(at, position - at), cache, ids);
        ids.push_back(special_ids[k]);
        at = position + kSpecialTokens[k].size();
    }
    append_words(text.substr(at), cache, ids);
}

TypedTokens WordPiece::encode(std::string_view text, std::int64_t max_length) const {
    const std::string copy(text);
    TypedTokens result{encode_batch({&copy, 1}, max_length, 1).ids, {}};
    result.type_ids.assign(result.ids.size(), 0);
    return result;
}

TypedTokens WordPiece::encode_pair(std::string_view first, std::string_view second,
                                   std::int64_t max_length) const {
    WordCache cache;
    std::vector<std::int32_t> a;
    std::vector<std::int32_t> b;
    append_text(first, cache, a);
    append_text(second, cache, b);
    if (max_length > 0) {
        cut_longest_first(a, b, static_cast<std::size_t>(std::max<std::int64_t>(0, max_length - 3)));
    }
    TypedTokens result{{special_.cls}, {}};
    result.ids.insert(result.ids.end(), a.begin(), a.end());
    result.ids.push_back(special_.sep);
    result.type_ids.assign(result.ids.size(), 0);
    result.ids.insert(result.ids.end(), b.begin(), b.end());
    result.ids.push_back(special_.sep);
    result.type_ids.resize(result.ids.size(), 1);
    return result;
}

TokenizedTexts WordPiece::encode_batch(std::span<const std::string> texts, std::int64_t max_length,
                                       int threads) const {
    return tokenize_in_parallel(
        texts, threads, [&](std::span<const std::string> some, TokenizedTexts& result) {
            WordCache cache;
            const auto append = [&](const std::string& text, std::vector<std::int32_t>& ids) {
                append_text(text, cache, ids);
            };
            for (const auto& text : some) {
                append_framed(text, special_.cls, special_.sep, max_length, append, result);
            }
        });
}

}  // namespace orchestrate
