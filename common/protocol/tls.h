// TLS 1.3 through OpenSSL and Boost.Asio: the coordinator's key and certificate, made once per database, and
// clients that trust exactly that certificate by its fingerprint.
#pragma once

#include <filesystem>
#include <string>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

namespace orchestrate {

// Makes key.pem and certificate.pem (P-256, self-signed, mode 0600) in `folder` if they are not there;
// returns the SHA-256 fingerprint of the certificate.
std::string ensure_certificate(const std::filesystem::path& folder);

boost::asio::ssl::context make_server_tls(const std::filesystem::path& folder);
boost::asio::ssl::context make_client_tls(const std::string& certificate_fingerprint);

}  // namespace orchestrate
