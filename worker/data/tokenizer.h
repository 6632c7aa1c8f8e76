// A vocabulary of either kind, as training uses it: texts become ids, and the vocabulary can be written beside a
// model.
#pragma once

#include <filesystem>
#include <memory>
#include <variant>

#include "common/job/job_config.h"
#include "worker/data/byte_level_bpe.h"
#include "worker/data/word_piece.h"

namespace orchestrate {

// Immutable: any number of threads may use one.
class Tokenizer {
  public:
    explicit Tokenizer(std::variant<ByteLevelBpe, WordPiece> vocabulary);

    // Reads the vocabulary in a folder, which must be of that kind. Throws UserError.
    static Tokenizer load(const std::filesystem::path& folder, TokenizerKind kind);

    TokenizerKind kind() const;
    std::int64_t vocabulary_size() const;
    // First and last of a text are `bos` and `eos`: [CLS] and [SEP] in BERT's vocabulary.
    SpecialTokens special() const;

    // As ByteLevelBpe::encode_batch.
    TokenizedTexts encode_batch(std::span<const std::string> texts, std::int64_t max_length,
                                int threads) const;

    // Writes the vocabulary's files and what tells transformers which tokenizer they are for. Throws UserError.
    void save(const std::filesystem::path& folder) const;

  private:
    std::variant<ByteLevelBpe, WordPiece> vocabulary_;
};

}  // namespace orchestrate
