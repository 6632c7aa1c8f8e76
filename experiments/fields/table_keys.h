// The keys of the tables that are no fields: of [[ablation]], [[ensemble]], [stages.NAME] and of an entry of
// [search.space]. What is accepted there, `orchestrate explain`, the reference and the JSON Schema all come from here.
#pragma once

#include <string>
#include <vector>

namespace orchestrate {

enum class KeyRole {
    several,   // of [[ablation]]: makes variants of its own
    together,  // of [[ablation]]: those in one table make one variant together
    other,
};

struct TableKey {
    std::string table;  // "ablation"
    std::string name;   // "leave_one_out"
    KeyRole role;
    std::string type;
    std::string description;
    std::string example;  // a line of TOML

    std::string path() const { return table + "." + name; }
};

struct KeyedTable {
    std::string name;     // "ablation"
    std::string written;  // "[[ablation]]"
    std::string description;
};

// In the order of the reference. Tables whose keys the file itself names have none here.
const std::vector<KeyedTable>& keyed_tables();
const std::vector<TableKey>& table_keys();

std::vector<std::string> keys_of(const std::string& table);
std::vector<std::string> keys_of(const std::string& table, KeyRole role);

// Both throw std::out_of_range.
const KeyedTable& keyed_table(const std::string& name);
const TableKey& table_key(const std::string& table, const std::string& name);

}  // namespace orchestrate
