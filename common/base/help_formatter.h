// How both programs print their --help: as CLI11 does, but broken at spaces into lines of 80 columns.
#pragma once

#include <memory>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>

namespace orchestrate {

class HelpFormatter final : public CLI::Formatter {
  public:
    static constexpr std::size_t kWidth = 80;

    HelpFormatter() { column_width(kColumn); }

    std::string make_description(const CLI::App* app) const override {
        const std::string text = CLI::Formatter::make_description(app);
        return text.empty() ? text : broken(text, kWidth) + "\n";
    }
    std::string make_option_desc(const CLI::Option* option) const override {
        return broken(option->get_description(), kWidth - kColumn);
    }
    std::string make_subcommand(const CLI::App* subcommand) const override {
        std::ostringstream out;
        CLI::detail::format_help(out, subcommand->get_display_name(true),
                                 broken(subcommand->get_description(), kWidth - kColumn), kColumn);
        return out.str();
    }

  private:
    static constexpr std::size_t kColumn = 28;  // where explanations begin

    // Lines that fit stay as they are. ASCII.
    static std::string broken(const std::string& text, std::size_t width) {
        std::istringstream lines(text);
        std::string result;
        for (std::string line; std::getline(lines, line);) {
            while (line.size() > width) {
                const auto space = line.rfind(' ', width);
                if (space == std::string::npos || space == 0) {
                    break;
                }
                result.append(line, 0, space).append("\n");
                line.erase(0, space + 1);
            }
            result.append(line).append("\n");
        }
        const bool ends_line = !text.empty() && text.back() == '\n';
        return ends_line || result.empty() ? result : result.substr(0, result.size() - 1);
    }
};

}  // namespace orchestrate
