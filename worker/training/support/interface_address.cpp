#include "worker/training/support/interface_address.h"

#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <system_error>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/error.h"

namespace orchestrate {

namespace {

std::string numeric(const sockaddr* address) {
    std::array<char, NI_MAXHOST> text{};
    const socklen_t size = address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    const int failed = ::getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
    return failed != 0 ? "" : text.data();
}

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

std::string address_of_interface(const std::string& name) {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) {
        fail("cannot list the network interfaces");
    }
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
    std::set<std::string> names;
    std::string version_6;
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr) {
            continue;
        }
        names.insert(entry->ifa_name);
        if (name != entry->ifa_name) {
            continue;
        }
        if (entry->ifa_addr->sa_family == AF_INET) {
            return numeric(entry->ifa_addr);
        }
        if (entry->ifa_addr->sa_family == AF_INET6 && version_6.empty()) {
            version_6 = numeric(entry->ifa_addr);
        }
    }
    if (!version_6.empty()) {
        return version_6;
    }
    std::string all;
    for (const std::string& one : names) {
        all += (all.empty() ? "" : ", ") + one;
    }
    throw UserError("cluster.interface is '" + name +
                    "', which has no address on this host; expected one of: " + all);
}

std::string address_of_host(const std::string& name) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int failed = ::getaddrinfo(name.c_str(), nullptr, &hints, &found); failed != 0) {
        throw UserError("the name of this host, '" + name + "', leads to no address (" +
                        ::gai_strerror(failed) + "); name a network interface by cluster.interface");
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    return numeric(found->ai_addr);
}

ListeningSocket listen_on(const std::string& address) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST;
    addrinfo* found = nullptr;
    if (const int failed = ::getaddrinfo(address.c_str(), "0", &hints, &found); failed != 0) {
        throw std::system_error(EINVAL, std::generic_category(),
                                "'" + address + "' is no address: " + ::gai_strerror(failed));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    const int descriptor = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) {
        fail("cannot make a socket");
    }
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    if (::bind(descriptor, found->ai_addr, found->ai_addrlen) != 0 || ::listen(descriptor, SOMAXCONN) != 0 ||
        ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
        const int error = errno;
        ::close(descriptor);
        errno = error;
        fail("cannot listen on " + address);
    }
    const std::uint16_t port = bound.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(bound).sin_port
                                                          : reinterpret_cast<sockaddr_in6&>(bound).sin6_port;
    return {descriptor, ntohs(port)};
}

}  // namespace orchestrate
