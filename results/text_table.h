// Shared by what renders tables: how narrow a table can become.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace orchestrate {

// Terminal columns of the widest line that render_text_table would write with its text columns at their
// narrowest.
std::size_t narrowest_table_width(const std::vector<std::string>& header,
                                  const std::vector<std::vector<std::string>>& rows);

}  // namespace orchestrate
