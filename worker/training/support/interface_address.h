// The address of a network interface: traffic between the ranks of a worker is not authenticated, so it is bound to the
// interface that was chosen ([cluster] interface) and not offered on all of them. Free of torch and MPI.
#pragma once

#include <cstdint>
#include <string>

namespace orchestrate {

// By this variable a launcher tells a worker its interface.
inline constexpr const char* kInterfaceVariable = "ORCHESTRATE_INTERFACE";

// The first IPv4 address of an interface ("lo": "127.0.0.1"), else its first IPv6 address. Throws UserError that names
// the interfaces there are.
std::string address_of_interface(const std::string& name);

// The first address that a host's name leads to. Throws UserError if it leads nowhere.
std::string address_of_host(const std::string& name);

// A TCP socket that listens on any free port of that one address.
struct ListeningSocket {
    int descriptor = -1;  // the caller closes it
    std::uint16_t port = 0;
};

// Throws std::system_error.
ListeningSocket listen_on(const std::string& address);

}  // namespace orchestrate
