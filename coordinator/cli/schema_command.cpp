// `orchestrate schema`.
#include <iostream>

#include <CLI/CLI.hpp>

#include "coordinator/cli/command_line.h"
#include "coordinator/cli/command_options.h"
#include "experiments/fields/schema.h"

namespace orchestrate {

void add_schema_command(CommandLine& line) {
    line.add("schema", "A JSON Schema of study files, for editors that complete and check them", [] {
        std::cout << study_schema();
        return 0;
    });
}

}  // namespace orchestrate
