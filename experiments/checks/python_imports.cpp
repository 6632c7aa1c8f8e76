// Which Python files a script imports, by reading its `import` and `from` statements.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "experiments/checks/command_files.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxScripts = 2'000;  // read for one study

struct Import {
    std::size_t level = 0;           // dots before the module: 0 for an absolute import
    std::string module;              // "a.b"; may be empty behind dots
    std::vector<std::string> names;  // of `from module import names`, which may be modules too
};

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

// The program's logical lines without strings and comments: what is in brackets or continued by "\" is one line.
std::vector<std::string> statements_of(const std::string& text) {
    std::vector<std::string> statements(1);
    std::size_t brackets = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '#') {
            i = std::min(text.find('\n', i), text.size()) - 1;
        } else if (c == '"' || c == '\'') {
            const std::string quote(3, c);
            const bool is_long = text.compare(i, 3, quote) == 0;
            std::size_t end = i + (is_long ? 3 : 1);
            while (end < text.size() &&
                   (is_long ? text.compare(end, 3, quote) != 0 : text[end] != c && text[end] != '\n')) {
                end += text[end] == '\\' ? 2 : 1;
            }
            i = end + (is_long ? 2 : 0);
            statements.back() += '"';
        } else if (c == '\\' && i + 1 < text.size() && text[i + 1] == '\n') {
            ++i;
            statements.back() += ' ';
        } else if ((c == '\n' && brackets == 0) || c == ';') {
            statements.emplace_back();
            brackets = 0;
        } else {
            brackets += c == '(' || c == '[' || c == '{' ? 1 : 0;
            brackets -= (c == ')' || c == ']' || c == '}') && brackets > 0 ? 1 : 0;
            statements.back() += c == '\n' || c == '\t' || c == '\r' ? ' ' : c;
        }
    }
    return statements;
}

// Names, dots, commas and all else, as single words.
std::vector<std::string> words_of(const std::string& statement) {
    std::vector<std::string> words;
    for (std::size_t i = 0; i < statement.size();) {
        std::size_t end = i + 1;
        if (is_name_character(statement[i])) {
            while (end < statement.size() && is_name_character(statement[end])) {
                ++end;
            }
        }
        if (statement[i] != ' ') {
            words.push_back(statement.substr(i, end - i));
        }
        i = end;
    }
    return words;
}

std::string read_dotted(const std::vector<std::string>& words, std::size_t& at) {
    std::string name;
    while (at < words.size() && is_name_character(words[at].front())) {
        name += words[at++];
        if (at + 1 >= words.size() || words[at] != "." || !is_name_character(words[at + 1].front())) {
            break;
        }
        name += '.';
        ++at;
    }
    return name;
}

void read_from(const std::vector<std::string>& words, std::vector<Import>& imports) {
    Import import;
    std::size_t at = 1;
    for (; at < words.size() && words[at] == "."; ++at) {
        ++import.level;
    }
    if (at < words.size() && words[at] != "import") {
        import.module = read_dotted(words, at);
    }
    if (at >= words.size() || words[at] != "import") {
        return;
    }
    for (++at; at < words.size(); ++at) {
        if (words[at] == "as") {
            ++at;
        } else if (is_name_character(words[at].front())) {
            import.names.push_back(words[at]);
        }
    }
    imports.push_back(std::move(import));
}

std::vector<Import> imports_of(const std::string& text) {
    std::vector<Import> imports;
    for (const auto& statement : statements_of(text)) {
        auto words = words_of(statement);
        // "try: import a", "if x: from b import c"
        const auto begin = std::find_if(words.begin(), words.end(), [&](const std::string& word) {
            const bool is_first = &word == words.data() || *(&word - 1) == ":";
            return is_first && (word == "import" || word == "from");
        });
        words.erase(words.begin(), begin);
        if (words.empty()) {
            continue;
        }
        if (words.front() == "from") {
            read_from(words, imports);
            continue;
        }
        for (std::size_t at = 1; at < words.size(); ++at) {
            if (words[at] == "as") {
                ++at;
            } else if (is_name_character(words[at].front())) {
                imports.push_back({0, read_dotted(words, at), {}});
                --at;
            }
        }
    }
    return imports;
}

class ImportedFiles {
  public:
    explicit ImportedFiles(const fs::path& folder) : folder_(folder) {}

    void add_script(const std::string& name) {
        root_ = fs::path(name).parent_path();
        add(fs::path(name).lexically_normal());
    }

    void add_module(const std::string& module) {
        root_.clear();
        const std::size_t before = found_.size();
        find_module("", module);
        const std::string main = fs::path(slashed(module) + "/__main__.py").string();
        if (found_.size() > before || is_file(main)) {
            add(main);
        }
    }

    std::vector<std::string> take() { return {found_.begin(), found_.end()}; }

  private:
    static std::string slashed(std::string module) {
        std::replace(module.begin(), module.end(), '.', '/');
        return module;
    }

    bool is_file(const fs::path& path) const {
        std::error_code unknown;
        return fs::is_regular_file(folder_ / path, unknown);
    }

    void add(const fs::path& path) {
        if (!is_file(path) || found_.size() >= kMaxScripts || !found_.insert(path.string()).second) {
            return;
        }
        std::ifstream input(folder_ / path, std::ios::binary);
        const std::string text((std::istreambuf_iterator<char>(input)), {});
        for (const auto& import : imports_of(text)) {
            follow(import, path);
        }
    }

    void follow(const Import& import, const fs::path& from) {
        if (import.level > 0) {
            fs::path package = from.parent_path();
            for (std::size_t i = 1; i < import.level; ++i) {
                package = package.parent_path();
            }
            follow_below(package, import);
            return;
        }
        follow_below(root_, import);
        if (!root_.empty()) {
            follow_below("", import);
        }
    }

    void follow_below(const fs::path& base, const Import& import) {
        if (!import.module.empty()) {
            find_module(base, import.module);
        } else {
            add(base / "__init__.py");
        }
        const fs::path package = import.module.empty() ? base : base / slashed(import.module);
        for (const auto& name : import.names) {
            find_module(package, name);
        }
    }

    // The module's file, and those of the packages that it is in.
    void find_module(const fs::path& base, const std::string& module) {
        for (std::size_t end = module.find('.'); end != std::string::npos; end = module.find('.', end + 1)) {
            add(base / slashed(module.substr(0, end)) / "__init__.py");
        }
        add((base / (slashed(module) + ".py")).lexically_normal());
        add((base / slashed(module) / "__init__.py").lexically_normal());
    }

    const fs::path& folder_;
    fs::path root_;  // the directory of the script that is run, where Python looks first
    std::set<std::string> found_;
};

}  // namespace

std::vector<std::string> imported_files(const std::filesystem::path& folder,
                                        const std::vector<std::string>& command_line) {
    ImportedFiles files(folder);
    for (std::size_t i = 0; i < command_line.size(); ++i) {
        const std::string& word = command_line[i];
        const bool is_script = word.size() > 3 && word.ends_with(".py") && !fs::path(word).is_absolute();
        if (is_script) {
            files.add_script(word);
        } else if (word == "-m" && i + 1 < command_line.size()) {
            files.add_module(command_line[i + 1]);
        }
    }
    return files.take();
}

}  // namespace orchestrate
