// The text of schema.sql and views.sql, put into the program at build time.
#pragma once

namespace orchestrate {

extern const char* const kSchemaSql;
extern const char* const kViewsSql;

}  // namespace orchestrate
