// Tokenizes the lines of a file: prints one line of JSON with seconds, tokens and the SHA-256 of all ids, so that other
// tokenizers can be compared in speed and result.
//   tokenizer_speed --texts FILE --vocabulary FOLDER --kind byte_level_bpe --threads 2
#include <chrono>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <time.h>

#include "common/base/json.h"
#include "common/base/sha256.h"
#include "worker/data/tokenizer.h"

namespace {

using namespace orchestrate;

double read_clock(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Times a tokenizer on the lines of a file");
    std::string texts_file;
    std::string vocabulary;
    std::string kind = "byte_level_bpe";
    int threads = 1;
    app.add_option("--texts", texts_file)->required()->check(CLI::ExistingFile);
    app.add_option("--vocabulary", vocabulary)->required()->check(CLI::ExistingDirectory);
    app.add_option("--kind", kind)->check(CLI::IsMember({"byte_level_bpe", "word_piece"}));
    app.add_option("--threads", threads);
    CLI11_PARSE(app, argc, argv);
    try {
        std::vector<std::string> texts;
        std::ifstream file(texts_file);
        for (std::string line; std::getline(file, line);) {
            texts.push_back(line);
        }
        const Tokenizer tokenizer = Tokenizer::load(vocabulary, *enum_from_name<TokenizerKind>(kind));
        const double start = read_clock(CLOCK_MONOTONIC);
        const double processor_start = read_clock(CLOCK_PROCESS_CPUTIME_ID);
        const TokenizedTexts tokenized = tokenizer.encode_batch(texts, /*max_length=*/512, threads);
        const double seconds = read_clock(CLOCK_MONOTONIC) - start;
        const double processor_seconds = read_clock(CLOCK_PROCESS_CPUTIME_ID) - processor_start;
        Sha256 hash;
        hash.add(tokenized.ids.data(), tokenized.ids.size() * sizeof(std::int32_t));
        std::cout << Json{{"texts", texts.size()},
                          {"tokens", tokenized.ids.size()},
                          {"seconds", seconds},
                          {"processor_seconds", processor_seconds},
                          {"ids_sha256", hash.hex()}}
                  << '\n';
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
    return 0;
}
