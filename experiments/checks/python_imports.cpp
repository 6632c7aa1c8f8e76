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

struct Statement {
    std::string text;                  // a quote stands for each string
    std::vector<std::string> strings;  // in their order
};

// The program's logical lines without comments: what is in brackets or continued by "\" is one line.
std::vector<Statement> statements_of(const std::string& text) {
    std::vector<Statement> statements(1);
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
            const std::size_t begin = i + (is_long ? 3 : 1);
            statements.back().strings.push_back(text.substr(begin, std::min(end, text.size()) - begin));
            i = end + (is_long ? 2 : 0);
            statements.back().text += '"';
        } else if (c == '\\' && i + 1 < text.size() && text[i + 1] == '\n') {
            ++i;
            statements.back().text += ' ';
        } else if ((c == '\n' && brackets == 0) || c == ';') {
            statements.emplace_back();
            brackets = 0;
        } else {
            brackets += c == '(' || c == '[' || c == '{' ? 1 : 0;
            brackets -= (c == ')' || c == ']' || c == '}') && brackets > 0 ? 1 : 0;
            statements.back().text += c == '\n' || c == '\t' || c == '\r' ? ' ' : c;
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

// import_module("name"), __import__("name")
void read_calls(const std::vector<std::string>& words, const std::vector<std::string>& strings,
                std::vector<Import>& imports) {
    std::size_t string = 0;  // the next one
    for (std::size_t at = 0; at < words.size(); ++at) {
        if (words[at] != "\"") {
            continue;
        }
        const std::string& module = strings[string++];
        if (at >= 2 && words[at - 1] == "(" &&
            (words[at - 2] == "import_module" || words[at - 2] == "__import__")) {
            const std::size_t level = std::min(module.find_first_not_of('.'), module.size());
            imports.push_back({level, module.substr(level), {}});
        }
    }
}

bool is_of_module_path(const std::vector<std::string>& words) {
    static const std::vector<std::string> kPath = {"sys", ".", "path"};
    return std::search(words.begin(), words.end(), kPath.begin(), kPath.end()) != words.end() ||
           std::find(words.begin(), words.end(), "addsitedir") != words.end();
}

struct Mentions {
    std::vector<Import> imports;
    std::vector<std::string> directories;  // that are added to the path of modules
};

Mentions mentions_of(const std::string& text) {
    Mentions mentions;
    std::vector<Import>& imports = mentions.imports;
    for (const auto& statement : statements_of(text)) {
        auto words = words_of(statement.text);
        read_calls(words, statement.strings, imports);
        if (is_of_module_path(words)) {
            fs::path joined;
            for (const auto& part : statement.strings) {
                mentions.directories.push_back(part);
                joined /= part;
            }
            mentions.directories.push_back(joined.string());
        }
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
    return mentions;
}

class ImportedFiles {
  public:
    explicit ImportedFiles(const fs::path& folder) : folder_(folder) {}

    void add_script(const std::string& name) {
        root_ = fs::path(name).parent_path();
        add(fs::path(name).lexically_normal());
    }

    // Directories where modules are looked for, as PYTHONPATH names them.
    void add_path(const std::string& directories) {
        for (std::size_t begin = 0; begin < directories.size();) {
            const std::size_t end = std::min(directories.find(':', begin), directories.size());
            add_directory(directories.substr(begin, end - begin));
            begin = end + 1;
        }
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
        std::string text((std::istreambuf_iterator<char>(input)), {});
        constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
        if (text.starts_with(kByteOrderMark)) {
            text.erase(0, kByteOrderMark.size());
        }
        const auto mentions = mentions_of(text);
        for (const auto& directory : mentions.directories) {
            add_directory(directory);
            // Or from the file or a directory above it, by __file__.
            for (fs::path above = path.parent_path(); !above.empty(); above = above.parent_path()) {
                add_directory(above / directory);
            }
        }
        for (const auto& import : mentions.imports) {
            follow(import, path);
        }
    }

    void add_directory(const fs::path& directory) {
        const fs::path normal = directory.lexically_normal();
        std::error_code unknown;
        const bool is_below = !normal.empty() && !normal.is_absolute() && *normal.begin() != "..";
        if (is_below && normal != "." && fs::is_directory(folder_ / normal, unknown) &&
            std::find(directories_.begin(), directories_.end(), normal) == directories_.end()) {
            directories_.push_back(normal);
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
        for (std::size_t i = 0; i < directories_.size(); ++i) {  // following may add some
            follow_below(fs::path(directories_[i]), import);
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
    std::vector<fs::path> directories_;
    std::set<std::string> found_;
};

// By its name or by its first line.
bool is_python_script(const fs::path& file) {
    std::error_code unknown;
    if (!fs::is_regular_file(file, unknown)) {
        return false;
    }
    if (file.extension() == ".py") {
        return true;
    }
    std::string begin(128, '\0');
    std::ifstream(file, std::ios::binary).read(begin.data(), static_cast<std::streamsize>(begin.size()));
    const std::string line = begin.substr(0, begin.find('\n'));
    return line.starts_with("#!") && line.find("python") != std::string::npos;
}

}  // namespace

std::vector<std::string> imported_files(const std::filesystem::path& folder,
                                        const std::vector<std::string>& command_line) {
    ImportedFiles files(folder);
    for (std::size_t i = 0; i < command_line.size(); ++i) {
        const std::string& word = command_line[i];
        constexpr std::string_view kPathVariable = "PYTHONPATH=";
        if (word.starts_with(kPathVariable)) {
            files.add_path(word.substr(kPathVariable.size()));
        } else if (!word.empty() && !fs::path(word).is_absolute() && is_python_script(folder / word)) {
            files.add_script(word);
        } else if (word == "-m" && i + 1 < command_line.size()) {
            files.add_module(command_line[i + 1]);
        }
    }
    return files.take();
}

}  // namespace orchestrate
