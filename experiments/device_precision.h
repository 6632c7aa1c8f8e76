// What `train.precision = "auto"` stands for, and loading a study with it.
#pragma once

#include "experiments/study.h"

namespace orchestrate {

// On each kind of device of the machine that workers are started on.
struct DevicePrecision {
    Precision cpu = Precision::fp32;
    Precision cuda = Precision::fp32;
    bool has_gpu = false;  // then workers use it, unless [cluster] device says otherwise
};

// As load_study of study.h, which takes "auto" for fp32. On a Slurm cluster, whose nodes nobody has seen yet, it
// always is.
Study load_study(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                 const DevicePrecision& automatic);

// The same from the text of a file that need not be there any more, as Study::toml keeps it.
Study load_study_text(const std::string& text, const std::filesystem::path& file,
                      const DevicePrecision& automatic);

}  // namespace orchestrate
