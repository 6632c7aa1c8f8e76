// The one entry for training: a data file and its configuration become tokenized texts in three parts, with
// everything that training and its report need to know of them. Free of torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/job/attempt.h"
#include "common/job/job_config.h"
#include "worker/data/special_tokens.h"
#include "worker/data/tokenizer.h"

namespace orchestrate {

// The rows of one part; entry i of every vector belongs to row i. Rows stand in the order of the file.
struct PreparedPart {
    std::vector<std::int32_t>
        token_ids;                      // of all texts one after another, special tokens included, no padding
    std::vector<std::int64_t> offsets;  // rows + 1 entries: row i has token_ids[offsets[i] .. offsets[i + 1])
    std::vector<std::int32_t> label;    // index into PreparedData::classes
    std::vector<std::int64_t> line;     // 1-based line in the data file
    std::string texts_sha256;           // of the texts, each followed by a zero byte

    std::int64_t rows() const { return static_cast<std::int64_t>(label.size()); }
    std::int64_t length(std::int64_t row) const {
        const auto at = static_cast<std::size_t>(row);
        return offsets[at + 1] - offsets[at];
    }
    std::span<const std::int32_t> tokens(std::int64_t row) const {
        return {token_ids.data() + offsets[static_cast<std::size_t>(row)],
                static_cast<std::size_t>(length(row))};
    }
};

struct PreparedData {
    std::string file;                  // that it was first read from, for messages
    std::vector<std::string> classes;  // in order of their indices
    PreparedPart train;  // at least one row; validation and test may be empty if their fraction is 0
    PreparedPart validation;
    PreparedPart test;
    std::int64_t vocabulary_size = 0;  // every token id is below
    SpecialTokens special;
    std::shared_ptr<const Tokenizer> tokenizer;  // what made the ids
    DataReport
        report;  // longest_text_tokens there is the length of the longest tokenized text, after truncation
};

// Reads, splits, writes texts, tokenizes (`threads` of them); `on_advance` is called after each of these. Pure: the same arguments and file contents give
// the same result on every machine and for every number of threads. The vocabulary is read from
// paths.vocabulary, or, if that is empty, a byte-level BPE trained on the training texts. Throws UserError for what the data
// or the configuration has wrong, also if data.sha256 or vocabulary_sha256 is given and is not that of the
// file read.
PreparedData prepare_data(const DataConfig& data, const TokenizerConfig& tokenizer, const JobPaths& paths,
                          int threads, const std::function<void()>& on_advance = nullptr);

// Key under which prepare_data's result may be kept: equal keys give equal results (the configurations must
// hold their content hashes).
std::string prepared_data_key(const DataConfig& data, const TokenizerConfig& tokenizer);

// Writes "line,part,label,text" of each row as CSV, in the order of the file: what the model reads.
// Throws UserError as prepare_data, or if the destination cannot be written.
void write_texts_csv(const DataConfig& data, const JobPaths& paths, const std::filesystem::path& destination);

}  // namespace orchestrate
