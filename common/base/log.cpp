#include "common/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>

#include "common/base/error.h"

namespace orchestrate {

Log open_log(const std::string& name, const std::filesystem::path& path) {
    try {
        auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
        auto log = std::make_shared<spdlog::logger>(name, std::move(sink));
        log->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
        log->set_level(spdlog::level::debug);
        log->flush_on(spdlog::level::debug);
        return log;
    } catch (const spdlog::spdlog_ex& error) {
        throw UserError("cannot write the log file '" + path.string() + "': " + error.what());
    }
}

}  // namespace orchestrate
