#include "common/job_config.h"
#include "common/sha256.h"

namespace orchestrate {

std::string canonical_json(const JobConfig& config) {
    return Json(config).dump();
}

std::string job_identity(const JobConfig& config) {
    return sha256_hex(canonical_json(config));
}

}  // namespace orchestrate
