// Finds and kills the descendants of the calling process by reading /proc. Async-signal-safe.
#pragma once

#include <sys/types.h>

namespace orchestrate {

class ProcessScan {
  public:
    // Maps memory for the parents of all processes; without that memory only direct children are found.
    ProcessScan();
    ProcessScan(const ProcessScan&) = delete;
    ProcessScan& operator=(const ProcessScan&) = delete;

    // Sends SIGKILL to each descendant that is seen. Processes that are started meanwhile may be missed: repeat the call
    // until wait() finds no child.
    void kill_descendants();

  private:
    void add(pid_t process);
    bool is_descendant(pid_t process) const;

    pid_t self_;
    pid_t* parents_ = nullptr;  // by process number; 0: not seen in this scan
};

// The parent of a process; 0: it is gone.
pid_t parent_of(pid_t process);

// Overwrites the arguments that `ps` and `pkill -f` see of this process. Call only in a process of one thread.
void rename_process(const char* name);

}  // namespace orchestrate
