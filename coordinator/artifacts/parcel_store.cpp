#include "coordinator/artifacts/parcel_store.h"

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

ParcelStore::ParcelStore(const CheckpointFolders& checkpoints, DurableFiles& files, fs::path models_folder)
    : checkpoints_(checkpoints), files_(files), models_folder_(std::move(models_folder)) {}

void ParcelStore::check(const ParcelOffer& offer) const {
    const bool is_model = offer.parcel.kind == ParcelKind::model;
    if (is_model ? !is_sha256(offer.parcel.name) : !is_checkpoint_name(offer.parcel.name)) {
        throw UserError("'" + offer.parcel.name + "' is no name of a " + to_string(offer.parcel.kind));
    }
    if (offer.files.empty() || offer.files.size() > (is_model ? kMaximumFiles : 1)) {
        throw UserError("a " + to_string(offer.parcel.kind) + " of " + std::to_string(offer.files.size()) +
                        " files");
    }
    for (std::size_t i = 0; i < offer.files.size(); ++i) {
        const ParcelFile& file = offer.files[i];
        const bool repeated =
            std::any_of(offer.files.begin(), offer.files.begin() + static_cast<std::ptrdiff_t>(i),
                        [&](const ParcelFile& earlier) { return earlier.name == file.name; });
        if (!is_plain_name(file.name) || repeated || file.bytes <= 0 ||
            (!is_model && file.name != offer.parcel.name)) {
            throw UserError("'" + file.name + "' of " + std::to_string(file.bytes) +
                            " bytes is no file of a " + to_string(offer.parcel.kind));
        }
    }
}

fs::path ParcelStore::unfinished(const Parcel& parcel) const {
    if (parcel.kind == ParcelKind::checkpoint) {
        return checkpoints_.folder(parcel.attempt) / (parcel.name + kUnfinishedSuffix);
    }
    return models_folder_ / ("receiving-job-" + to_string(parcel.attempt.job) + "-attempt-" +
                             std::to_string(parcel.attempt.number) + kUnfinishedSuffix);
}

ParcelProgress ParcelStore::offer(const ParcelOffer& offer) {
    try {
        check(offer);
        auto found = incoming_.find(offer.parcel.attempt.job);
        if (found != incoming_.end() &&
            (found->second.parcel != offer.parcel || found->second.files != offer.files)) {
            forget(offer.parcel.attempt.job);
            found = incoming_.end();
        }
        if (found == incoming_.end()) {
            Incoming incoming;
            incoming.parcel = offer.parcel;
            incoming.files = offer.files;
            const fs::path place = unfinished(offer.parcel);
            remove_quietly(place);
            create_folders_durably(files_, place.parent_path());
            if (offer.parcel.kind == ParcelKind::model) {
                files_.create_folder(place);
            }
            open(incoming);
            found = incoming_.emplace(offer.parcel.attempt.job, std::move(incoming)).first;
        }
        return {.parcel = offer.parcel,
                .file = static_cast<std::int64_t>(found->second.file),
                .offset = found->second.offset,
                .folder = {},
                .refused = {}};
    } catch (const std::exception& error) {
        return refuse(offer.parcel, error.what());
    }
}

void ParcelStore::open(Incoming& incoming) {
    const fs::path place = unfinished(incoming.parcel);
    incoming.writer = files_.create(
        incoming.parcel.kind == ParcelKind::model ? place / incoming.files[incoming.file].name : place);
    incoming.hash = Sha256();
    incoming.offset = 0;
}

std::optional<ParcelProgress> ParcelStore::take(const ParcelChunk& chunk) {
    const auto found = incoming_.find(chunk.parcel.attempt.job);
    if (found == incoming_.end() || found->second.parcel != chunk.parcel) {
        return std::nullopt;
    }
    Incoming& incoming = found->second;
    if (chunk.file != static_cast<std::int64_t>(incoming.file) || chunk.offset != incoming.offset) {
        return std::nullopt;
    }
    try {
        write(incoming, chunk);
        ParcelProgress progress;
        progress.parcel = chunk.parcel;
        progress.file = static_cast<std::int64_t>(incoming.file);
        progress.offset = incoming.offset;
        if (incoming.file == incoming.files.size()) {
            progress.folder = finish(incoming).string();
            progress.stored = true;
            incoming_.erase(found);
        }
        return progress;
    } catch (const std::exception& error) {
        return refuse(chunk.parcel, error.what());
    }
}

void ParcelStore::write(Incoming& incoming, const ParcelChunk& chunk) {
    const ParcelFile& file = incoming.files[incoming.file];
    const auto& bytes = chunk.bytes.values;
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (bytes.empty() || bytes.size() > kParcelChunkBytes || incoming.offset + size > file.bytes) {
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

fs::path ParcelStore::finish(const Incoming& incoming) {
    const fs::path place = unfinished(incoming.parcel);
    if (incoming.parcel.kind == ParcelKind::model) {
        return finish_model(incoming.parcel);
    }
    files_.rename(place, place.parent_path() / incoming.parcel.name);
    files_.sync_folder(place.parent_path());
    return place.parent_path();
}

fs::path ParcelStore::finish_model(const Parcel& parcel) {
    const fs::path place = unfinished(parcel);
    const std::string found = sha256_hex_of_pretrained(place);
    if (found != parcel.name) {
        throw UserError("the model has arrived with the SHA-256 " + found + "; expected " + parcel.name);
    }
    fs::path folder = models_folder_ / parcel.name;
    if (!files_.list(folder).empty()) {
        remove_quietly(place);  // equal models share a folder
        return folder;
    }
    files_.sync_folder(place);
    files_.rename(place, folder);
    files_.sync_folder(models_folder_);
    return folder;
}

ParcelProgress ParcelStore::refuse(const Parcel& parcel, const std::string& why) {
    const auto found = incoming_.find(parcel.attempt.job);
    if (found != incoming_.end() && found->second.parcel == parcel) {
        forget(parcel.attempt.job);
    }
    ParcelProgress progress;
    progress.parcel = parcel;
    progress.refused = why;
    return progress;
}

void ParcelStore::forget(JobId job) {
    if (const auto found = incoming_.find(job); found != incoming_.end()) {
        found->second.writer.reset();
        remove_quietly(unfinished(found->second.parcel));
        incoming_.erase(found);
    }
}

CheckpointChunk ParcelStore::read(const CheckpointRequest& request) const {
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
        std::min<std::int64_t>(kParcelChunkBytes, chunk.total_bytes - request.offset)));
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
