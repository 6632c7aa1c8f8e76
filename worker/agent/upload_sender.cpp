#include "worker/agent/upload_sender.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>

namespace orchestrate {
namespace {

// With chunks of 256 KiB, a heartbeat waits for at most 1 MiB.
constexpr std::int64_t kMaximumChunksAhead = 4;

}  // namespace

void UploadSender::start(Upload upload, std::vector<std::filesystem::path> files, Done done) {
    Outgoing fresh;
    fresh.upload = std::move(upload);
    fresh.paths = std::move(files);
    fresh.done = std::move(done);
    Outgoing& outgoing = current_.emplace(std::move(fresh));
    for (const auto& path : outgoing.paths) {
        std::error_code error;
        const auto bytes = std::filesystem::file_size(path, error);
        if (error) {
            UploadProgress refusal;
            refusal.upload = outgoing.upload;
            refusal.refused = "'" + path.string() + "' cannot be read: " + error.message();
            finish(refusal);
            return;
        }
        outgoing.files.push_back({path.filename().string(), static_cast<std::int64_t>(bytes)});
    }
    offer();
}

void UploadSender::connected(Send send) {
    send_ = std::move(send);
    if (current_) {
        offer();
    }
}

void UploadSender::offer() {
    current_->accepted = false;
    if (send_) {
        send_(UploadOffer{current_->upload, current_->files});
    }
}

void UploadSender::on_progress(const UploadProgress& progress) {
    if (!current_ || current_->upload != progress.upload) {
        return;
    }
    if (progress.stored || !progress.refused.empty()) {
        finish(progress);
        return;
    }
    try {
        if (!current_->accepted) {
            current_->accepted = true;
            current_->chunks_ahead = 0;
            go_to(*current_, static_cast<std::size_t>(progress.file), progress.offset);
        } else {
            --current_->chunks_ahead;
        }
        send_ahead();
    } catch (const std::exception& error) {
        UploadProgress refusal = progress;
        refusal.refused = error.what();
        finish(refusal);
    }
}

void UploadSender::go_to(Outgoing& outgoing, std::size_t file, std::int64_t offset) {
    if (file >= outgoing.files.size() || offset < 0 || offset >= outgoing.files[file].bytes) {
        throw std::runtime_error("the coordinator asks for what is not in the upload");
    }
    outgoing.next_file = file;
    outgoing.next_offset = 0;
    outgoing.hash = Sha256();
    outgoing.file = std::ifstream(outgoing.paths[file], std::ios::binary);
    std::vector<char> skipped(kUploadChunkBytes);
    while (outgoing.next_offset < offset) {
        const auto size = std::min<std::int64_t>(kUploadChunkBytes, offset - outgoing.next_offset);
        if (!outgoing.file.read(skipped.data(), size)) {
            throw std::runtime_error("'" + outgoing.paths[file].string() + "' cannot be read");
        }
        outgoing.hash.add(skipped.data(), static_cast<std::size_t>(size));
        outgoing.next_offset += size;
    }
}

void UploadSender::send_ahead() {
    while (send_ && current_->chunks_ahead < kMaximumChunksAhead &&
           current_->next_file < current_->files.size()) {
        send_chunk(*current_);
    }
}

void UploadSender::send_chunk(Outgoing& outgoing) {
    const UploadFile& file = outgoing.files[outgoing.next_file];
    UploadChunk chunk;
    chunk.upload = outgoing.upload;
    chunk.file = static_cast<std::int64_t>(outgoing.next_file);
    chunk.offset = outgoing.next_offset;
    const auto size = std::min<std::int64_t>(kUploadChunkBytes, file.bytes - outgoing.next_offset);
    chunk.bytes.values.resize(static_cast<std::size_t>(size));
    if (!outgoing.file.read(reinterpret_cast<char*>(chunk.bytes.values.data()), size)) {
        throw std::runtime_error("'" + outgoing.paths[outgoing.next_file].string() + "' cannot be read");
    }
    outgoing.hash.add(chunk.bytes.values.data(), chunk.bytes.values.size());
    outgoing.next_offset += size;
    ++outgoing.chunks_ahead;
    if (outgoing.next_offset == file.bytes) {
        chunk.sha256 = outgoing.hash.hex();
        if (outgoing.next_file + 1 < outgoing.files.size()) {
            go_to(outgoing, outgoing.next_file + 1, 0);
        } else {
            outgoing.next_file = outgoing.files.size();
        }
    }
    send_(chunk);
}

void UploadSender::finish(const UploadProgress& progress) {
    const Done done = std::move(current_->done);
    current_.reset();
    done(progress);
}

}  // namespace orchestrate
