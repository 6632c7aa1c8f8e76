// What every connection to a coordinator begins with, whoever connects, and what several protocols share.
//
// The peer that connects sends Hello. The coordinator answers with Welcome or Refused; a refused connection ends. After
// Welcome both sides send the messages of the peer's role: worker_messages.h, pilot_messages.h, client_messages.h.
//
// Both sides must have the same kProtocolVersion; the coordinator refuses others. Every change of a message that a program
// with the older definition would misread raises it, and so does a new message. Only a field that may be missing can be
// added without: a missing field keeps its default, an unknown field is ignored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include "common/base/json.h"
#include "common/job/ids.h"

namespace orchestrate {

inline constexpr int kProtocolVersion = 4;

enum class Role { worker, pilot, user };
BOOST_DESCRIBE_ENUM(Role, worker, pilot, user)

// First message of every connection.
struct Hello {
    static constexpr const char* kType = "hello";
    int protocol_version = kProtocolVersion;
    std::string program_version;
    Role role = Role::user;
    std::string token;
    std::string name;
    std::string host;
    std::int64_t process_id = 0;
    int ranks = 1;                // worker: its width
    int slots = 0;                // pilot: ranks it can hold at a time
    std::string device;           // worker: "cpu" or "cuda"
    std::string log_folder;       // worker: where it writes logs
    bool is_one_process = false;  // worker: its ranks are slots of one process, which runs commands
    // worker: how many attempts it holds at a time, the one that runs among them; it begins them in order
    int lease_capacity = 1;
    // worker: all that it holds after a broken connection, in order: results that wait for an acknowledgement, what runs,
    // what is to begin
    std::vector<AttemptId> held;
    std::string database_id;  // of the database that the access file is for; empty: it does not say
};
BOOST_DESCRIBE_STRUCT(Hello, (),
                      (protocol_version, program_version, role, token, name, host, process_id, ranks, slots,
                       device, log_folder, is_one_process, lease_capacity, held, database_id))

struct Welcome {
    static constexpr const char* kType = "welcome";
    std::string program_version;
    std::int64_t heartbeat_interval_milliseconds = 4000;
    std::vector<AttemptId> current;  // those of Hello::held that hold their leases; the others are dropped
    std::string database_id;         // to users: of the coordinator's database
};
BOOST_DESCRIBE_STRUCT(Welcome, (), (program_version, heartbeat_interval_milliseconds, current, database_id))

struct Refused {
    static constexpr const char* kType = "refused";
    std::string reason;  // for users
};
BOOST_DESCRIBE_STRUCT(Refused, (), (reason))

// A worker's says how far its attempt is; the coordinator's and a pilot's are empty.
struct Heartbeat {
    static constexpr const char* kType = "heartbeat";
    static constexpr bool kNextReplacesIt = true;  // while it waits to be sent
    std::int64_t step = 0;                         // optimiser steps done, as last reported
    std::int64_t advances = 0;  // grows whenever the attempt gets on: see AttemptObserver::on_advance
};
BOOST_DESCRIBE_STRUCT(Heartbeat, (), (step, advances))

// Worker or pilot to coordinator: it is leaving on purpose.
struct Goodbye {
    static constexpr const char* kType = "goodbye";
    std::string reason;
};
BOOST_DESCRIBE_STRUCT(Goodbye, (), (reason))

using HelloMessage = std::variant<Hello>;
using HelloReply = std::variant<Welcome, Refused>;

}  // namespace orchestrate
