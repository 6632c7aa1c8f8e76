#include <gtest/gtest.h>

#include "common/base/nearest_name.h"
#include "common/base/sha256.h"
#include "common/base/time_text.h"

namespace orchestrate {
namespace {

using namespace std::chrono_literals;

TEST(NearestNameTest, FindsWhatWasMeant) {
    const std::vector<std::string> names = {"danceability", "energy", "loudness", "tempo", "time_signature"};
    EXPECT_EQ(nearest_name("dancability", names), "danceability");
    EXPECT_EQ(nearest_name("enregy", names), "energy");
    EXPECT_EQ(nearest_name("ENERGY", names), "energy");
    EXPECT_EQ(nearest_name("signature", names), "time_signature");
    EXPECT_EQ(nearest_name("tmepo", names), "tempo");
    EXPECT_EQ(nearest_name("valence", names), std::nullopt);
    EXPECT_EQ(nearest_name("energy", {}), std::nullopt);
}

TEST(DurationTest, ReadsWell) {
    EXPECT_EQ(duration_text(0s), "0 s");
    EXPECT_EQ(duration_text(-5s), "0 s");
    EXPECT_EQ(duration_text(40ms), "0 s");
    EXPECT_EQ(duration_text(420ms), "0.4 s");
    EXPECT_EQ(duration_text(960ms), "1 s");
    EXPECT_EQ(duration_text(59.4s), "59 s");
    EXPECT_EQ(duration_text(59.6s), "1 min 00 s");
    EXPECT_EQ(duration_text(3h + 7min), "3 h 07 min");
    EXPECT_EQ(duration_text(50h), "2 d 2 h");
}

TEST(UtcTimeTest, HasMilliseconds) {
    EXPECT_EQ(utc_time_text(std::chrono::system_clock::time_point(1'700'000'000'042ms)),
              "2023-11-14T22:13:20.042Z");
}

TEST(Sha256Test, IsThatOfTheStandard) {
    // FIPS 180-2, appendix B.1.
    EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
}  // namespace orchestrate
