#include "common/protocol/result_spool.h"

#include <array>
#include <system_error>

#include "common/base/sha256.h"
#include "common/job/older_metrics.h"
#include "common/protocol/message_checks.h"

namespace orchestrate {
namespace {

constexpr const char* kSuffix = ".result";
constexpr std::size_t kChecksumBytes = 64;  // hexadecimal, before the frame
constexpr std::size_t kLengthBytes = 4;     // of a frame, before its body
constexpr std::size_t kFingerprintDigits = 16;

AttemptEnded decode_message(std::span<const std::uint8_t> body) {
    Json message = Json::from_msgpack(body.begin(), body.end(), true, false);
    if (!message.is_discarded() && upgrade_metrics(message)) {
        const auto upgraded = Json::to_msgpack(message);
        return std::get<AttemptEnded>(decode_body<SpooledMessage>(upgraded));
    }
    return std::get<AttemptEnded>(decode_body<SpooledMessage>(body));
}

// Throws std::runtime_error.
AttemptEnded decode(const std::vector<std::byte>& bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (text.size() < kChecksumBytes + kLengthBytes ||
        sha256_hex(text.substr(kChecksumBytes)) != text.substr(0, kChecksumBytes)) {
        throw ProtocolError("its checksum is wrong: it was cut or changed");
    }
    const std::string_view body = text.substr(kChecksumBytes + kLengthBytes);
    try {
        return decode_message({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()});
    } catch (const InvalidMessage& error) {
        AttemptEnded ended = end_by_refusal(error);
        if (validate(ended)) {
            throw;
        }
        return ended;
    }
}

}  // namespace

std::filesystem::path spool_folder(const std::filesystem::path& log_folder,
                                   const std::string& certificate_fingerprint) {
    return log_folder / "unacknowledged" / certificate_fingerprint.substr(0, kFingerprintDigits);
}

ResultSpool::ResultSpool(DurableFiles& files, std::filesystem::path folder)
    : files_(files), folder_(std::move(folder)) {
    create_folders_durably(files_, folder_);
}

std::filesystem::path ResultSpool::file(const AttemptId& attempt) const {
    return folder_ /
           ("job-" + to_string(attempt.job) + "-attempt-" + std::to_string(attempt.number) + kSuffix);
}

void ResultSpool::put(const AttemptEnded& ended) {
    const auto frame = encode_frame(SpooledMessage(ended));
    const auto bytes = std::as_bytes(std::span(frame));
    const std::string checksum = sha256_hex({reinterpret_cast<const char*>(frame.data()), frame.size()});
    const std::array pieces{std::as_bytes(std::span(checksum)), bytes};
    write_durably(files_, file(ended.attempt), pieces);
}

void ResultSpool::remove(const AttemptId& attempt) {
    files_.remove(file(attempt));
}

ResultSpool::Leftovers ResultSpool::leftovers() {
    Leftovers found;
    for (const auto& name : files_.list(folder_)) {
        if (!name.ends_with(kSuffix)) {
            continue;
        }
        const auto path = folder_ / name;
        try {
            found.results.push_back(decode(files_.read(path)));
        } catch (const std::system_error& error) {
            if (error.code() != std::errc::no_such_file_or_directory) {  // delivered by another one meanwhile
                found.unreadable.push_back(error.what());
            }
        } catch (const std::exception& error) {
            found.unreadable.push_back("'" + path.string() + "': " + error.what());
        }
    }
    return found;
}

}  // namespace orchestrate
