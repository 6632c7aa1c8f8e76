#include "worker/training/runtime/rank_store.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "common/base/host.h"
#include "worker/training/support/interface_address.h"

namespace orchestrate {

c10::intrusive_ptr<c10d::Store> make_rank_store(Collective& collective, std::chrono::milliseconds deadline) {
    c10d::TCPStoreOptions options;
    options.timeout = deadline;
    options.numWorkers = static_cast<std::size_t>(collective.size());
    options.waitWorkers = false;
    std::vector<std::byte> place;
    c10::intrusive_ptr<c10d::Store> store;
    if (collective.rank() == 0) {
        const char* const interface = std::getenv(kInterfaceVariable);
        const std::string address =
            interface != nullptr ? address_of_interface(interface) : address_of_host(host_name());
        const ListeningSocket socket = listen_on(address);
        options.isServer = true;
        options.port = socket.port;
        options.masterListenFd = socket.descriptor;  // the store owns it now
        store = c10::make_intrusive<c10d::TCPStore>(address, options);
        const std::string text = address + " " + std::to_string(socket.port);
        place.resize(text.size());
        std::memcpy(place.data(), text.data(), text.size());
    }
    collective.broadcast(place, deadline);
    if (collective.rank() != 0) {
        const std::string text(reinterpret_cast<const char*>(place.data()), place.size());
        const auto space = text.find(' ');
        options.port = static_cast<std::uint16_t>(std::stoi(text.substr(space + 1)));
        store = c10::make_intrusive<c10d::TCPStore>(text.substr(0, space), options);
    }
    return store;
}

}  // namespace orchestrate
