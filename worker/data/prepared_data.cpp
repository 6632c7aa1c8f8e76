#include "worker/data/prepared_data.h"

#include <algorithm>
#include <fstream>

#include "common/base/error.h"
#include "common/base/sha256.h"
#include "common/data/dataset.h"
#include "common/data/split.h"
#include "common/data/vocabulary.h"
#include "worker/data/bpe_trainer.h"
#include "worker/data/leaks.h"
#include "worker/data/text_form.h"

namespace orchestrate {
namespace {

struct SplitTexts {
    Dataset dataset;
    std::vector<DataPart> parts;
    std::vector<std::string> texts;
};

// A class that training never sees cannot be predicted.
void check_training_classes(const Dataset& dataset, const std::vector<DataPart>& parts,
                            const std::string& label) {
    std::vector<std::int64_t> training_rows(dataset.classes.size(), 0);
    std::vector<std::int64_t> other_rows(dataset.classes.size(), 0);
    for (std::size_t row = 0; row < parts.size(); ++row) {
        ++(parts[row] == DataPart::train ? training_rows
                                         : other_rows)[static_cast<std::size_t>(dataset.label[row])];
    }
    for (std::size_t id = 0; id < training_rows.size(); ++id) {
        if (training_rows[id] == 0) {
            throw UserError(
                "class '" + dataset.classes[id] + "' of column '" + label +
                "' has no row in the training part and " + std::to_string(other_rows[id]) +
                " in the validation and test parts; add rows of it, leave it out of data.classes, "
                "raise data.max_rows or group by a column with more values");
        }
    }
}

SplitTexts read_texts(const DataConfig& config, const JobPaths& paths, int threads) {
    SplitTexts result;
    result.dataset = read_dataset(paths.data, config, config.features);
    if (!config.sha256.empty() && config.sha256 != result.dataset.sha256) {
        throw UserError(std::string("'") + paths.data + "' has the SHA-256 " + result.dataset.sha256 +
                        ", but the job is about data with " + config.sha256 +
                        "; the file was changed: bring the old one back, or run the study anew");
    }
    try {
        result.parts = split_rows(result.dataset, config.split);
        check_training_classes(result.dataset, result.parts, config.label);
        result.texts = TextWriter(result.dataset, result.parts, config.text,
                                  config.missing.value_or(MissingValues::refuse))
                           .all_texts(threads);
    } catch (const UserError& error) {
        throw UserError("'" + paths.data + "': " + error.what());
    }
    return result;
}

std::vector<std::size_t> rows_of(const std::vector<DataPart>& parts, DataPart part) {
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < parts.size(); ++row) {
        if (parts[row] == part) {
            rows.push_back(row);
        }
    }
    return rows;
}

std::vector<std::string> texts_of(const SplitTexts& all, DataPart part) {
    std::vector<std::string> texts;
    for (const std::size_t row : rows_of(all.parts, part)) {
        texts.push_back(all.texts[row]);
    }
    return texts;
}

Tokenizer make_tokenizer(const TokenizerConfig& config, const JobPaths& paths, const SplitTexts& all) {
    if (!paths.vocabulary.empty()) {
        if (!config.vocabulary_sha256.empty()) {
            const std::string found = sha256_hex_of_vocabulary(paths.vocabulary);
            if (found != config.vocabulary_sha256) {
                throw UserError(std::string("the vocabulary in '") + paths.vocabulary + "' has the SHA-256 " +
                                found + ", but the job is about the one with " + config.vocabulary_sha256 +
                                "; bring the old files back, or run the study anew");
            }
        }
        return Tokenizer::load(paths.vocabulary, config.kind);
    }
    if (!config.vocabulary_sha256.empty()) {
        throw UserError("the job needs the vocabulary with the SHA-256 " + config.vocabulary_sha256 +
                        ", but no folder is given that holds it (tokenizer.vocabulary)");
    }
    if (config.kind != TokenizerKind::byte_level_bpe) {
        throw UserError("only a byte-level BPE can be trained on the texts, but tokenizer.kind is " +
                        to_string(config.kind) + "; name a folder that holds its vocabulary");
    }
    return Tokenizer(train_byte_level_bpe(texts_of(all, DataPart::train), config.vocabulary_size));
}

PreparedPart tokenize(const SplitTexts& all, DataPart which, const Tokenizer& tokenizer,
                      std::int64_t max_length, int threads, DataReport& report) {
    PreparedPart part;
    const auto texts = texts_of(all, which);
    for (const std::size_t row : rows_of(all.parts, which)) {
        part.label.push_back(all.dataset.label[row]);
        part.line.push_back(all.dataset.line[row]);
    }
    Sha256 hash;
    for (const auto& text : texts) {
        hash.add(text.c_str(), text.size() + 1);
    }
    part.texts_sha256 = hash.hex();
    auto tokenized = tokenizer.encode_batch(texts, max_length, threads);
    part.token_ids = std::move(tokenized.ids);
    part.offsets = std::move(tokenized.offsets);
    report.truncated_texts += tokenized.truncated;
    for (std::int64_t row = 0; row < part.rows(); ++row) {
        report.longest_text_tokens = std::max(report.longest_text_tokens, part.length(row));
    }
    return part;
}

std::string quoted(const std::string& field) {
    if (field.find_first_of(",\"\r\n") == std::string::npos) {
        return field;
    }
    std::string result = "\"";
    for (const char c : field) {
        result += c == '"' ? "\"\"" : std::string(1, c);
    }
    return result + '"';
}

}  // namespace

PreparedData prepare_data(const DataConfig& data, const TokenizerConfig& tokenizer, const JobPaths& paths,
                          int threads, const std::function<void()>& on_advance) {
    const auto advance = [&] {
        if (on_advance) {
            on_advance();
        }
    };
    constexpr std::int64_t kShortestText = 3;
    if (tokenizer.max_length < kShortestText) {
        throw UserError("tokenizer.max_length is " + std::to_string(tokenizer.max_length) +
                        ", expected at least " + std::to_string(kShortestText) +
                        ": two special tokens and one of the text");
    }
    const SplitTexts all = read_texts(data, paths, threads);
    advance();

    PreparedData prepared;
    prepared.file = paths.data;
    prepared.tokenizer = std::make_shared<const Tokenizer>(make_tokenizer(tokenizer, paths, all));
    advance();
    DataReport& report = prepared.report;
    prepared.classes = all.dataset.classes;
    prepared.vocabulary_size = prepared.tokenizer->vocabulary_size();
    prepared.special = prepared.tokenizer->special();
    prepared.train =
        tokenize(all, DataPart::train, *prepared.tokenizer, tokenizer.max_length, threads, report);
    advance();
    prepared.validation =
        tokenize(all, DataPart::validation, *prepared.tokenizer, tokenizer.max_length, threads, report);
    prepared.test = tokenize(all, DataPart::test, *prepared.tokenizer, tokenizer.max_length, threads, report);
    advance();

    report.data_sha256 = all.dataset.sha256;
    report.train_rows = prepared.train.rows();
    report.validation_rows = prepared.validation.rows();
    report.test_rows = prepared.test.rows();
    report.vocabulary_size = prepared.vocabulary_size;
    const std::size_t tokens = prepared.train.token_ids.size() + prepared.validation.token_ids.size() +
                               prepared.test.token_ids.size();
    report.mean_tokens = static_cast<double>(tokens) / static_cast<double>(all.texts.size());
    report.absent_classes = absent_classes(all.dataset, all.parts);
    report.leaks = find_leaks(all.dataset, all.parts, all.texts);
    report.example_text = all.texts[rows_of(all.parts, DataPart::train).front()];
    return prepared;
}

std::string prepared_data_key(const DataConfig& data, const TokenizerConfig& tokenizer) {
    TokenizerConfig used = tokenizer;
    used.window_length = 0;  // texts are cut into windows when batches are made
    used.window_stride = 0;
    return sha256_hex(Json{{"data", data}, {"tokenizer", used}}.dump());
}

void write_texts_csv(const DataConfig& data, const JobPaths& paths,
                     const std::filesystem::path& destination) {
    const SplitTexts all = read_texts(data, paths, 1);
    std::ofstream file(destination, std::ios::binary);
    file << "line,part,label,text\n";
    for (std::size_t row = 0; row < all.texts.size(); ++row) {
        const auto& label = all.dataset.classes[static_cast<std::size_t>(all.dataset.label[row])];
        file << all.dataset.line[row] << ',' << to_string(all.parts[row]) << ',' << quoted(label) << ','
             << quoted(all.texts[row]) << '\n';
    }
    file.flush();
    if (!file) {
        throw UserError("cannot write '" + destination.string() + "'");
    }
}

}  // namespace orchestrate
