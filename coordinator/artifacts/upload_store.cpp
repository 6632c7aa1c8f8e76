#include "coordinator/artifacts/upload_store.h"

#include <algorithm>
#include <fstream>
#include <system_error>

#include "common/base/error.h"
#include "common/data/pretrained_config.h"
#include "common/protocol/message_checks.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaximumFiles = 64;  // of a model: weights, configuration, tokenizer

// A name in a folder, and no way out of it.
bool is_plain_name(const std::string& name) {
    return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos &&
           name.find('\0') == std::string::npos && !name.ends_with(kUnfinishedSuffix);
}

void remove_quietly(const fs::path& path) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
}

}  // namespace

UploadStore::UploadStore(const CheckpointFolders& checkpoints, DurableFiles& files, fs::path models_folder)
    : checkpoints_(checkpoints), files_(files), models_folder_(std::move(models_folder)) {}

void UploadStore::check(const UploadOffer& offer) const {
    const bool is_model = offer.upload.kind == UploadKind::model;
    if (is_model ? !is_sha256(offer.upload.name) : !is_checkpoint_name(offer.upload.name)) {
        throw UserError("'" + offer.upload.name + "' is no name of a " + to_string(offer.upload.kind));
    }
    if (offer.files.empty() || offer.files.size() > (is_model ? kMaximumFiles : 1)) {
        throw UserError("a " + to_string(offer.upload.kind) + " of " + std::to_string(offer.files.size()) +
                        " files");
    }
    for (std::size_t i = 0; i < offer.files.size(); ++i) {
        const UploadFile& file = offer.files[i];
        const bool repeated =
            std::any_of(offer.files.begin(), offer.files.begin() + static_cast<std::ptrdiff_t>(i),
                        [&](const UploadFile& earlier) { return earlier.name == file.name; });
        if (!is_plain_name(file.name) || repeated || file.bytes <= 0 ||
            (!is_model && file.name != offer.upload.name)) {
            throw UserError("'" + file.name + "' of " + std::to_string(file.bytes) +
                            " bytes is no file of a " + to_string(offer.upload.kind));
        }
    }
}

fs::path UploadStore::unfinished(const Upload& upload) const {
    if (upload.kind == UploadKind::checkpoint) {
        return checkpoints_.folder(upload.attempt) / (upload.name + kUnfinishedSuffix);
    }
    return models_folder_ / ("receiving-job-" + to_string(upload.attempt.job) + "-attempt-" +
                             std::to_string(upload.attempt.number) + kUnfinishedSuffix);
}

UploadProgress UploadStore::offer(const UploadOffer& offer) {
    try {
        check(offer);
        auto found = incoming_.find(offer.upload.attempt.job);
        if (found != incoming_.end() &&
            (found->second.upload != offer.upload || found->second.files != offer.files)) {
            forget(offer.upload.attempt.job);
            found = incoming_.end();
        }
        if (found == incoming_.end()) {
            Incoming incoming;
            incoming.upload = offer.upload;
            incoming.files = offer.files;
            const fs::path place = unfinished(offer.upload);
            remove_quietly(place);
            create_folders_durably(files_, place.parent_path());
            if (offer.upload.kind == UploadKind::model) {
                files_.create_folder(place);
            }
            open(incoming);
            found = incoming_.emplace(offer.upload.attempt.job, std::move(incoming)).first;
        }
        return {.upload = offer.upload,
                .file = static_cast<std::int64_t>(found->second.file),
                .offset = found->second.offset,
                .folder = {},
                .refused = {}};
    } catch (const std::exception& error) {
        return refuse(offer.upload, error.what());
    }
}

void UploadStore::open(Incoming& incoming) {
    const fs::path place = unfinished(incoming.upload);
    incoming.writer = files_.create(
        incoming.upload.kind == UploadKind::model ? place / incoming.files[incoming.file].name : place);
    incoming.hash = Sha256();
    incoming.offset = 0;
}

std::optional<UploadProgress> UploadStore::take(const UploadChunk& chunk) {
    const auto found = incoming_.find(chunk.upload.attempt.job);
    if (found == incoming_.end() || found->second.upload != chunk.upload) {
        return std::nullopt;
    }
    Incoming& incoming = found->second;
    if (chunk.file != static_cast<std::int64_t>(incoming.file) || chunk.offset != incoming.offset) {
        return std::nullopt;
    }
    try {
        write(incoming, chunk);
        UploadProgress progress;
        progress.upload = chunk.upload;
        progress.file = static_cast<std::int64_t>(incoming.file);
        progress.offset = incoming.offset;
        if (incoming.file == incoming.files.size()) {
            progress.folder = finish(incoming).string();
            progress.stored = true;
            incoming_.erase(found);
        }
        return progress;
    } catch (const std::exception& error) {
        return refuse(chunk.upload, error.what());
    }
}

void UploadStore::write(Incoming& incoming, const UploadChunk& chunk) {
    const UploadFile& file = incoming.files[incoming.file];
    const auto& bytes = chunk.bytes.values;
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (bytes.empty() || bytes.size() > kUploadChunkBytes || incoming.offset + size > file.bytes) {
        throw UserError("'" + file.name + "' has " + std::to_string(file.bytes) + " bytes; found " +
                        std::to_string(bytes.size()) + " at " + std::to_string(incoming.offset));
    }
    incoming.writer->write(std::as_bytes(std::span(bytes)));
    incoming.hash.add(bytes.data(), bytes.size());
    incoming.offset += size;
    if (incoming.offset < file.bytes) {
        return;
    }
    const std::string found = incoming.hash.hex();
    if (found != chunk.sha256) {
        throw UserError("'" + file.name + "' has arrived with the SHA-256 " + found + "; expected " +
                        chunk.sha256);
    }
    // Before the rename: the name must never stand for less than the whole.
    incoming.writer->sync();
    incoming.writer.reset();
    ++incoming.file;
    if (incoming.file < incoming.files.size()) {
        open(incoming);
    }
}

fs::path UploadStore::finish(const Incoming& incoming) {
    const fs::path place = unfinished(incoming.upload);
    if (incoming.upload.kind == UploadKind::model) {
        return finish_model(incoming.upload);
    }
    files_.rename(place, place.parent_path() / incoming.upload.name);
    files_.sync_folder(place.parent_path());
    return place.parent_path();
}

fs::path UploadStore::finish_model(const Upload& upload) {
    const fs::path place = unfinished(upload);
    const std::string found = sha256_hex_of_pretrained(place);
    if (found != upload.name) {
        throw UserError("the model has arrived with the SHA-256 " + found + "; expected " + upload.name);
    }
    fs::path folder = models_folder_ / upload.name;
    if (!files_.list(folder).empty()) {
        remove_quietly(place);  // equal models share a folder
        return folder;
    }
    files_.sync_folder(place);
    files_.rename(place, folder);
    files_.sync_folder(models_folder_);
    return folder;
}

UploadProgress UploadStore::refuse(const Upload& upload, const std::string& why) {
    const auto found = incoming_.find(upload.attempt.job);
    if (found != incoming_.end() && found->second.upload == upload) {
        forget(upload.attempt.job);
    }
    UploadProgress progress;
    progress.upload = upload;
    progress.refused = why;
    return progress;
}

void UploadStore::forget(JobId job) {
    if (const auto found = incoming_.find(job); found != incoming_.end()) {
        found->second.writer.reset();
        remove_quietly(unfinished(found->second.upload));
        incoming_.erase(found);
    }
}

CheckpointChunk UploadStore::read(const CheckpointRequest& request) const {
    CheckpointChunk chunk;
    chunk.attempt = request.attempt;
    chunk.file = request.checkpoint.file;
    chunk.offset = request.offset;
    const std::string name = fs::path(request.checkpoint.file).filename().string();
    const fs::path path = checkpoints_.folder({request.attempt.job, request.checkpoint.attempt}) / name;
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!is_checkpoint_name(name) || !file) {
        chunk.refused = "there is no checkpoint '" + path.string() + "'";
        return chunk;
    }
    chunk.total_bytes = static_cast<std::int64_t>(file.tellg());
    if (request.offset < 0 || request.offset >= chunk.total_bytes) {
        chunk.refused = "'" + path.string() + "' has " + std::to_string(chunk.total_bytes) +
                        " bytes; asked for those from " + std::to_string(request.offset);
        return chunk;
    }
    chunk.bytes.values.resize(static_cast<std::size_t>(
        std::min<std::int64_t>(kUploadChunkBytes, chunk.total_bytes - request.offset)));
    file.seekg(request.offset);
    file.read(reinterpret_cast<char*>(chunk.bytes.values.data()),
              static_cast<std::streamsize>(chunk.bytes.values.size()));
    if (!file) {
        chunk.bytes.values.clear();
        chunk.refused = "'" + path.string() + "' cannot be read";
    }
    return chunk;
}

}  // namespace orchestrate
