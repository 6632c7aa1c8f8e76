// Workers that send decoded but wild messages to a dispatcher with a job store: any fields of any message at any time, as
// a string of choices says. Beside them an honest worker does its work, which nobody may touch. For a test with
// seeds and for libFuzzer.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace orchestrate::test {

// Lives through what the choices say. Returns what went wrong; empty: nothing.
std::string live_with_wild_peers(std::span<const std::uint8_t> choices);

}  // namespace orchestrate::test
