#include "worker/data/bpe_trainer.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <tuple>
#include <unordered_map>

#include "common/base/counter_random.h"
#include "common/base/error.h"
#include "worker/data/byte_level_words.h"

namespace orchestrate {
namespace {

using Pair = std::pair<std::int32_t, std::int32_t>;

struct PairHash {
    std::size_t operator()(const Pair& pair) const {
        return mix_bits(static_cast<std::uint64_t>(static_cast<std::uint32_t>(pair.first)) << 32U |
                        static_cast<std::uint32_t>(pair.second));
    }
};

struct Word {
    std::vector<std::int32_t> symbols;
    std::int64_t count = 0;
};

struct PairStatistics {
    std::int64_t count = 0;
    std::set<std::size_t> words;  // that hold or held it
};

// Distinct words with their counts, in order of bytes.
std::vector<Word> count_words(std::span<const std::string> texts, std::int32_t first_byte_id) {
    std::unordered_map<std::string, std::int64_t> counts;
    for (const auto& text : texts) {
        ByteLevelWords words(text);
        while (const auto word = words.next()) {
            ++counts[std::string(*word)];
        }
    }
    const std::map<std::string, std::int64_t> sorted(counts.begin(), counts.end());
    std::vector<Word> result;
    for (const auto& [bytes, count] : sorted) {
        Word& word = result.emplace_back();
        word.count = count;
        for (const char c : bytes) {
            word.symbols.push_back(first_byte_id + static_cast<unsigned char>(c));
        }
    }
    return result;
}

class Trainer {
  public:
    Trainer(std::span<const std::string> texts, ByteLevelBpe::Tokens& tokens, std::int32_t first_byte_id)
        : tokens_(tokens), words_(count_words(texts, first_byte_id)) {
        for (std::size_t w = 0; w < words_.size(); ++w) {
            const auto& symbols = words_[w].symbols;
            for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
                change({symbols[i], symbols[i + 1]}, words_[w].count, w);
            }
        }
        for (const auto& [pair, statistics] : pairs_) {
            push(pair, statistics.count);
        }
    }

    // Merges the most frequent pair; false if none occurs twice.
    bool merge_most_frequent(ByteLevelBpe::Merges& merges) {
        while (!queue_.empty()) {
            const Candidate best = queue_.top();
            queue_.pop();
            const std::int64_t count = pairs_.at(best.pair).count;
            if (count < 2) {
                continue;
            }
            if (count != best.count) {
                push(best.pair, count);
                continue;
            }
            merges.push_back(best.pair);
            apply(best.pair, id_of(left_of(best.pair) + right_of(best.pair)));
            return true;
        }
        return false;
    }

  private:
    struct Candidate {
        std::int64_t count = 0;
        Pair pair;
        std::string left;
        std::string right;
        // The queue's top is the largest: highest count, then first in order of bytes.
        bool operator<(const Candidate& other) const {
            return std::tie(count, other.left, other.right) < std::tie(other.count, left, right);
        }
    };

    const std::string& left_of(const Pair& pair) const {
        return tokens_[static_cast<std::size_t>(pair.first)];
    }
    const std::string& right_of(const Pair& pair) const {
        return tokens_[static_cast<std::size_t>(pair.second)];
    }

    // Two pairs may give the same bytes ("a" "bc" and "ab" "c"): one token.
    std::int32_t id_of(const std::string& bytes) {
        const auto [place, is_new] = merged_.emplace(bytes, static_cast<std::int32_t>(tokens_.size()));
        if (is_new) {
            tokens_.push_back(bytes);
        }
        return place->second;
    }

    void push(const Pair& pair, std::int64_t count) {
        if (count >= 2) {
            queue_.push({count, pair, left_of(pair), right_of(pair)});
        }
    }

    void change(const Pair& pair, std::int64_t by, std::size_t word) {
        auto& statistics = pairs_[pair];
        statistics.count += by;
        if (by > 0) {
            statistics.words.insert(word);
        }
    }

    // Replaces the pair in every word, from left to right, and corrects the counts of its neighbours.
    void apply(const Pair& pair, std::int32_t id) {
        const auto holders = std::move(pairs_.at(pair).words);
        std::set<Pair> grown;
        for (const std::size_t w : holders) {
            auto& [symbols, count] = words_[w];
            for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
                change({symbols[i], symbols[i + 1]}, -count, w);
            }
            std::size_t to = 0;
            for (std::size_t from = 0; from < symbols.size(); ++to) {
                const bool here = from + 1 < symbols.size() && symbols[from] == pair.first &&
                                  symbols[from + 1] == pair.second;
                symbols[to] = here ? id : symbols[from];
                from += here ? 2 : 1;
            }
            symbols.resize(to);
            for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
                const Pair next = {symbols[i], symbols[i + 1]};
                change(next, count, w);
                if (next.first == id || next.second == id) {
                    grown.insert(next);
                }
            }
        }
        for (const auto& next : grown) {
            push(next, pairs_.at(next).count);
        }
    }

    ByteLevelBpe::Tokens& tokens_;
    std::unordered_map<std::string, std::int32_t> merged_;  // results of merges, to their ids
    std::vector<Word> words_;
    std::unordered_map<Pair, PairStatistics, PairHash> pairs_;
    std::priority_queue<Candidate> queue_;
};

}  // namespace

ByteLevelBpe train_byte_level_bpe(std::span<const std::string> texts, std::int64_t vocabulary_size) {
    if (vocabulary_size < kSmallestVocabulary) {
        throw UserError("tokenizer.vocabulary_size is " + std::to_string(vocabulary_size) +
                        ", expected at least " + std::to_string(kSmallestVocabulary) +
                        " (256 bytes and 5 special tokens)");
    }
    ByteLevelBpe::Tokens tokens = {"<s>", "<pad>", "</s>", "<unk>"};
    const auto first_byte_id = static_cast<std::int32_t>(tokens.size());
    for (int byte = 0; byte < 256; ++byte) {
        tokens.emplace_back(1, static_cast<char>(byte));
    }
    ByteLevelBpe::Merges merges;
    Trainer trainer(texts, tokens, first_byte_id);
    while (static_cast<std::int64_t>(tokens.size()) + 1 < vocabulary_size &&
           trainer.merge_most_frequent(merges)) {
    }
    tokens.emplace_back("<mask>");
    return {std::move(tokens), merges};
}

}  // namespace orchestrate
