// What this host lacks (room on a disk, processes, descriptors, memory) and no job is to blame for. An attempt that meets it
// ends as `node_lost`, which is not counted against its job.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace orchestrate {

class MachineTrouble : public std::system_error {
  public:
    // The message is complete: what could not be done, and why.
    MachineTrouble(int error_number, const std::string& what)
        : std::system_error(error_number, std::generic_category(), what) {}
};

// Whether an error of the system says that the host lacks something: a full disk or quota, no processes, descriptors or
// memory left, a disk that cannot be read or written.
inline bool is_machine_trouble(const std::error_code& error) {
    if (error.category() != std::generic_category() && error.category() != std::system_category()) {
        return false;
    }
    for (const int shortage :
         {ENOSPC, EDQUOT, EAGAIN, ENOMEM, EMFILE, ENFILE, EIO, EROFS, ESTALE, ENODEV, ENXIO}) {
        if (error.value() == shortage) {
            return true;
        }
    }
    return false;
}

}  // namespace orchestrate
