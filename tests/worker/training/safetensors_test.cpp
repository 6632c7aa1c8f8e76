// Safetensors files: what is in them is read, and what lies about itself is refused.
#include "worker/training/support/safetensors.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"
#include "worker/training/kernels/keyed_random.h"

namespace orchestrate {
namespace {

using testing::HasSubstr;

class SafetensorsTest : public testing::Test {
  protected:
    std::string error_of(const std::string& header, const std::string& data, std::uint64_t announced = 0) {
        write(header, data, announced == 0 ? header.size() : announced);
        try {
            read_safetensors(path_);
        } catch (const UserError& error) {
            return error.what();
        }
        return "no error";
    }
    void write(const std::string& header, const std::string& data) { write(header, data, header.size()); }
    void write(const std::string& header, const std::string& data, std::uint64_t announced) {
        std::ofstream file(path_, std::ios::binary);
        file.write(reinterpret_cast<const char*>(&announced), sizeof announced);
        file << header << data;
    }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_.path() / "model.safetensors";
};

TEST_F(SafetensorsTest, IsRead) {
    const std::vector<float> values = {1.5F, -2.0F};
    const std::string header =
        R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"__metadata__":{"x":"y"}})";
    write(header, std::string(reinterpret_cast<const char*>(values.data()), 8), header.size());
    const auto tensors = read_safetensors(path_);
    ASSERT_EQ(tensors.size(), 1U);
    EXPECT_EQ(tensors.at("a").shape, (std::vector<std::int64_t>{2, 1}));
    EXPECT_EQ(tensors.at("a").floats(), values);
}

TEST_F(SafetensorsTest, LiesAreRefused) {
    EXPECT_THAT(error_of("{}", "", 1ULL << 60), HasSubstr("truncated"));
    EXPECT_THAT(error_of("[1", ""), HasSubstr("no valid JSON"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "1234"),
                HasSubstr("'a'"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "1234"),
                HasSubstr("'a'"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "1234"),
                HasSubstr("shape"));
    EXPECT_THAT(
        error_of(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}})", "1234"),
        HasSubstr("shape"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}})", "1234"),
                HasSubstr("F33"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[1]}})", "1234"), HasSubstr("data_offsets"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", "1234"),
                HasSubstr("whole numbers"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "1234"),
                HasSubstr("whole numbers"));
    EXPECT_THAT(
        error_of(R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})", "1234"),
        HasSubstr("whole numbers"));
    EXPECT_THAT(error_of(R"({"a":[]})", "1234"), HasSubstr("'a' has no dtype"));
    EXPECT_THAT(error_of(R"({"__metadata__":{"a":1}})", ""), HasSubstr("__metadata__"));
    EXPECT_THAT(error_of("[]", ""), HasSubstr("expected a JSON object"));
    EXPECT_THAT(error_of(R"({"a":1e999})", ""), HasSubstr("too large"));
}

TEST_F(SafetensorsTest, EveryByteOfTheDataIsInOneTensor) {
    const auto two = [](const std::string& first, const std::string& second) {
        return R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + first +
               R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + second + "}}";
    };
    EXPECT_EQ(error_of(two("[0,2]", "[2,4]"), "1234"), "no error");
    EXPECT_EQ(error_of(two("[2,4]", "[0,2]"), "1234"), "no error");
    EXPECT_THAT(error_of(two("[0,2]", "[1,3]"), "123"), HasSubstr("overlap"));
    EXPECT_THAT(error_of(two("[0,2]", "[0,2]"), "12"), HasSubstr("overlap"));
    EXPECT_THAT(error_of(two("[0,2]", "[3,5]"), "12345"), HasSubstr("gap"));
    EXPECT_THAT(error_of(two("[1,3]", "[3,5]"), "12345"), HasSubstr("gap"));
    EXPECT_THAT(error_of(two("[0,2]", "[2,4]"), "12345"), HasSubstr("5 bytes of data"));
}

TEST_F(SafetensorsTest, HeadersThatLeadAReaderAstrayAreRefused) {
    const std::string entry = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
    EXPECT_EQ(error_of("{\"a\":" + entry + "}   ", ""), "no error");
    EXPECT_THAT(error_of("{\"a\":" + entry + ",\"a\":" + entry + "}", ""), HasSubstr("'a' stands twice"));
    EXPECT_THAT(error_of(R"({"a":{"dtype":"U8","dtype":"F32","shape":[0],"data_offsets":[0,0]}})", ""),
                HasSubstr("'dtype' stands twice"));
    EXPECT_THAT(error_of("{\"\xFF\":" + entry + "}", ""), HasSubstr("no valid JSON"));
    const std::string deep = "{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}";
    EXPECT_THAT(error_of(deep, ""), HasSubstr("nested deeper"));
    std::string large;
    large.resize(100'000'001, ' ');
    EXPECT_THAT(error_of(large, ""), HasSubstr("at most 100000000"));
    std::ofstream(path_, std::ios::binary) << "1234567";
    EXPECT_THROW(read_safetensors(path_), UserError);
    EXPECT_THROW(read_safetensors(folder_.path()), UserError);
}

TEST_F(SafetensorsTest, HalfPrecisionIsRead) {
    const auto floats_of = [&](const std::string& type, std::vector<std::uint16_t> bits) {
        write(R"({"a":{"dtype":")" + type + R"(","shape":[)" + std::to_string(bits.size()) +
                  R"(],"data_offsets":[0,)" + std::to_string(2 * bits.size()) + "]}}",
              std::string(reinterpret_cast<const char*>(bits.data()), 2 * bits.size()));
        return read_safetensors(path_).at("a").floats();
    };
    EXPECT_EQ(floats_of("BF16", {0x3F80, 0xC000, 0x0001, 0xFF80}),
              (std::vector<float>{1.0F, -2.0F, std::bit_cast<float>(0x00010000U),
                                  -std::numeric_limits<float>::infinity()}));
    // Largest and smallest normal and denormal numbers, both zeros, infinity.
    EXPECT_EQ(floats_of("F16", {0x3C00, 0xC000, 0x7BFF, 0x0400, 0x03FF, 0x0001, 0x8000, 0x7C00}),
              (std::vector<float>{1.0F, -2.0F, 65504.0F, 0x1p-14F, 0x1.FF8p-15F, 0x1p-24F, -0.0F,
                                  std::numeric_limits<float>::infinity()}));
    EXPECT_TRUE(std::isnan(floats_of("F16", {0x7E00})[0]));
}

// Whatever is done to a file, it is read or refused: nothing else. Kept small for the sanitizers.
TEST_F(SafetensorsTest, MutatedFilesAreReadOrRefused) {
    const std::vector<float> values = {1.5F, -2.0F, 0.25F, 4.0F};
    const auto bytes = std::as_bytes(std::span(values));
    const std::vector<TensorPiece> pieces = {{"encoder.weight", "F32", {2, 1}, bytes.first(8)},
                                             {"encoder.bias", "F16", {4}, bytes.subspan(8)}};
    const auto head = safetensors_head(pieces);
    std::string file(reinterpret_cast<const char*>(head.data()), head.size());
    file.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    std::ofstream(path_, std::ios::binary) << file;
    EXPECT_EQ(read_safetensors(path_).at("encoder.weight").floats(), (std::vector<float>{1.5F, -2.0F}));

    constexpr int kMutants = 20'000;
    int read = 0;
    std::uint64_t draw = 0;
    const auto random = [&](std::uint64_t below) { return mix(1, draw++) % below; };
    const std::string alphabet = "0123456789-{}[]\",:eF\xFF";
    for (int mutant = 0; mutant < kMutants; ++mutant) {
        std::string changed = file;
        for (std::uint64_t edits = 1 + random(3); edits > 0 && !changed.empty(); --edits) {
            const std::size_t at = random(changed.size());
            switch (random(5)) {
                case 0:
                    changed[at] = static_cast<char>(random(256));
                    break;
                case 1:
                    changed[at] = alphabet[random(alphabet.size())];
                    break;
                case 2:
                    changed.erase(at, 1 + random(8));
                    break;
                case 3:
                    changed.insert(at, changed.substr(random(changed.size()), random(40)));
                    break;
                default:
                    changed.resize(at);
            }
        }
        std::uint64_t header_size = 0;
        if (changed.size() < sizeof header_size) {
            continue;
        }
        std::memcpy(&header_size, changed.data(), sizeof header_size);
        if (header_size > changed.size() - sizeof header_size) {
            header_size = changed.size() - sizeof header_size;  // so that the header is looked at
        }
        const std::string_view header(changed.data() + sizeof header_size, header_size);
        const std::uint64_t data_bytes = changed.size() - sizeof header_size - header_size;
        try {
            const TensorPlaces places = parse_safetensors_header(header, data_bytes, "mutant");
            ++read;
            std::uint64_t covered = 0;
            for (const auto& [name, place] : places) {
                ASSERT_LE(place.end, data_bytes);
                covered += place.end - place.begin;
            }
            ASSERT_EQ(covered, data_bytes);
        } catch (const UserError& error) {
            ASSERT_THAT(error.what(), testing::StartsWith("mutant: "));
        }
    }
    EXPECT_GT(read, 10);  // mutants of data and of names
    EXPECT_LT(read, kMutants / 2);
}

}  // namespace
}  // namespace orchestrate
