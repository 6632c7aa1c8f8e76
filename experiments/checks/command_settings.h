// What [command] says, checked as a whole; internal to load_study.
#pragma once

#include "experiments/fields/fields.h"

namespace orchestrate {

// Completes settings.job.command and makes it all that the job is: the content of its files is hashed. Reports what is
// missing, what a command has no use for, names in braces that are no parameters, files that cannot be read.
// `source`: the study file, in whose folder the command runs unless it says otherwise; `section`: where [command] stands.
void resolve_command(Settings& settings, const GivenFields& given, const std::vector<Field>& parameters,
                     const SourceSpan& section, Diagnostics& diagnostics);

// The metric by that name, for a choice; reports where there is none.
bool is_declared(const Settings& settings, const std::string& metric, const SourceSpan& where,
                 Diagnostics& diagnostics);

}  // namespace orchestrate
