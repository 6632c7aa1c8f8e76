// Token ids of words seen before. Bounded; one per thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace orchestrate {

class WordCache {
  public:
    // Valid until the next add().
    std::optional<std::span<const std::int32_t>> find(std::string_view word) const {
        const auto found = places_.find(word);
        if (found == places_.end()) {
            return std::nullopt;
        }
        return std::span(ids_).subspan(found->second.first, found->second.second);
    }

    // Does nothing for long words, or when there are many already.
    void add(std::string_view word, std::span<const std::int32_t> ids) {
        if (places_.size() < kMaxWords && word.size() <= kLongestWord) {
            places_.emplace(word, std::pair{ids_.size(), ids.size()});
            ids_.insert(ids_.end(), ids.begin(), ids.end());
        }
    }

  private:
    static constexpr std::size_t kMaxWords = 1U << 16;
    static constexpr std::size_t kLongestWord = 64;

    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    std::vector<std::int32_t> ids_;
    std::unordered_map<std::string, std::pair<std::size_t, std::size_t>, Hash, std::equal_to<>> places_;
};

}  // namespace orchestrate
