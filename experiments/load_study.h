// Reading study files: parsing, checking, and what `train.precision = "auto"` stands for.
#pragma once

#include "experiments/expansion/study.h"

namespace orchestrate {

// Parses and checks a study file; relative paths are relative to the file, except those from `overrides`
// ("train.epochs=3", "data.path=x.csv"), which are relative to the current folder. Reads the data file's
// content to check columns, classes and rows and to hash it. Throws StudyError with every error at once.
Study load_study(const std::filesystem::path& file, const std::vector<std::string>& overrides);

// What `train.precision = "auto"` stands for, on each kind of device of the machine that workers are started on.
struct DevicePrecision {
    Precision cpu = Precision::fp32;
    Precision cuda = Precision::fp32;
    bool has_gpu = false;  // then workers use it, unless [cluster] device says otherwise
};

// The other load_study takes "auto" for fp32. On a Slurm cluster, whose nodes nobody has seen yet, it
// always is.
Study load_study(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                 const DevicePrecision& automatic);

// The same from the text of a file that need not be there any more, as Study::toml keeps it.
Study load_study_text(const std::string& text, const std::filesystem::path& file,
                      const DevicePrecision& automatic);

}  // namespace orchestrate
