// Checkpoints and models of workers that do not see the coordinator's folders: takes them in chunks and puts them where
// shared ones lie, whole or not at all, and hands checkpoints out. What was stored is on disk before it is said.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/durable_files.h"
#include "common/base/sha256.h"
#include "common/job/ids.h"
#include "common/protocol/messages.h"
#include "coordinator/artifacts/checkpoint_folders.h"

namespace orchestrate {

// Whoever calls it has seen to it that the attempt is the current one of its job. Never throws for what a worker or
// the disk does: the answer tells. Not thread-safe; reads and writes files, so not for a thread that must not wait.
class UploadStore {
  public:
    // Both must outlive it. `models_folder` need not exist.
    UploadStore(const CheckpointFolders& checkpoints, DurableFiles& files,
                std::filesystem::path models_folder);

    // An upload is begun, or gone on with where it was broken off. A job has one at a time: another one, or one of
    // another attempt, replaces it.
    UploadProgress offer(const UploadOffer& offer);

    // The next chunk. Nothing for one that is not asked for: sent ahead before the worker knew better.
    std::optional<UploadProgress> take(const UploadChunk& chunk);

    CheckpointChunk read(const CheckpointRequest& request) const;

    // What of its uploads is not finished.
    void forget(JobId job);

  private:
    struct Incoming {
        Upload upload;
        std::vector<UploadFile> files;
        std::size_t file = 0;
        std::int64_t offset = 0;  // in that file
        std::unique_ptr<FileWriter> writer;
        Sha256 hash;
    };
    // Throws UserError for names and sizes that a worker of this version does not send.
    void check(const UploadOffer& offer) const;
    std::filesystem::path unfinished(const Upload& upload) const;
    // Opens the current file for writing.
    void open(Incoming& incoming);
    void write(Incoming& incoming, const UploadChunk& chunk);
    // Once the last byte is there. Returns where it lies.
    std::filesystem::path finish(const Incoming& incoming);
    std::filesystem::path finish_model(const Upload& upload);
    UploadProgress refuse(const Upload& upload, const std::string& why);

    const CheckpointFolders& checkpoints_;
    DurableFiles& files_;
    std::filesystem::path models_folder_;
    std::map<JobId, Incoming> incoming_;  // by job
};

}  // namespace orchestrate
