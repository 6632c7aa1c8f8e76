// Access files: who can read one may connect. They hold addresses, the fingerprint of the coordinator's
// certificate and a token, in JSON, mode 0600 in a folder of mode 0700. Users and workers have files (and
// tokens) of their own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"
#include "common/protocol/database_place.h"

namespace orchestrate {

struct Access {
    std::vector<std::string> addresses;  // tried in order
    std::uint16_t port = 0;
    std::string certificate_fingerprint;  // SHA-256 of the certificate (DER), lower-case hexadecimal
    std::string token;
    // The coordinator's database: a copy of this file beside a copy of the database must not lead to the coordinator of
    // the original. Empty in files of older releases.
    std::string database_id = {};
    DatabasePlace database = {};
};
BOOST_DESCRIBE_STRUCT(Access, (), (addresses, port, certificate_fingerprint, token, database_id, database))

// Throws UserError if it is missing, unreadable, malformed, or if others can read it or enter its folder (with the chmod
// that fixes it). Nothing of its content stands in the message.
Access read_access_file(const std::filesystem::path& path);

// What an access file of this text says; `name` begins the message of the UserError that is thrown if it is damaged.
Access parse_access(std::string_view text, const std::string& name);

// Throws UserError, with the chmod that fixes it, if others can enter the folder: what lies in it would then be guarded
// by its own mode alone.
void check_private_folder(const std::filesystem::path& folder);

// Replaces the file atomically.
void write_access_file(const std::filesystem::path& path, const Access& access);

// 256 random bits from OpenSSL, hexadecimal.
std::string random_token();

// Compares in constant time.
bool tokens_equal(const std::string& a, const std::string& b);

}  // namespace orchestrate
