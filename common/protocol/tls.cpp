#include "common/protocol/tls.h"

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "common/base/sha256.h"
#include "common/protocol/access_file.h"

namespace orchestrate {
namespace {

namespace ssl = boost::asio::ssl;

template <class T, void (*Free)(T*)>
struct Deleter {
    void operator()(T* value) const { Free(value); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509, X509_free>>;
struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

void require(bool succeeded, const char* what) {
    if (!succeeded) {
        throw std::runtime_error(std::string("OpenSSL cannot ") + what);
    }
}

std::string fingerprint(X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    require(size > 0, "encode the certificate");
    const std::string text = sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    return text;
}

File open_private(const std::filesystem::path& path) {
    const mode_t before = umask(S_IRWXG | S_IRWXO);
    File file(std::fopen(path.c_str(), "wbe"));
    umask(before);
    if (!file) {
        throw std::runtime_error("cannot write '" + path.string() + "'");
    }
    return file;
}

void make_certificate(const std::filesystem::path& folder) {
    const Key key(EVP_EC_gen("P-256"));
    require(key != nullptr, "make a key");
    const Certificate certificate(X509_new());
    require(certificate != nullptr, "make a certificate");
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -24L * 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 20L * 365 * 24 * 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("orchestrate coordinator"), -1, -1, 0);
    X509_set_issuer_name(certificate.get(), name);
    require(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0, "sign the certificate");
    const File key_file = open_private(folder / "key.pem");
    require(PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
            "write the key");
    const File certificate_file = open_private(folder / "certificate.pem");
    require(PEM_write_X509(certificate_file.get(), certificate.get()) == 1, "write the certificate");
}

}  // namespace

std::string ensure_certificate(const std::filesystem::path& folder) {
    const auto path = folder / "certificate.pem";
    if (!std::filesystem::exists(path) || !std::filesystem::exists(folder / "key.pem")) {
        make_certificate(folder);
    }
    const File file(std::fopen(path.c_str(), "rbe"));
    require(file != nullptr, "read the certificate");
    const Certificate certificate(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
    require(certificate != nullptr, "parse the certificate");
    return fingerprint(certificate.get());
}

ssl::context make_server_tls(const std::filesystem::path& folder) {
    ssl::context context(ssl::context::tlsv13_server);
    context.use_certificate_file((folder / "certificate.pem").string(), ssl::context::pem);
    context.use_private_key_file((folder / "key.pem").string(), ssl::context::pem);
    return context;
}

ssl::context make_client_tls(const std::string& certificate_fingerprint) {
    ssl::context context(ssl::context::tlsv13_client);
    context.set_verify_mode(ssl::verify_peer);
    context.set_verify_callback([certificate_fingerprint](bool, ssl::verify_context& verify) {
        X509* certificate = X509_STORE_CTX_get_current_cert(verify.native_handle());
        return certificate != nullptr && tokens_equal(fingerprint(certificate), certificate_fingerprint);
    });
    return context;
}

}  // namespace orchestrate
