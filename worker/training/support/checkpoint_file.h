// One checkpoint as one file: a safetensors file, which other tools read too. Its metadata hold the job's identity
// and the state of the training as JSON; its last tensor is the SHA-256 of everything before it, so that a cut or
// damaged file is never taken for a whole one. Free of torch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/durable_files.h"
#include "common/base/json.h"
#include "common/job/checkpoint.h"

namespace orchestrate {

struct CheckpointTensor {
    std::string name;
    std::string type;  // as safetensors writes it: "F32"
    std::vector<std::int64_t> shape;
    std::span<const std::byte> bytes;  // little-endian
};

// Writes FOLDER/step-STEP.safetensors, on disk when it returns. Throws std::system_error; then there is no such
// file.
StoredCheckpoint write_checkpoint(DurableFiles& files, const std::filesystem::path& folder,
                                  const std::string& job_identity, std::int64_t step, const Json& state,
                                  std::span<const CheckpointTensor> tensors);

// A checkpoint in memory, whole and unharmed.
class CheckpointContent {
  public:
    // Throws UserError that names the file and what is wrong with it: not there, cut, changed, of another format.
    CheckpointContent(DurableFiles& files, const std::filesystem::path& path);

    const std::string& job_identity() const { return job_identity_; }
    const std::string& sha256() const { return sha256_; }
    std::int64_t step() const { return step_; }
    const Json& state() const { return state_; }
    std::int64_t bytes() const { return static_cast<std::int64_t>(bytes_.size()); }
    const std::filesystem::path& path() const { return path_; }

    // The values of a tensor, valid as long as this object. Throws UserError that names file and tensor, what was
    // found and what was expected.
    std::span<const std::byte> values(const std::string& name, const std::string& type,
                                      const std::vector<std::int64_t>& shape) const;

    // Throws UserError if the checkpoint was written for another job.
    void expect_job(const std::string& job_identity) const;

  private:
    [[noreturn]] void fail(const std::string& what) const;
    void read_header(std::size_t end_of_data);

    std::filesystem::path path_;
    std::vector<std::byte> bytes_;
    std::vector<CheckpointTensor> tensors_;
    std::string job_identity_;
    std::string sha256_;
    std::int64_t step_ = 0;
    Json state_;
};

// The first of `candidates` that is whole, of this job, and the file that was stored; with its checksum and size.
// `say` is told why others were passed over. `use` takes it in, or throws UserError for one that does not fit, which is
// passed over as well. Nothing if none is left.
std::optional<StoredCheckpoint> use_best_checkpoint(DurableFiles& files,
                                                    std::span<const StoredCheckpoint> candidates,
                                                    const std::string& job_identity,
                                                    const std::function<void(const std::string&)>& say,
                                                    const std::function<void(const CheckpointContent&)>& use);

}  // namespace orchestrate
