// What this machine is: its name, its addresses, its processors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace orchestrate {

std::string host_name();

// IPv4 addresses of the interfaces that are up, the loopback address last.
std::vector<std::string> host_addresses();

// Processor cores this process may use (its affinity mask, which Slurm and containers set).
int usable_cores();

// Memory that this process may use: the machine's, or less where its control group says so; 0: not known.
std::int64_t usable_memory_mib();

// The folder that the running program lies in.
std::filesystem::path program_folder();

// Whether a process of that number lives on this host.
bool process_is_alive(long long process_id);

// Whether the folder lies on a network file system (NFS, Lustre, GPFS, BeeGFS, CIFS...), by statfs.
bool is_network_file_system(const std::filesystem::path& folder);

}  // namespace orchestrate
