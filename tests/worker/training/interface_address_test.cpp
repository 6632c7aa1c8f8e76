#include "worker/training/support/interface_address.h"

#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include <gmock/gmock.h>
#include <unistd.h>

#include "common/base/error.h"

namespace orchestrate {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Local addresses of listening sockets with that port, as the kernel writes them (hexadecimal, host byte order).
std::vector<std::string> listening_on(std::uint16_t port) {
    std::vector<std::string> found;
    for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        std::ifstream file(table);
        std::string line;
        std::getline(file, line);
        while (std::getline(file, line)) {
            std::istringstream words(line);
            std::string number;
            std::string local;
            std::string remote;
            std::string state;
            words >> number >> local >> remote >> state;
            const auto colon = local.find(':');
            if (state == "0A" && std::stoi(local.substr(colon + 1), nullptr, 16) == port) {
                found.push_back(local.substr(0, colon));
            }
        }
    }
    return found;
}

TEST(InterfaceAddressTest, KnowsTheLoopback) {
    EXPECT_EQ(address_of_interface("lo"), "127.0.0.1");
    EXPECT_EQ(address_of_host("127.0.0.1"), "127.0.0.1");
}

TEST(InterfaceAddressTest, NamesTheInterfacesThereAre) {
    try {
        address_of_interface("ib7");
        FAIL() << "found an interface that is not there";
    } catch (const UserError& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("cluster.interface is 'ib7'"),
                                        HasSubstr("expected one of: "), HasSubstr("lo")));
    }
}

TEST(InterfaceAddressTest, ListensOnThatAddressAlone) {
    const ListeningSocket socket = listen_on(address_of_interface("lo"));
    EXPECT_GT(socket.port, 0);
    EXPECT_THAT(listening_on(socket.port), testing::ElementsAre("0100007F"));
    ::close(socket.descriptor);
    EXPECT_THROW(listen_on("no address"), std::system_error);
}

}  // namespace
}  // namespace orchestrate
