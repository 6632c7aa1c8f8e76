// The canonical form of a job's configuration: its bytes are what identities are made of.
#include <gtest/gtest.h>

#include "common/base/counter_random.h"
#include "common/base/sha256.h"
#include "common/job/job_config.h"

namespace orchestrate {
namespace {

// Fills every member of a configuration with something else than its default.
class Filler {
  public:
    explicit Filler(std::uint64_t seed) : seed_(seed) {}

    template <DescribedStruct T>
    void fill(T& value) {
        boost::mp11::mp_for_each<boost::describe::describe_members<T, boost::describe::mod_public>>(
            [&](auto member) { fill(value.*member.pointer); });
    }
    template <DescribedEnum E>
    void fill(E& value) {
        const auto names = enum_names<E>();
        value = *enum_from_name<E>(names[next() % names.size()]);
    }
    template <class T>
    void fill(std::optional<T>&) {}  // of the command, which has tests of its own
    template <class T>
    void fill(std::vector<T>& values) {
        values.resize(next() % 4);
        for (auto& value : values) {
            fill(value);
        }
    }
    void fill(bool& value) { value = next() % 2 == 1; }
    template <std::integral T>
    void fill(T& value) {
        value = static_cast<T>(next() >> (next() % 64));
    }
    void fill(double& value) {
        const double mantissas[] = {0,       1,      0.1,  1e-5,     5e-324, 1.7976931348623157e308,
                                    1.0 / 3, 2.5e-3, 1e21, 12345.678};
        value = mantissas[next() % std::size(mantissas)] * (next() % 2 == 0 ? 1 : -1);
        if (next() % 3 == 0) {
            value = static_cast<double>(next()) * 0x1.0p-60;
        }
    }
    void fill(std::string& value) {
        const char* texts[] = {"", "energy", "a\"b\\c", "größe", "tab\tand\nline", "\x01\x7F", "日本"};
        value = texts[next() % std::size(texts)];
    }

  private:
    std::uint64_t next() { return counter_random(seed_, 9, counter_++); }

    std::uint64_t seed_;
    std::uint64_t counter_ = 0;
};

// Fields that are not set, such as a command, are no part of an identity.
Json without_unset_fields(const Json& json) {
    Json set = json;
    if (json.is_object()) {
        for (const auto& [key, value] : json.items()) {
            if (value.is_null()) {
                set.erase(key);
            } else {
                set[key] = without_unset_fields(value);
            }
        }
    }
    return set;
}

TEST(CanonicalJson, IsWhatTheJsonLibraryWrites) {
    for (std::uint64_t seed = 0; seed < 500; ++seed) {
        JobConfig config;
        Filler(seed).fill(config);
        const std::string expected = without_unset_fields(config).dump();
        ASSERT_EQ(canonical_json(config), expected);
        ASSERT_EQ(job_identity(config), sha256_hex(expected));
    }
    EXPECT_EQ(canonical_json(JobConfig{}), without_unset_fields(JobConfig{}).dump());
}

JobConfig command_job() {
    JobConfig config;
    config.seed = {3, 4};
    config.command.emplace();
    config.command->run = {"python3", "train.py", "--rate", "{rate}"};
    config.command->parameters = {{"rate", 1.0}, {"layers", {64, 32}}, {"name", "größe"}, {"fast", true}};
    config.command->files = {{"train.py", "abc"}};
    return config;
}

TEST(CanonicalJson, OfACommandIsTheCommandAndTheSeed) {
    EXPECT_EQ(
        canonical_json(command_job()),
        R"({"command":{"files":[{"name":"train.py","sha256":"abc"}],"parameters":{"fast":true,)"
        R"("layers":[64,32],"name":"größe","rate":1.0},"run":["python3","train.py","--rate","{rate}"]},)"
        R"("seed":{"data_order":4,"initialization":3}})");
}

TEST(CanonicalJson, OfACommandComesBackAsItWas) {
    const JobConfig before = command_job();
    EXPECT_EQ(Json::parse(canonical_json(before)).get<JobConfig>(), before);
    EXPECT_EQ(Json::from_msgpack(Json::to_msgpack(Json(before))).get<JobConfig>(), before);
}

TEST(CanonicalJson, OfACommandDependsOnAllItsParts) {
    const std::string before = job_identity(command_job());
    std::vector<JobConfig> changed(5, command_job());
    changed[0].seed.initialization = 5;
    changed[1].command->run.pop_back();
    changed[2].command->parameters["rate"] = 2.0;
    changed[3].command->files[0].sha256 = "abd";
    changed[4].command->files[0].name = "other.py";
    for (const auto& config : changed) {
        EXPECT_NE(job_identity(config), before);
    }
    // What only training looks at changes nothing.
    JobConfig same = command_job();
    same.numerics_version = kNumericsVersion + 1;
    same.train.epochs = 99;
    EXPECT_EQ(job_identity(same), before);
}

}  // namespace
}  // namespace orchestrate
