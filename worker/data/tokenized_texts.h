// What tokenizers have in common: many texts in one array, threads, and which part of a pair is cut.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace orchestrate {

// Token ids of many texts, one after another: text i has ids[offsets[i] .. offsets[i + 1]).
struct TokenizedTexts {
    std::vector<std::int32_t> ids;
    std::vector<std::int64_t> offsets = {0};
    std::int64_t truncated = 0;  // texts that were cut
};

// Appends to `result` a text's ids between `begin` and `end`; with max_length > 0 cut to that many ids, the
// two included. `append(text, ids)` appends those of the text.
template <class Append>
void append_framed(const std::string& text, std::int32_t begin, std::int32_t end, std::int64_t max_length,
                   const Append& append, TokenizedTexts& result) {
    const std::size_t first = result.ids.size();
    result.ids.push_back(begin);
    append(text, result.ids);
    const auto room = static_cast<std::size_t>(std::max<std::int64_t>(1, max_length - 1));
    if (max_length > 0 && result.ids.size() - first > room) {
        result.ids.resize(first + room);
        ++result.truncated;
    }
    result.ids.push_back(end);
    result.offsets.push_back(static_cast<std::int64_t>(result.ids.size()));
}

// Cuts two texts to `room` ids together: the shorter is kept whole if it fits into half of the room; the
// longer (the second, of equals) gets the rest.
inline void cut_longest_first(std::vector<std::int32_t>& first, std::vector<std::int32_t>& second,
                              std::size_t room) {
    if (first.size() + second.size() > room) {
        auto& shorter = first.size() <= second.size() ? first : second;
        auto& longer = first.size() <= second.size() ? second : first;
        shorter.resize(std::min(shorter.size(), room / 2));
        longer.resize(room - shorter.size());
    }
}

// Tokenizes runs of texts on `threads` threads and puts the results together in order.
// `tokenize(texts, result)` is called once per thread, concurrently.
template <class Tokenize>
TokenizedTexts tokenize_in_parallel(std::span<const std::string> texts, int threads,
                                    const Tokenize& tokenize) {
    constexpr std::size_t kMinTextsPerThread = 256;
    const std::size_t useful = texts.size() / kMinTextsPerThread + 1;
    const std::size_t parts = std::min(useful, static_cast<std::size_t>(std::max(1, threads)));
    std::vector<TokenizedTexts> results(parts);
    {
        std::vector<std::jthread> workers;
        for (std::size_t part = 1; part < parts; ++part) {
            const std::size_t begin = texts.size() * part / parts;
            const std::size_t end = texts.size() * (part + 1) / parts;
            workers.emplace_back(
                [&, part, begin, end] { tokenize(texts.subspan(begin, end - begin), results[part]); });
        }
        tokenize(texts.subspan(0, texts.size() / parts), results[0]);
    }
    TokenizedTexts all = std::move(results[0]);
    for (std::size_t part = 1; part < parts; ++part) {
        const auto shift = static_cast<std::int64_t>(all.ids.size());
        all.ids.insert(all.ids.end(), results[part].ids.begin(), results[part].ids.end());
        for (std::size_t i = 1; i < results[part].offsets.size(); ++i) {
            all.offsets.push_back(shift + results[part].offsets[i]);
        }
        all.truncated += results[part].truncated;
    }
    return all;
}

}  // namespace orchestrate
