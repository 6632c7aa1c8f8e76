#include "common/data/vocabulary.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/base/named_file.h"
#include "common/base/sha256.h"
#include "common/base/strict_json.h"

namespace orchestrate {
namespace {

constexpr std::uint64_t kMaxTokens = 100'000'000;

bool holds(const std::filesystem::path& folder, TokenizerKind kind) {
    for (const auto& name : vocabulary_file_names(kind)) {
        if (!std::filesystem::exists(folder / name)) {
            return false;
        }
    }
    return true;
}

// A setting of tokenizer_config.json that changes the ids, with the value that is honoured; a missing one or null
// means that value.
struct Setting {
    const char* key;
    bool honoured;
};

void check_settings(const std::filesystem::path& folder, TokenizerKind kind) {
    const auto path = folder / "tokenizer_config.json";
    if (!std::filesystem::exists(path)) {
        return;
    }
    std::ifstream file = open_named_file(path);
    const Json json = Json::parse(file, nullptr, false);
    if (!json.is_object()) {
        throw UserError("'" + path.string() + "' is no JSON object");
    }
    const std::vector<Setting> settings =
        kind == TokenizerKind::word_piece
            ? std::vector<Setting>{{"do_lower_case", true},
                                   {"do_basic_tokenize", true},
                                   {"strip_accents", true},
                                   {"tokenize_chinese_chars", true}}
            : std::vector<Setting>{{"add_prefix_space", false}, {"trim_offsets", true}};
    for (const auto& [key, honoured] : settings) {
        const auto found = json.find(key);
        if (found != json.end() && !found->is_null() && *found != honoured) {
            throw UserError("'" + path.string() + "': " + key + " is " + found->dump() + ", expected " +
                            (honoured ? "true" : "false") + "; such a tokenizer is not supported");
        }
    }
}

}  // namespace

std::vector<std::string> vocabulary_file_names(TokenizerKind kind) {
    if (kind == TokenizerKind::byte_level_bpe) {
        return {"vocab.json", "merges.txt"};
    }
    return {"vocab.txt"};
}

TokenizerKind vocabulary_kind(const std::filesystem::path& folder) {
    const bool is_bpe = holds(folder, TokenizerKind::byte_level_bpe);
    const bool is_word_piece = holds(folder, TokenizerKind::word_piece);
    const std::string expected = "vocab.json and merges.txt (RoBERTa), or vocab.txt (BERT)";
    if (is_bpe && is_word_piece) {
        throw UserError("'" + folder.string() + "' holds two vocabularies; expected either " + expected);
    }
    if (!is_bpe && !is_word_piece) {
        std::string found = "holds no vocabulary";
        if (!std::filesystem::is_directory(folder)) {
            found = "is no folder that can be read";
        } else if (std::filesystem::exists(folder / "tokenizer.json")) {
            found = "holds a vocabulary only in tokenizer.json, which is not read";
        } else if (std::filesystem::exists(folder / "vocab.json")) {
            found = "holds vocab.json without merges.txt";
        } else if (std::filesystem::exists(folder / "merges.txt")) {
            found = "holds merges.txt without vocab.json";
        }
        throw UserError("'" + folder.string() + "' " + found + "; expected a folder with " + expected);
    }
    const auto kind = is_bpe ? TokenizerKind::byte_level_bpe : TokenizerKind::word_piece;
    check_settings(folder, kind);
    return kind;
}

std::int64_t vocabulary_size(const std::filesystem::path& folder) {
    std::int64_t size = 0;
    if (vocabulary_kind(folder) == TokenizerKind::word_piece) {
        std::ifstream file = open_named_file(folder / "vocab.txt");
        for (std::string line; std::getline(file, line);) {
            ++size;
        }
        return size;
    }
    const auto path = folder / "vocab.json";
    const Json json = read_strict_json(path);
    for (const auto& [token, id] : json.items()) {
        if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kMaxTokens) {
            throw UserError("'" + path.string() + "': '" + token + "' has the id " + id.dump() +
                            ", expected an integer from 0 to " + std::to_string(kMaxTokens - 1));
        }
        size = std::max(size, id.get<std::int64_t>() + 1);
    }
    return size;
}

std::string sha256_hex_of_vocabulary(const std::filesystem::path& folder) {
    Sha256 hasher;
    for (const auto& name : vocabulary_file_names(vocabulary_kind(folder))) {
        hasher.add(name.c_str(), name.size() + 1);
        hasher.add_file(folder / name);
    }
    return hasher.hex();
}

}  // namespace orchestrate
