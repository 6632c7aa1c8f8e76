#include "worker/training/support/checkpoint_file.h"

#include <algorithm>
#include <cstring>
#include <system_error>

#include "common/base/error.h"
#include "common/base/sha256.h"

namespace orchestrate {
namespace {

constexpr const char* kFormat = "orchestrate checkpoint";
constexpr int kFormatVersion = 1;
constexpr const char* kChecksum = "checksum";  // hexadecimal digits as U8, the last bytes of the file
constexpr std::size_t kChecksumBytes = 64;
constexpr std::size_t kAlignment = 8;  // of the header's length, as safetensors writers do

std::string shape_text(const std::string& type, const std::vector<std::int64_t>& shape) {
    return type + " " + Json(shape).dump();
}

// Zeros before the number, so that names sort as steps do.
std::string file_name(std::int64_t step) {
    constexpr std::size_t kDigits = 10;
    const std::string digits = std::to_string(step);
    return "step-" + std::string(kDigits - std::min(kDigits, digits.size()), '0') + digits + ".safetensors";
}

Json tensor_entry(const std::string& type, const std::vector<std::int64_t>& shape, std::size_t begin,
                  std::size_t size) {
    return {{"dtype", type}, {"shape", shape}, {"data_offsets", {begin, begin + size}}};
}

// The length of the JSON and the JSON.
std::string header_of(const std::string& job_identity, std::int64_t step, const Json& state,
                      std::span<const CheckpointTensor> tensors) {
    Json header;
    header["__metadata__"] = {{"format", kFormat},
                              {"format_version", std::to_string(kFormatVersion)},
                              {"job_identity", job_identity},
                              {"step", std::to_string(step)},
                              {"state", state.dump()}};
    std::size_t offset = 0;
    for (const auto& tensor : tensors) {
        header[tensor.name] = tensor_entry(tensor.type, tensor.shape, offset, tensor.bytes.size());
        offset += tensor.bytes.size();
    }
    header[kChecksum] = tensor_entry("U8", {kChecksumBytes}, offset, kChecksumBytes);
    std::string json = header.dump();
    json.resize((json.size() + kAlignment - 1) / kAlignment * kAlignment, ' ');
    const std::uint64_t size = json.size();
    std::string text(sizeof size, '\0');
    std::memcpy(text.data(), &size, sizeof size);
    return text + json;
}

}  // namespace

StoredCheckpoint write_checkpoint(DurableFiles& files, const std::filesystem::path& folder,
                                  const std::string& job_identity, std::int64_t step, const Json& state,
                                  std::span<const CheckpointTensor> tensors) {
    const std::string header = header_of(job_identity, step, state, tensors);
    std::vector<std::span<const std::byte>> pieces{std::as_bytes(std::span(header))};
    for (const auto& tensor : tensors) {
        pieces.push_back(tensor.bytes);
    }
    Sha256 hash;
    StoredCheckpoint stored;
    for (const auto piece : pieces) {
        hash.add(piece.data(), piece.size());
        stored.bytes += static_cast<std::int64_t>(piece.size());
    }
    stored.step = step;
    stored.file = (folder / file_name(step)).string();
    stored.sha256 = hash.hex();
    stored.bytes += static_cast<std::int64_t>(stored.sha256.size());
    pieces.push_back(std::as_bytes(std::span(stored.sha256)));
    write_durably(files, stored.file, pieces);
    return stored;
}

CheckpointContent::CheckpointContent(DurableFiles& files, const std::filesystem::path& path) : path_(path) {
    try {
        bytes_ = files.read(path);
    } catch (const std::system_error& error) {
        throw UserError(error.what());
    }
    if (bytes_.size() < sizeof(std::uint64_t) + kChecksumBytes) {
        fail("has " + std::to_string(bytes_.size()) + " bytes; it was cut, or never was a checkpoint");
    }
    const std::size_t end_of_data = bytes_.size() - kChecksumBytes;
    const char* const begin = reinterpret_cast<const char*>(bytes_.data());
    sha256_.assign(begin + end_of_data, kChecksumBytes);
    const std::string found = sha256_hex({begin, end_of_data});
    if (found != sha256_) {
        fail("does not have the checksum that stands at its end: it was cut or changed");
    }
    try {
        read_header(end_of_data);
    } catch (const std::exception& error) {
        fail(std::string("has a header that cannot be read: ") + error.what());
    }
}

void CheckpointContent::read_header(std::size_t end_of_data) {
    std::uint64_t header_size = 0;
    std::memcpy(&header_size, bytes_.data(), sizeof header_size);
    if (header_size > end_of_data - sizeof header_size) {
        throw UserError("it is longer than the file");
    }
    const char* const text = reinterpret_cast<const char*>(bytes_.data()) + sizeof header_size;
    const Json header = Json::parse(text, text + header_size);
    const Json& metadata = header.at("__metadata__");
    if (metadata.at("format") != kFormat || metadata.at("format_version") != std::to_string(kFormatVersion)) {
        throw UserError("expected format '" + std::string(kFormat) + "', version " +
                        std::to_string(kFormatVersion) + ", found " + metadata.at("format").dump() +
                        ", version " + metadata.at("format_version").dump());
    }
    job_identity_ = metadata.at("job_identity").get<std::string>();
    step_ = std::stoll(metadata.at("step").get<std::string>());
    state_ = Json::parse(metadata.at("state").get<std::string>());
    const auto data = std::span(bytes_).first(end_of_data).subspan(sizeof header_size + header_size);
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__" || name == kChecksum) {
            continue;
        }
        const auto range = entry.at("data_offsets").get<std::array<std::size_t, 2>>();
        if (range[0] > range[1] || range[1] > data.size()) {
            throw UserError("tensor '" + name + "' lies outside of the file");
        }
        tensors_.push_back({name, entry.at("dtype").get<std::string>(),
                            entry.at("shape").get<std::vector<std::int64_t>>(),
                            data.subspan(range[0], range[1] - range[0])});
    }
}

std::span<const std::byte> CheckpointContent::values(const std::string& name, const std::string& type,
                                                     const std::vector<std::int64_t>& shape) const {
    const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                    [&](const CheckpointTensor& tensor) { return tensor.name == name; });
    if (found == tensors_.end()) {
        fail("has no tensor '" + name + "'; expected " + shape_text(type, shape));
    }
    if (found->type != type || found->shape != shape) {
        fail("tensor '" + name + "' is " + shape_text(found->type, found->shape) + "; expected " +
             shape_text(type, shape));
    }
    return found->bytes;
}

void CheckpointContent::expect_job(const std::string& job_identity) const {
    if (job_identity_ != job_identity) {
        fail("job_identity is " + job_identity_ + ", another job's; expected " + job_identity);
    }
}

void CheckpointContent::fail(const std::string& what) const {
    throw UserError("checkpoint '" + path_.string() + "' " + what);
}

std::optional<StoredCheckpoint> use_best_checkpoint(
    DurableFiles& files, std::span<const StoredCheckpoint> candidates, const std::string& job_identity,
    const std::function<void(const std::string&)>& say,
    const std::function<void(const CheckpointContent&)>& use) {
    for (const auto& candidate : candidates) {
        try {
            const CheckpointContent content(files, candidate.file);
            if (!candidate.sha256.empty() && candidate.sha256 != content.sha256()) {
                throw UserError("checkpoint '" + candidate.file +
                                "' is not the one that was stored: its checksum is " + content.sha256() +
                                ", expected " + candidate.sha256);
            }
            content.expect_job(job_identity);
            use(content);
            StoredCheckpoint used = candidate;
            used.step = content.step();
            used.sha256 = content.sha256();
            used.bytes = content.bytes();
            return used;
        } catch (const UserError& error) {
            say(std::string(error.what()) + "; passed over");
        }
    }
    return std::nullopt;
}

}  // namespace orchestrate
