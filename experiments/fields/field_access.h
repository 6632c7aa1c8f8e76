// How a table of fields names the member that a field is stored in; for .cpp files that hold such tables only.
#pragma once

// An accessor for both `Settings&` and `const Settings&`.
#define AT(member)                \
    [](auto& settings) -> auto& { \
        return settings.member;   \
    }
