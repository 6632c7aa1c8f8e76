#include "experiments/expansion/choice.h"

#include <regex>

namespace orchestrate {
namespace {

constexpr std::size_t kMaxRows = 10'000;

}  // namespace

std::optional<Choice> parse_choice(const std::string& text) {
    static const std::regex kForm(
        "(best|top|significant)( [1-9][0-9]{0,3})? of ([A-Za-z0-9_-]+)( by (validation|test) (.+))?");
    std::smatch parts;
    if (!std::regex_match(text, parts, kForm)) {
        return std::nullopt;
    }
    Choice choice;
    choice.rule = parts[1].str();
    const bool needs_count = choice.rule == "top";
    const bool takes_count = choice.rule != "significant";
    if ((needs_count && !parts[2].matched) || (!takes_count && parts[2].matched)) {
        return std::nullopt;
    }
    choice.count = parts[2].matched ? std::stoul(parts[2].str()) : choice.rule == "best" ? 1 : kMaxRows;
    choice.stage = parts[3].str();
    if (parts[4].matched) {
        choice.part = *enum_from_name<MetricPart>(parts[5].str());
        choice.metric = parts[6].str();
    }
    return choice;
}

}  // namespace orchestrate
