// "field = value" pairs inside [search.space] and the `set` and `sweep` of an ablation: quoted dotted keys
// ("model.head_width" = 16) and nested ones (model.head_width = 16) alike.
#pragma once

#include <vector>

#include "experiments/fields/fields.h"

namespace orchestrate {

// The fields that a search or an ablation of a study may name: those of the table, or the parameters of its command,
// which may also be named without "parameters." before them.
class NameableFields {
  public:
    // The table of fields.
    NameableFields() = default;

    // These, which must outlive this and everything that is read with it.
    explicit NameableFields(const std::vector<Field>& parameters) : parameters_(&parameters) {}

    bool is_of_command() const { return parameters_ != nullptr; }

    // Null if there is none.
    const Field* find(const std::string& path) const;

    // Whether there are fields below it, as below "train".
    bool is_section(const std::string& path) const;

    // Reports that there is no such field, with the nearest of those that may vary.
    void report_unknown(const SourceSpan& where, const std::string& path, Diagnostics& diagnostics) const;

  private:
    const std::vector<Field>* parameters_ = nullptr;
};

struct Assignment {
    const Field* field = nullptr;
    Value value;
    SourceSpan key_where;
};

// Reports keys that are no fields, and fields that hold for the whole study and so cannot vary.
std::vector<Assignment> read_assignments(const Value& table, const std::string& name,
                                         const NameableFields& fields, Diagnostics& diagnostics);

}  // namespace orchestrate
