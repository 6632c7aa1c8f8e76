// Access files: what is read back, and what is refused without telling what it holds.
#include "common/protocol/access_file.h"

#include <fstream>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "common/base/error.h"
#include "common/base/temporary_folder.h"

namespace orchestrate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class AccessFile : public ::testing::Test {
  protected:
    AccessFile() {
        access_.addresses = {"127.0.0.1", "10.0.0.7"};
        access_.port = 4711;
        access_.certificate_fingerprint = std::string(64, 'a');
        access_.token = "secret-token";
    }

    void write(const std::string& text) const {
        std::ofstream(path_) << text;
        chmod(path_.c_str(), 0600);
    }

    std::string refusal() const {
        try {
            read_access_file(path_);
        } catch (const UserError& error) {
            return error.what();
        }
        return "it was read";
    }

    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_.path() / "access.json";
    Access access_;
};

TEST_F(AccessFile, ComesBackAsItWas) {
    write_access_file(path_, access_);
    const Access found = read_access_file(path_);
    EXPECT_EQ(found.addresses, access_.addresses);
    EXPECT_EQ(found.port, access_.port);
    EXPECT_EQ(found.certificate_fingerprint, access_.certificate_fingerprint);
    EXPECT_EQ(found.token, access_.token);
    struct stat status {};
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(AccessFile, OpenToOthersIsRefused) {
    write_access_file(path_, access_);
    for (const unsigned mode : {0640U, 0604U, 0620U, 0601U}) {
        chmod(path_.c_str(), mode);
        EXPECT_THAT(refusal(), HasSubstr("chmod 600 '" + path_.string() + "'")) << mode;
    }
}

TEST_F(AccessFile, InAFolderOpenToOthersIsRefused) {
    write_access_file(path_, access_);
    for (const unsigned mode : {0710U, 0701U, 0740U, 0755U}) {
        chmod(folder_.path().c_str(), mode);
        EXPECT_THAT(refusal(), HasSubstr("chmod 700 '" + folder_.path().string() + "'")) << mode;
    }
    chmod(folder_.path().c_str(), 0700);
    EXPECT_EQ(refusal(), "it was read");
}

TEST_F(AccessFile, ThatIsDamagedIsRefusedWithoutBeingTold) {
    write_access_file(path_, access_);
    const std::string whole = Json(access_).dump();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        write(whole.substr(0, size));
        EXPECT_THAT(refusal(), AllOf(HasSubstr(path_.string()), Not(HasSubstr("secret")))) << size;
    }
    for (const char* field : {"addresses", "port", "certificate_fingerprint", "token"}) {
        for (const Json& value : {Json(), Json(5.5), Json("secret"), Json::array({1})}) {
            Json json = access_;
            json[field] = value;
            if (field == std::string("token") && value == "secret") {
                continue;  // is one
            }
            write(json.dump());
            EXPECT_THAT(refusal(), AllOf(HasSubstr("is damaged"), Not(HasSubstr("secret")))) << json;
        }
        Json json = access_;
        json.erase(field);
        write(json.dump());
        EXPECT_THAT(refusal(), HasSubstr("is damaged")) << field;
    }
    write(whole.substr(0, whole.size() - 1) + ",\"port\":1}");
    EXPECT_THAT(refusal(), HasSubstr("stands twice"));
}

TEST(Tokens, AreLongDifferentAndComparedWhole) {
    const std::string token = random_token();
    EXPECT_EQ(token.size(), 64U);
    EXPECT_NE(token, random_token());
    EXPECT_TRUE(tokens_equal(token, token));
    for (std::size_t i = 0; i < token.size(); ++i) {
        std::string other = token;
        other[i] = other[i] == '0' ? '1' : '0';
        EXPECT_FALSE(tokens_equal(token, other));
    }
    EXPECT_FALSE(tokens_equal(token, token.substr(0, 63)));
    EXPECT_FALSE(tokens_equal(token, ""));
}

}  // namespace
}  // namespace orchestrate
