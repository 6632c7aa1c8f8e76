// Prints the length in tokens and an example of each text form for a data file; with a destination, writes
// the rows' parts, labels and texts of the default form there. measure_text_forms DATA LABEL
// FEATURE,FEATURE,... GROUP_COLUMN VOCABULARY_FOLDER|- CLASS,CLASS,...|- [TEXTS.csv]
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "worker/data/prepared_data.h"

namespace orchestrate {
namespace {

std::vector<std::string> separated(const std::string& list) {
    std::vector<std::string> values;
    for (std::size_t begin = 0; begin <= list.size();) {
        const auto end = std::min(list.find(',', begin), list.size());
        values.push_back(list.substr(begin, end - begin));
        begin = end + 1;
    }
    return values;
}

int measure(const std::vector<std::string>& arguments) {
    DataConfig data;
    data.label = arguments.at(2);
    data.features = separated(arguments.at(3));
    data.split.group_by = {{arguments.at(4), ""}};
    JobPaths paths{arguments.at(1), arguments.at(5) == "-" ? "" : arguments.at(5), ""};
    if (arguments.at(6) != "-") {
        data.classes = separated(arguments.at(6));
    }
    const std::vector<TextConfig> forms = {
        {TextForm::rounded, 5, 2},         {TextForm::rounded, 5, 1},
        {TextForm::standardized, 5, 1},    {TextForm::standardized, 5, 2},
        {TextForm::quantile_words, 5, 2},  {TextForm::quantile_words, 7, 2},
        {TextForm::quantile_words, 16, 2}, {TextForm::quantile_words, 32, 2},
        {TextForm::quantile_words, 100, 2}};
    for (const auto& form : forms) {
        data.text = form;
        const auto start = std::chrono::steady_clock::now();
        const auto prepared = prepare_data(data, TokenizerConfig{}, paths, 1);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        const auto& report = prepared.report;
        std::printf("%s quantiles %d decimals %d: %.1f tokens (longest %d), vocabulary %d, %.2f s\n    %s\n",
                    to_string(form.form).c_str(), static_cast<int>(form.quantiles),
                    static_cast<int>(form.decimals), report.mean_tokens,
                    static_cast<int>(report.longest_text_tokens), static_cast<int>(report.vocabulary_size),
                    seconds.count(), report.example_text.c_str());
        for (const auto& leak : report.leaks) {
            std::printf("    %s %s: %d rows in train (%.1f %%)\n", leak.part.c_str(), leak.kind.c_str(),
                        static_cast<int>(leak.rows), 100 * leak.share);
        }
    }
    if (arguments.size() > 7) {
        data.text = TextConfig{};
        write_texts_csv(data, paths, arguments[7]);
    }
    return 0;
}

}  // namespace
}  // namespace orchestrate

int main(int argc, char** argv) {
    try {
        return orchestrate::measure({argv, argv + argc});
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
