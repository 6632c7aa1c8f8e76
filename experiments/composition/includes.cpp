#include "experiments/composition/includes.h"

#include <algorithm>
#include <iterator>

#include "common/base/named_file.h"
#include "experiments/fields/fields.h"

namespace orchestrate {
namespace {

constexpr std::size_t kDeepest = 16;

Value* find_in(ValueTable& table, const std::string& key) {
    const auto found = std::find_if(table.entries.begin(), table.entries.end(),
                                    [&](const ValueEntry& entry) { return entry.key == key; });
    return found == table.entries.end() ? nullptr : &found->value;
}

// Puts `upper` on top of `lower`. `is_top`: both are whole files.
void merge(ValueTable& lower, ValueTable upper, bool is_top) {
    for (auto& entry : upper.entries) {
        Value* below = find_in(lower, entry.key);
        if (!below) {
            lower.entries.push_back(std::move(entry));
            continue;
        }
        auto* lower_table = std::get_if<ValueTable>(&below->data);
        auto* upper_table = std::get_if<ValueTable>(&entry.value.data);
        auto* lower_list = std::get_if<std::vector<Value>>(&below->data);
        auto* upper_list = std::get_if<std::vector<Value>>(&entry.value.data);
        if (lower_table && upper_table) {
            merge(*lower_table, std::move(*upper_table), false);
            below->where = entry.value.where;
        } else if (is_top && (entry.key == "ablation" || entry.key == "ensemble") && lower_list &&
                   upper_list) {
            std::move(upper_list->begin(), upper_list->end(), std::back_inserter(*lower_list));
        } else {
            *below = std::move(entry.value);
        }
    }
}

class IncludeReader {
  public:
    explicit IncludeReader(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

    Value read(const std::shared_ptr<const SourceText>& source, const std::filesystem::path& file) {
        Value root = parse_toml(source, diagnostics_);
        auto* table = std::get_if<ValueTable>(&root.data);
        const auto include = std::find_if(table->entries.begin(), table->entries.end(),
                                          [](const ValueEntry& entry) { return entry.key == "include"; });
        if (include == table->entries.end()) {
            return root;
        }
        has_includes_ = true;
        const Value names = std::move(include->value);
        table->entries.erase(include);
        open_.push_back(file);
        ValueTable merged;
        for (const auto& name : read_names(names, "include", diagnostics_)) {
            Value below = read_included(name, source->folder / *name.as_text());
            merge(merged, std::move(std::get<ValueTable>(below.data)), true);
        }
        open_.pop_back();
        merge(merged, std::move(*table), true);
        root.data = std::move(merged);
        return root;
    }

    bool has_includes() const { return has_includes_; }

  private:
    Value read_included(const Value& name, const std::filesystem::path& path) {
        const auto file = path.lexically_normal();
        const Value nothing{ValueTable{}, name.where};
        if (std::find(open_.begin(), open_.end(), file) != open_.end() || open_.size() >= kDeepest) {
            diagnostics_.error(name.where,
                               "'" + *name.as_text() +
                                   "' includes itself, directly or through others; expected files "
                                   "that do not include each other");
            return nothing;
        }
        if (const auto why = no_file_sentence(file)) {
            diagnostics_.error(name.where, *why +
                                               "; expected a study file to include "
                                               "(relative paths count from the file that includes it)");
            return nothing;
        }
        return read(read_source(file), file);
    }

    Diagnostics& diagnostics_;
    bool has_includes_ = false;
    std::vector<std::filesystem::path> open_;  // files that are being read, outermost first
};

}  // namespace

std::shared_ptr<const SourceText> read_source(const std::filesystem::path& file) {
    std::ifstream input = open_named_file(file);
    auto source = std::make_shared<SourceText>();
    source->name = file.string();
    source->folder = std::filesystem::absolute(file).parent_path();
    source->text.assign(std::istreambuf_iterator<char>(input), {});
    return source;
}

Value read_with_includes(std::shared_ptr<const SourceText> source, bool& has_includes,
                         Diagnostics& diagnostics) {
    IncludeReader reader(diagnostics);
    Value root = reader.read(source, std::filesystem::absolute(source->name).lexically_normal());
    has_includes = reader.has_includes();
    return root;
}

}  // namespace orchestrate
