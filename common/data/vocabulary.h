// A folder with a tokenizer's files, as Hugging Face writes them: which tokenizer they are for, and their hash. Says
// what cannot be honoured before anything is read by it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/job/job_config.h"

namespace orchestrate {

// The names of a vocabulary's files: vocab.json and merges.txt, or vocab.txt.
std::vector<std::string> vocabulary_file_names(TokenizerKind kind);

// Which vocabulary the folder holds. Throws UserError if it holds none or two, or if its tokenizer_config.json asks
// for what the tokenizers here do not do (upper case kept, a space before each text).
TokenizerKind vocabulary_kind(const std::filesystem::path& folder);

// How many ids the vocabulary has: its highest and one. Throws UserError as vocabulary_kind, or naming a file that is
// no vocabulary.
std::int64_t vocabulary_size(const std::filesystem::path& folder);

// Of a vocabulary folder: hash over the names and contents of its files. Throws UserError as vocabulary_kind.
std::string sha256_hex_of_vocabulary(const std::filesystem::path& folder);

}  // namespace orchestrate
