#include "worker/data/byte_level_bpe.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <queue>
#include <tuple>
#include <unordered_map>

#include "common/base/counter_random.h"
#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/named_file.h"
#include "worker/data/byte_level_words.h"

namespace orchestrate {
namespace {

constexpr std::array<std::string_view, 5> kSpecialTokens = {"<s>", "<pad>", "</s>", "<unk>", "<mask>"};
constexpr std::size_t kLongWordBytes = 64;  // above, a heap finds the next merge
constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();

bool is_special(std::string_view token) {
    return std::find(kSpecialTokens.begin(), kSpecialTokens.end(), token) != kSpecialTokens.end();
}

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U |
           static_cast<std::uint32_t>(right);
}

std::string written(const std::string& token) {
    return is_special(token) ? token : printable_from_bytes(token);
}

// The first special token in `text` from `from` on: position and which.
std::optional<std::pair<std::size_t, std::size_t>> find_special(std::string_view text, std::size_t from) {
    for (std::size_t at = text.find('<', from); at != std::string_view::npos; at = text.find('<', at + 1)) {
        for (std::size_t k = 0; k < kSpecialTokens.size(); ++k) {
            if (text.substr(at).starts_with(kSpecialTokens[k])) {
                return std::pair{at, k};
            }
        }
    }
    return std::nullopt;
}

ByteLevelBpe::Tokens read_vocabulary(const std::filesystem::path& path) {
    std::ifstream file = open_named_file(path, "RoBERTa's vocabulary");
    Json json;
    try {
        json = Json::parse(file);
    } catch (const Json::exception& error) {
        throw UserError(std::string("'") + path.string() + "' is not JSON: " + error.what());
    }
    const auto fail = [&](const std::string& what) {
        throw UserError(std::string("'") + path.string() + "': " + what +
                        ", expected an object of tokens and their ids");
    };
    if (!json.is_object() || json.empty()) {
        fail(std::string("holds ") + json.type_name());
    }
    constexpr std::int64_t kLargestId = 1 << 24;
    ByteLevelBpe::Tokens tokens;
    for (const auto& [token, id] : json.items()) {
        if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > kLargestId) {
            fail("token '" + token + "' has the id " + id.dump());
        }
        const auto index = id.get<std::size_t>();
        tokens.resize(std::max(tokens.size(), index + 1));
        if (!tokens[index].empty()) {
            fail("id " + id.dump() + " stands for two tokens");
        }
        const auto bytes = bytes_from_printable(token);
        tokens[index] = is_special(token) || !bytes ? token : *bytes;
        if (token.empty()) {
            fail("id " + id.dump() + " stands for an empty token");
        }
    }
    return tokens;
}

ByteLevelBpe::Merges read_merges(const std::filesystem::path& path, const ByteLevelBpe::Tokens& tokens) {
    std::ifstream file = open_named_file(path, "the merges that belong to vocab.json");
    std::unordered_map<std::string_view, std::int32_t> ids;
    for (std::size_t id = 0; id < tokens.size(); ++id) {
        ids.emplace(tokens[id], static_cast<std::int32_t>(id));
    }
    ByteLevelBpe::Merges merges;
    std::string line;
    for (std::int64_t number = 1; std::getline(file, line); ++number) {
        if (!line.empty() && line.back() == '\r') {
            line.pop_back();
        }
        if (line.empty() || (number == 1 && line.starts_with("#version"))) {
            continue;
        }
        const auto space = line.find(' ');
        const auto fail = [&](const std::string& what) {
            throw UserError("line " + std::to_string(number) + " of '" + path.string() + "' " + what);
        };
        if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
            fail("is '" + line + "', expected two tokens with one space between them");
        }
        const auto id_of = [&](const std::string& token) {
            const auto bytes = bytes_from_printable(token);
            const auto found = bytes ? ids.find(*bytes) : ids.end();
            if (found == ids.end()) {
                fail("names the token '" + token +
                     "', which vocab.json does not hold; do the files belong together?");
            }
            return found->second;
        };
        const std::int32_t left = id_of(line.substr(0, space));
        const std::int32_t right = id_of(line.substr(space + 1));
        id_of(line.substr(0, space) + line.substr(space + 1));
        merges.emplace_back(left, right);
    }
    return merges;
}

}  // namespace

ByteLevelBpe ByteLevelBpe::load(const std::filesystem::path& folder) {
    auto tokens = read_vocabulary(folder / "vocab.json");
    const auto merges = read_merges(folder / "merges.txt", tokens);
    try {
        return {std::move(tokens), merges};
    } catch (const UserError& error) {
        throw UserError(std::string("vocabulary '") + folder.string() + "': " + error.what());
    }
}

ByteLevelBpe::ByteLevelBpe(Tokens tokens, const Merges& merges)
    : tokens_(std::move(tokens)), merges_(merges) {
    std::unordered_map<std::string_view, std::int32_t> ids;
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
        ids.emplace(tokens_[id], static_cast<std::int32_t>(id));
    }
    const auto id_of = [&](const std::string& token) {
        const auto found = ids.find(token);
        if (found == ids.end()) {
            throw UserError("the token '" + written(token) + "' has no id");
        }
        return found->second;
    };
    const std::array<std::int32_t*, 5> special = {&special_.bos, &special_.pad, &special_.eos, &special_.unk,
                                                  &special_.mask};
    for (std::size_t k = 0; k < special.size(); ++k) {
        *special[k] = id_of(std::string(kSpecialTokens[k]));
    }
    for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
        byte_ids_[byte] = id_of(std::string(1, static_cast<char>(byte)));
    }
    std::size_t slots = 16;
    while (slots < 3 * merges.size()) {
        slots *= 2;
    }
    table_.resize(slots);
    table_mask_ = slots - 1;
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
        const auto [left, right] = merges[rank];
        const std::uint64_t key = pair_key(left, right);
        std::uint64_t slot = mix_bits(key) & table_mask_;
        while (table_[slot].pair != kNoPair && table_[slot].pair != key) {
            slot = (slot + 1) & table_mask_;
        }
        const auto merged =
            tokens_[static_cast<std::size_t>(left)] + tokens_[static_cast<std::size_t>(right)];
        table_[slot] = {key, static_cast<std::int32_t>(rank), id_of(merged)};
    }
}

void ByteLevelBpe::save(const std::filesystem::path& folder) const {
    std::filesystem::create_directories(folder);
    std::ofstream vocabulary(folder / "vocab.json", std::ios::binary);
    const char* separator = "{";
    for (std::size_t id = 0; id < tokens_.size(); ++id) {
        if (!tokens_[id].empty()) {
            vocabulary << separator << Json(written(tokens_[id])).dump() << ": " << id;
            separator = ", ";
        }
    }
    vocabulary << "}\n";
    std::ofstream merges(folder / "merges.txt", std::ios::binary);
    merges << "#version: 0.2\n";
    for (const auto& [left, right] : merges_) {
        merges << printable_from_bytes(tokens_[static_cast<std::size_t>(left)]) << ' '
               << printable_from_bytes(tokens_[static_cast<std::size_t>(right)]) << '\n';
    }
    vocabulary.flush();
    merges.flush();
    if (!vocabulary || !merges) {
        throw UserError("cannot write vocab.json and merges.txt into '" + folder.string() + "'");
    }
}

const ByteLevelBpe::Merge* ByteLevelBpe::find_merge(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = pair_key(left, right);
    for (std::uint64_t slot = mix_bits(key) & table_mask_;; slot = (slot + 1) & table_mask_) {
        if (table_[slot].pair == key) {
            return &table_[slot];
        }
        if (table_[slot].pair == kNoPair) {
            return nullptr;
        }
    }
}

// Merges the pair of lowest rank, the leftmost of equals, until none is left.
void ByteLevelBpe::merge_word(std::string_view word, std::vector<std::int32_t>& ids) const {
    if (word.size() > kLongWordBytes) {
        merge_long_word(word, ids);
        return;
    }
    std::array<std::int32_t, kLongWordBytes> symbol{};
    std::array<std::int32_t, kLongWordBytes> rank{};  // of the pair that begins there
    std::array<std::int32_t, kLongWordBytes> result{};
    std::size_t count = word.size();
    const auto look_up = [&](std::size_t at) {
        const Merge* const merge = at + 1 < count ? find_merge(symbol[at], symbol[at + 1]) : nullptr;
        rank[at] = merge != nullptr ? merge->rank : kNoRank;
        result[at] = merge != nullptr ? merge->result : 0;
    };
    for (std::size_t i = 0; i < count; ++i) {
        symbol[i] = byte_ids_[static_cast<unsigned char>(word[i])];
    }
    for (std::size_t i = 0; i < count; ++i) {
        look_up(i);
    }
    while (count > 1) {
        const auto lowest = std::min_element(rank.begin(), rank.begin() + static_cast<std::ptrdiff_t>(count));
        if (*lowest == kNoRank) {
            break;
        }
        const auto at = static_cast<std::size_t>(lowest - rank.begin());
        symbol[at] = result[at];
        --count;
        for (std::size_t i = at + 1; i < count; ++i) {
            symbol[i] = symbol[i + 1];
            rank[i] = rank[i + 1];
            result[i] = result[i + 1];
        }
        look_up(at);
        if (at > 0) {
            look_up(at - 1);
        }
    }
    ids.insert(ids.end(), symbol.begin(), symbol.begin() + static_cast<std::ptrdiff_t>(count));
}

// The same in O(n log n): a heap of possible merges over a linked list of symbols.
void ByteLevelBpe::merge_long_word(std::string_view word, std::vector<std::int32_t>& ids) const {
    constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
    struct Symbol {
        std::int32_t id = 0;
        std::size_t previous = kNone;
        std::size_t next = kNone;
        bool alive = true;
    };
    struct Candidate {
        std::int32_t rank = 0;
        std::size_t at = 0;
        std::uint64_t pair = 0;
        std::int32_t result = 0;
        bool operator<(const Candidate& other) const {
            return std::tie(rank, at) > std::tie(other.rank, other.at);
        }
    };
    std::vector<Symbol> symbols(word.size());
    for (std::size_t i = 0; i < word.size(); ++i) {
        symbols[i] = {byte_ids_[static_cast<unsigned char>(word[i])], i == 0 ? kNone : i - 1,
                      i + 1 == word.size() ? kNone : i + 1, true};
    }
    std::priority_queue<Candidate> candidates;
    const auto consider = [&](std::size_t at) {
        if (at == kNone || symbols[at].next == kNone) {
            return;
        }
        const std::int32_t right = symbols[symbols[at].next].id;
        if (const Merge* const merge = find_merge(symbols[at].id, right)) {
            candidates.push({merge->rank, at, merge->pair, merge->result});
        }
    };
    for (std::size_t i = 0; i < symbols.size(); ++i) {
        consider(i);
    }
    while (!candidates.empty()) {
        const Candidate best = candidates.top();
        candidates.pop();
        Symbol& left = symbols[best.at];
        if (!left.alive || left.next == kNone || pair_key(left.id, symbols[left.next].id) != best.pair) {
            continue;
        }
        Symbol& right = symbols[left.next];
        left.id = best.result;
        left.next = right.next;
        right.alive = false;
        if (left.next != kNone) {
            symbols[left.next].previous = best.at;
        }
        consider(left.previous);
        consider(best.at);
    }
    for (std::size_t at = 0; at != kNone; at = symbols[at].next) {
        ids.push_back(symbols[at].id);
    }
}

void ByteLevelBpe::append_words(std::string_view text, WordCache& cache,
                                std::vector<std::int32_t>& ids) const {
    ByteLevelWords words(text);
    while (const auto word = words.next()) {
        if (const auto known = cache.find(*word)) {
            ids.insert(ids.end(), known->begin(), known->end());
            continue;
        }
        const std::size_t begin = ids.size();
        merge_word(*word, ids);
        cache.add(*word, std::span(ids).subspan(begin));
    }
}

// Literal special tokens are cut out before words are looked for.
void ByteLevelBpe::append_text(std::string_view text, WordCache& cache,
                               std::vector<std::int32_t>& ids) const {
    const std::array<std::int32_t, 5> special_ids = {special_.bos, special_.pad, special_.eos, special_.unk,
                                                     special_.mask};
    std::size_t at = 0;
    while (const auto found = find_special(text, at)) {
        const auto [position, k] = *found;
        const std::string_view before = text.substr(at, position - at);
        append_words(special_ids[k] == special_.mask ? without_trailing_space(before) : before, cache, ids);
        ids.push_back(special_ids[k]);
        at = position + kSpecialTokens[k].size();
    }
    append_words(text.substr(at), cache, ids);
}

std::vector<std::int32_t> ByteLevelBpe::encode(std::string_view text, std::int64_t max_length) const {
    const std::string copy(text);
    return encode_batch({&copy, 1}, max_length, 1).ids;
}

std::vector<std::int32_t> ByteLevelBpe::encode_pair(std::string_view first, std::string_view second,
                                                    std::int64_t max_length) const {
    WordCache cache;
    std::vector<std::int32_t> a;
    std::vector<std::int32_t> b;
    append_text(first, cache, a);
    append_text(second, cache, b);
    if (max_length > 0) {
        cut_longest_first(a, b, static_cast<std::size_t>(std::max<std::int64_t>(0, max_length - 4)));
    }
    std::vector<std::int32_t> ids = {special_.bos};
    ids.insert(ids.end(), a.begin(), a.end());
    ids.insert(ids.end(), {special_.eos, special_.eos});
    ids.insert(ids.end(), b.begin(), b.end());
    ids.push_back(special_.eos);
    return ids;
}

TokenizedTexts ByteLevelBpe::encode_batch(std::span<const std::string> texts, std::int64_t max_length,
                                          int threads) const {
    return tokenize_in_parallel(
        texts, threads, [&](std::span<const std::string> some, TokenizedTexts& result) {
            WordCache cache;
            const auto append = [&](const std::string& text, std::vector<std::int32_t>& ids) {
                append_text(text, cache, ids);
            };
            for (const auto& text : some) {
                append_framed(text, special_.bos, special_.eos, max_length, append, result);
            }
        });
}

std::string ByteLevelBpe::decode(std::span<const std::int32_t> ids) const {
    std::string text;
    for (const auto id : ids) {
        const auto& token = tokens_.at(static_cast<std::size_t>(id));
        text += is_special(token) ? "" : token;
    }
    return text;
}

}  // namespace orchestrate
