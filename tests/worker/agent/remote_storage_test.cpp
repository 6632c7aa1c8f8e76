// A worker that does not see the coordinator's folders, and the coordinator's side of it, joined by a wire that a test
// cuts: whatever breaks, a file arrives as it was sent or not at all, and nothing is reported before it is there.
#include "worker/agent/remote_storage.h"

#include <deque>
#include <fstream>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/host.h"
#include "common/base/temporary_folder.h"
#include "common/base/visit.h"
#include "common/data/pretrained_config.h"
#include "coordinator/artifacts/upload_store.h"

namespace orchestrate {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kChunk = kUploadChunkBytes;

std::string random_bytes(std::size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::string bytes(size, '\0');
    for (char& byte : bytes) {
        byte = static_cast<char>(random());
    }
    return bytes;
}

void write_file(const fs::path& path, const std::string& content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
}

std::string read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// A checkpoint's content: what it holds, and the hash of that.
std::string checkpoint_content(std::size_t size, unsigned seed) {
    const std::string content = random_bytes(size, seed);
    return content + sha256_hex(content);
}

class RemoteStorageTest : public testing::Test {
  protected:
    RemoteStorageTest() {
        checkpoints_.emplace(folder_ / "state");
        restart_coordinator();
        storage_.emplace(
            folder_ / "scratch",
            std::make_shared<spdlog::logger>("null", std::make_shared<spdlog::sinks::null_sink_mt>()),
            [this](const AttemptReport& message) { reported_.push_back(message); },
            [this](const Lease& lease) { begun_.push_back(lease); });
    }

    // What was under way there is forgotten.
    void restart_coordinator() { store_.emplace(*checkpoints_, *files_, folder_ / "state/models"); }

    void connect() {
        storage_->connected([this](const TransferRequest& message) { to_coordinator_.push_back(message); });
    }
    void disconnect() {
        storage_->disconnected();
        to_coordinator_.clear();
    }

    // Delivers up to so many messages of the worker, and the answers to them; returns how many there were.
    int deliver(int at_most = 1 << 30) {
        int delivered = 0;
        while (!to_coordinator_.empty() && delivered < at_most) {
            TransferRequest message = std::move(to_coordinator_.front());
            to_coordinator_.pop_front();
            ++delivered;
            match(
                std::move(message),
                [&](UploadChunk chunk) {
                    bytes_sent_ += chunk.bytes.values.size();
                    if (spoil_) {
                        chunk.bytes.values.front() ^= 1U;
                    }
                    if (const auto answer = store_->take(chunk)) {
                        storage_->on_reply(*answer);
                    }
                },
                [&](const UploadOffer& offer) { storage_->on_reply(store_->offer(offer)); },
                [&](const CheckpointRequest& request) {
                    const CheckpointChunk chunk_read = store_->read(request);
                    bytes_fetched_ += chunk_read.bytes.values.size();
                    storage_->on_reply(chunk_read);
                });
        }
        return delivered;
    }

    Lease lease(const AttemptId& attempt, std::vector<StoredCheckpoint> resume_from = {}) {
        Lease given;
        given.attempt = attempt;
        checkpoints_->begin(attempt);
        given.checkpoints.folder = checkpoints_->folder(attempt).string();
        given.checkpoints.resume_from = std::move(resume_from);
        given.models_folder = (folder_ / "state/models").string();
        return given;
    }

    // As training does: a file in the folder that it was told, and a report.
    CheckpointWritten write_checkpoint(const Lease& begun, std::int64_t step, const std::string& content) {
        const fs::path file =
            fs::path(begun.checkpoints.folder) / ("step-" + std::to_string(step) + ".safetensors");
        write_file(file, content);
        CheckpointWritten written;
        written.attempt = begun.attempt;
        written.checkpoint.step = step;
        written.checkpoint.file = file.string();
        storage_->report(written);
        return written;
    }

    AttemptEnded save_model(const Lease& begun, const std::string& weights) {
        const fs::path writing = fs::path(begun.models_folder) / "writing";
        write_file(writing / "config.json", "{}");
        write_file(writing / "model.safetensors", weights);
        write_file(writing / "vocab.json", "{\"a\": 0}");
        AttemptEnded ended;
        ended.attempt = begun.attempt;
        SavedModel& model = ended.result.emplace().model.emplace();
        model.sha256 = sha256_hex_of_pretrained(writing);
        model.folder = (fs::path(begun.models_folder) / model.sha256).string();
        fs::rename(writing, model.folder);
        storage_->report(ended);
        return ended;
    }

    fs::path stored(const AttemptId& attempt, std::int64_t step) const {
        return checkpoints_->folder(attempt) / ("step-" + std::to_string(step) + ".safetensors");
    }

    TemporaryFolder temporary_;
    const fs::path folder_ = temporary_.path();
    std::unique_ptr<DurableFiles> files_ = make_system_files();
    std::optional<CheckpointFolders> checkpoints_;
    std::optional<UploadStore> store_;
    std::deque<TransferRequest> to_coordinator_;
    std::vector<AttemptReport> reported_;
    std::vector<Lease> begun_;
    std::size_t bytes_sent_ = 0;
    std::size_t bytes_fetched_ = 0;
    bool spoil_ = false;
    std::optional<RemoteStorage> storage_;
};

TEST_F(RemoteStorageTest, TheMarkTellsWhetherTheFolderIsSeen) {
    const SharedFolderMark mark = checkpoints_->mark();
    EXPECT_TRUE(sees(mark));
    EXPECT_EQ(CheckpointFolders(folder_ / "state").mark().content, mark.content);
    EXPECT_FALSE(sees({mark.file, "another host's content"}));
    EXPECT_FALSE(sees({(folder_ / "not there").string(), mark.content}));
    EXPECT_TRUE(sees({}));
}

TEST_F(RemoteStorageTest, ACheckpointIsReportedOnceItIsStored) {
    connect();
    storage_->take(lease({JobId(7), 1}));
    ASSERT_THAT(begun_, SizeIs(1));
    EXPECT_TRUE(storage_->holds(begun_[0].checkpoints.folder));
    const std::string content = checkpoint_content(3 * kChunk + 17, 1);
    const auto written = write_checkpoint(begun_[0], 5, content);
    deliver(3);
    EXPECT_THAT(reported_, IsEmpty());
    EXPECT_FALSE(fs::exists(stored({JobId(7), 1}, 5)));
    deliver();
    ASSERT_THAT(reported_, SizeIs(1));
    EXPECT_EQ(std::get<CheckpointWritten>(reported_[0]).checkpoint.step, 5);
    EXPECT_EQ(read_file(stored({JobId(7), 1}, 5)), content);
    EXPECT_FALSE(fs::exists(written.checkpoint.file));  // here it is of no more use
    EXPECT_EQ(bytes_sent_, content.size());
}

TEST_F(RemoteStorageTest, NoMoreThanAFewChunksAreOnTheWay) {
    connect();
    storage_->take(lease({JobId(7), 1}));
    write_checkpoint(begun_[0], 5, checkpoint_content(40 * kChunk, 1));
    deliver(1);
    EXPECT_LE(to_coordinator_.size(), 4U);
    deliver(20);
    EXPECT_LE(to_coordinator_.size(), 4U);
}

TEST_F(RemoteStorageTest, ABrokenConnectionCostsOnlyWhatWasOnTheWay) {
    const std::string content = checkpoint_content(6 * kChunk, 2);
    for (int messages = 0; messages < 8; ++messages) {
        SCOPED_TRACE(messages);
        reported_.clear();
        bytes_sent_ = 0;
        const AttemptId attempt{JobId(100 + messages), 1};
        connect();
        storage_->take(lease(attempt));
        write_checkpoint(begun_.back(), 1, content);
        deliver(messages);
        disconnect();
        connect();
        deliver();
        EXPECT_THAT(reported_, SizeIs(1));
        EXPECT_EQ(read_file(stored(attempt, 1)), content);
        EXPECT_EQ(bytes_sent_, content.size());  // no byte was taken twice
    }
}

TEST_F(RemoteStorageTest, ACoordinatorThatStartsAgainGetsAllOfIt) {
    const std::string content = checkpoint_content(5 * kChunk + 1, 3);
    connect();
    storage_->take(lease({JobId(7), 1}));
    write_checkpoint(begun_[0], 5, content);
    deliver(4);
    disconnect();
    restart_coordinator();
    connect();
    deliver();
    EXPECT_THAT(reported_, SizeIs(1));
    EXPECT_EQ(read_file(stored({JobId(7), 1}, 5)), content);
}

TEST_F(RemoteStorageTest, OnlyTheNewestOfThoseThatWaitIsSent) {
    connect();
    storage_->take(lease({JobId(7), 1}));
    for (int step = 1; step <= 5; ++step) {
        write_checkpoint(begun_[0], step, checkpoint_content(kChunk, static_cast<unsigned>(step)));
    }
    deliver();
    ASSERT_THAT(reported_, SizeIs(2));  // the one under way, and the last
    EXPECT_EQ(std::get<CheckpointWritten>(reported_[1]).checkpoint.step, 5);
    EXPECT_FALSE(fs::exists(stored({JobId(7), 1}, 3)));
    EXPECT_THAT(files_->list(begun_[0].checkpoints.folder), IsEmpty());
}

TEST_F(RemoteStorageTest, WhatWasDamagedOnTheWayIsNotTaken) {
    connect();
    storage_->take(lease({JobId(7), 1}));
    spoil_ = true;
    write_checkpoint(begun_[0], 5, checkpoint_content(2 * kChunk, 4));
    deliver();
    EXPECT_THAT(reported_, IsEmpty());
    EXPECT_THAT(files_->list(checkpoints_->folder({JobId(7), 1})), IsEmpty());
    spoil_ = false;
    write_checkpoint(begun_[0], 6, checkpoint_content(2 * kChunk, 5));
    deliver();
    EXPECT_THAT(reported_, SizeIs(1));  // the next one comes through
}

TEST_F(RemoteStorageTest, AnEndWaitsForTheCheckpointBeforeIt) {
    connect();
    storage_->take(lease({JobId(7), 1}));
    write_checkpoint(begun_[0], 5, checkpoint_content(2 * kChunk, 6));
    AttemptEnded ended;
    ended.attempt = {JobId(7), 1};
    ended.cause = Cause::preempted;
    storage_->report(ended);
    EXPECT_THAT(reported_, IsEmpty());
    deliver();
    ASSERT_THAT(reported_, SizeIs(2));
    EXPECT_EQ(std::get<AttemptEnded>(reported_[1]).cause, Cause::preempted);
    EXPECT_FALSE(fs::exists(begun_[0].checkpoints.folder));
}

TEST_F(RemoteStorageTest, AModelIsThereBeforeItsResult) {
    connect();
    storage_->take(lease({JobId(7), 1}));
    const std::string weights = random_bytes(3 * kChunk + 5, 7);
    const auto ended = save_model(begun_[0], weights);
    deliver(4);
    EXPECT_THAT(reported_, IsEmpty());
    disconnect();
    connect();
    deliver();
    ASSERT_THAT(reported_, SizeIs(1));
    const SavedModel& told = *std::get<AttemptEnded>(reported_[0]).result->model;
    EXPECT_EQ(told.folder, (folder_ / "state/models" / ended.result->model->sha256).string());
    EXPECT_EQ(read_file(fs::path(told.folder) / "model.safetensors"), weights);
    EXPECT_EQ(sha256_hex_of_pretrained(told.folder), told.sha256);
    EXPECT_EQ(read_file(fs::path(told.folder) / "vocab.json"), "{\"a\": 0}");
    EXPECT_THAT(files_->list(folder_ / "state/models"), SizeIs(1));
}

TEST_F(RemoteStorageTest, AModelThatCannotBeStoredIsSaid) {
    connect();
    storage_->take(lease({JobId(7), 1}));
    spoil_ = true;
    save_model(begun_[0], random_bytes(kChunk, 8));
    deliver();
    ASSERT_THAT(reported_, SizeIs(1));
    const auto& ended = std::get<AttemptEnded>(reported_[0]);
    EXPECT_EQ(ended.cause, Cause::user_error);
    EXPECT_FALSE(ended.result);
    EXPECT_THAT(ended.message, HasSubstr("SHA-256"));
    EXPECT_THAT(files_->list(folder_ / "state/models"), IsEmpty());
}

TEST_F(RemoteStorageTest, AnAttemptBeginsWithItsCheckpoint) {
    const std::string content = checkpoint_content(5 * kChunk + 3, 9);
    checkpoints_->begin({JobId(7), 1});
    write_file(stored({JobId(7), 1}, 40), content);
    storage_->take(lease({JobId(7), 2}, {{1, 40, stored({JobId(7), 1}, 40), "", 0}}));
    connect();
    for (int i = 0; i < 4; ++i) {
        EXPECT_THAT(begun_, IsEmpty());
        deliver(1);
        disconnect();
        connect();
    }
    deliver();
    ASSERT_THAT(begun_, SizeIs(1));
    ASSERT_THAT(begun_[0].checkpoints.resume_from, SizeIs(1));
    const StoredCheckpoint& found = begun_[0].checkpoints.resume_from[0];
    EXPECT_EQ(read_file(found.file), content);
    EXPECT_TRUE(storage_->holds(found.file));
    EXPECT_EQ(found.attempt, 1);
    EXPECT_EQ(bytes_fetched_, content.size());
}

TEST_F(RemoteStorageTest, CheckpointsThatAreNotWholeArePassedOver) {
    checkpoints_->begin({JobId(7), 1});
    std::string cut = checkpoint_content(2 * kChunk, 10);
    cut.resize(kChunk);
    const std::string good = checkpoint_content(kChunk, 11);
    write_file(stored({JobId(7), 1}, 40), cut);
    write_file(stored({JobId(7), 1}, 30), good);
    write_file(stored({JobId(7), 1}, 35), good);
    connect();
    storage_->take(
        lease({JobId(7), 2}, {{1, 50, stored({JobId(7), 1}, 50), "", 0},
                              {1, 40, stored({JobId(7), 1}, 40), "", 0},
                              {1, 35, stored({JobId(7), 1}, 35), std::string(64, '0'), 0},
                              {1, 30, stored({JobId(7), 1}, 30), sha256_hex(good.substr(0, kChunk)), 0}}));
    deliver();
    ASSERT_THAT(begun_, SizeIs(1));
    ASSERT_THAT(begun_[0].checkpoints.resume_from, SizeIs(1));
    EXPECT_EQ(begun_[0].checkpoints.resume_from[0].step, 30);
    storage_->take(lease({JobId(8), 2}, {{1, 50, stored({JobId(8), 1}, 50), "", 0}}));
    deliver();
    ASSERT_THAT(begun_, SizeIs(2));
    EXPECT_THAT(begun_[1].checkpoints.resume_from, IsEmpty());  // from the first step
}

TEST_F(RemoteStorageTest, AnAttemptThatLostItsLeaseWaitsForNothing) {
    connect();
    storage_->take(lease({JobId(7), 1}));
    write_checkpoint(begun_[0], 5, checkpoint_content(9 * kChunk, 12));
    AttemptEnded ended;
    ended.attempt = {JobId(7), 1};
    storage_->report(ended);
    deliver(3);
    storage_->drop({JobId(7), 1});
    ASSERT_THAT(reported_, SizeIs(1));
    EXPECT_TRUE(std::holds_alternative<AttemptEnded>(reported_[0]));
    storage_->take(lease({JobId(8), 1}));
    write_checkpoint(begun_[1], 1, checkpoint_content(kChunk, 13));
    deliver();
    EXPECT_THAT(reported_, SizeIs(2));
}

TEST_F(RemoteStorageTest, NoNameLeadsOutOfTheFolders) {
    checkpoints_->begin({JobId(7), 1});
    const auto refusal = [&](UploadKind kind, const std::string& name, std::vector<UploadFile> files) {
        UploadOffer offer;
        offer.upload.attempt = {JobId(7), 1};
        offer.upload.kind = kind;
        offer.upload.name = name;
        offer.files = std::move(files);
        return store_->offer(offer).refused;
    };
    const std::string sha256(64, 'a');
    EXPECT_THAT(refusal(UploadKind::checkpoint, "step-1.safetensors", {{"step-1.safetensors", 10}}),
                IsEmpty());
    EXPECT_THAT(refusal(UploadKind::model, sha256, {{"config.json", 10}}), IsEmpty());
    for (const char* name : {"../step-1.safetensors", "/etc/passwd", "step-1", "", "step-.safetensors"}) {
        EXPECT_NE(refusal(UploadKind::checkpoint, name, {{name, 10}}), "") << name;
    }
    for (const char* name : {"../config.json", "a/b", "..", ".hidden", "", "x.part"}) {
        EXPECT_NE(refusal(UploadKind::model, sha256, {{name, 10}}), "") << name;
    }
    EXPECT_NE(refusal(UploadKind::model, "../../" + sha256, {{"config.json", 10}}), "");
    EXPECT_NE(refusal(UploadKind::model, sha256, {{"a", 10}, {"a", 10}}), "");
    EXPECT_NE(refusal(UploadKind::model, sha256, {}), "");
    EXPECT_NE(refusal(UploadKind::model, sha256, {{"a", -1}}), "");
    CheckpointRequest request;
    request.attempt = {JobId(7), 2};
    request.checkpoint.attempt = 1;
    request.checkpoint.file = "/etc/passwd";
    EXPECT_NE(store_->read(request).refused, "");
}

TEST_F(RemoteStorageTest, FoldersOfKilledWorkersAreRemoved) {
    const pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    const std::string prefix = "orchestrate-" + host_name() + "-";
    write_file(folder_ / "scratch" / (prefix + std::to_string(child)) / "step-1.safetensors", "values");
    write_file(folder_ / "scratch" / (prefix + std::to_string(getppid())) / "step-1.safetensors", "values");
    write_file(folder_ / "scratch/another program's" / "file", "values");
    storage_->take(lease({JobId(8), 1}));
    EXPECT_THAT(files_->list(folder_ / "scratch"),
                testing::UnorderedElementsAre(prefix + std::to_string(getpid()),
                                              prefix + std::to_string(getppid()), "another program's"));
    storage_.reset();
    EXPECT_THAT(files_->list(folder_ / "scratch"), SizeIs(2));
}

}  // namespace
}  // namespace orchestrate
