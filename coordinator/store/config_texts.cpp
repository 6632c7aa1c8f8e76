#include "coordinator/store/config_texts.h"

namespace orchestrate {
namespace {

constexpr std::string_view kSeedKey = "\"seed\":{";

}  // namespace

JobConfig ConfigTexts::read(std::string_view text) {
    // Within strings quotes are escaped, so that what is found is a key; the only one of that name.
    const std::size_t key = text.find(kSeedKey);
    const std::size_t end = key == std::string_view::npos ? key : text.find('}', key);
    if (end == std::string_view::npos || text.find(kSeedKey, key + 1) != std::string_view::npos) {
        return Json::parse(text).get<JobConfig>();
    }
    const std::string_view before = text.substr(0, key);
    const std::string_view after = text.substr(end + 1);
    const std::string_view known(last_text_);
    if (known.size() != before.size() + after.size() || !known.starts_with(before) ||
        !known.ends_with(after)) {
        last_ = Json::parse(text).get<JobConfig>();
        last_text_.assign(before).append(after);
        return last_;
    }
    JobConfig config = last_;
    const std::size_t begin = key + kSeedKey.size() - 1;
    config.seed = Json::parse(text.substr(begin, end + 1 - begin)).get<SeedConfig>();
    return config;
}

}  // namespace orchestrate
