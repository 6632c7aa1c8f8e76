#include "worker/data/tokenizer.h"

#include <fstream>

#include "common/base/error.h"
#include "common/data/vocabulary.h"

namespace orchestrate {
namespace {

SpecialTokens special_of(const ByteLevelBpe& bpe) {
    return bpe.special();
}

SpecialTokens special_of(const WordPiece& word_piece) {
    const BertSpecialTokens& special = word_piece.special();
    return {special.cls, special.pad, special.sep, special.unk, special.mask};
}

}  // namespace

Tokenizer::Tokenizer(std::variant<ByteLevelBpe, WordPiece> vocabulary) : vocabulary_(std::move(vocabulary)) {}

Tokenizer Tokenizer::load(const std::filesystem::path& folder, TokenizerKind kind) {
    const TokenizerKind found = vocabulary_kind(folder);
    if (found != kind) {
        throw UserError("'" + folder.string() + "' holds a vocabulary of the kind " + to_string(found) +
                        ", but the job is about one of the kind " + to_string(kind) + " (tokenizer.kind)");
    }
    if (kind == TokenizerKind::byte_level_bpe) {
        return Tokenizer(ByteLevelBpe::load(folder));
    }
    return Tokenizer(WordPiece::load(folder / "vocab.txt"));
}

TokenizerKind Tokenizer::kind() const {
    return std::holds_alternative<ByteLevelBpe>(vocabulary_) ? TokenizerKind::byte_level_bpe
                                                             : TokenizerKind::word_piece;
}

std::int64_t Tokenizer::vocabulary_size() const {
    return std::visit([](const auto& vocabulary) { return vocabulary.vocabulary_size(); }, vocabulary_);
}

SpecialTokens Tokenizer::special() const {
    return std::visit([](const auto& vocabulary) { return special_of(vocabulary); }, vocabulary_);
}

TokenizedTexts Tokenizer::encode_batch(std::span<const std::string> texts, std::int64_t max_length,
                                       int threads) const {
    return std::visit(
        [&](const auto& vocabulary) { return vocabulary.encode_batch(texts, max_length, threads); },
        vocabulary_);
}

void Tokenizer::save(const std::filesystem::path& folder) const {
    std::visit([&](const auto& vocabulary) { vocabulary.save(folder); }, vocabulary_);
    const Json settings = kind() == TokenizerKind::byte_level_bpe
                              ? Json{{"tokenizer_class", "RobertaTokenizer"}, {"add_prefix_space", false}}
                              : Json{{"tokenizer_class", "BertTokenizer"}, {"do_lower_case", true}};
    const auto path = folder / "tokenizer_config.json";
    std::ofstream file(path, std::ios::binary);
    file << settings.dump(2) << '\n';
    file.flush();
    if (!file) {
        throw UserError("cannot write '" + path.string() + "'");
    }
}

}  // namespace orchestrate
