// MPI's error codes as exceptions, and counts as MPI wants them.
#pragma once

#include <cstddef>
#include <limits>
#include <string>

#include <mpi.h>

#include "worker/collective.h"

namespace orchestrate {

// Throws CollectiveError with MPI's text if an operation failed.
inline void check_mpi(int code, const char* operation) {
    if (code != MPI_SUCCESS) {
        std::string text(MPI_MAX_ERROR_STRING, '\0');
        int length = 0;
        MPI_Error_string(code, text.data(), &length);
        text.resize(static_cast<std::size_t>(length));
        throw CollectiveError(std::string(operation) + " failed: " + text);
    }
}

inline int checked_count(std::size_t count) {
    if (count > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
        throw CollectiveError("a collective of more than 2^31 - 1 elements was asked for");
    }
    return static_cast<int>(count);
}

}  // namespace orchestrate
