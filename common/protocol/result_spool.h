// Results that the coordinator has not acknowledged yet, on disk: a folder that worker and coordinator find by the
// same rule. Whoever finds one may deliver it, also twice: only the current attempt of a job is accepted, once.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/durable_files.h"
#include "common/protocol/messages.h"

namespace orchestrate {

// Of the workers that log there and serve the coordinator with that certificate.
std::filesystem::path spool_folder(const std::filesystem::path& log_folder,
                                   const std::string& certificate_fingerprint);

// Errors: std::system_error. Thread-safe for different attempts.
class ResultSpool {
  public:
    // Makes the folder. `files` must outlive it.
    ResultSpool(DurableFiles& files, std::filesystem::path folder);

    // On disk when it returns.
    void put(const AttemptEnded& ended);

    // Once it has been acknowledged. After a power cut it may be back.
    void remove(const AttemptId& attempt);

    struct Leftovers {
        // One that was written whole but is not valid is there as end_by_refusal() makes it.
        std::vector<AttemptEnded> results;
        std::vector<std::string> unreadable;  // files, with the reason; they are left as they are
    };
    Leftovers leftovers();

  private:
    std::filesystem::path file(const AttemptId& attempt) const;

    DurableFiles& files_;
    std::filesystem::path folder_;
};

}  // namespace orchestrate
