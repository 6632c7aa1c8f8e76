// The disk fails at every call in turn, in every way, during a study's life in the job store; and the power is cut at
// every call in turn. With both kinds of journal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/coordinator/simulation/small_life.h"

namespace orchestrate::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class StoreFaultsTest : public testing::TestWithParam<bool> {
  protected:
    // As soon as three jobs have one result each, the study is whole.
    static void expect_whole() {
        SQLite::Database database(SmallLife::kDatabase, SQLite::OPEN_READWRITE, 0, SimulatedFiles::name());
        EXPECT_EQ(database.execAndGet("SELECT count(*) FROM jobs WHERE state = 'succeeded'").getInt(), 3);
        EXPECT_EQ(database.execAndGet("SELECT count(*) FROM results").getInt(), 3);
        EXPECT_EQ(database.execAndGet("SELECT count(*) FROM attempts WHERE cause = 'succeeded'").getInt(), 3);
        EXPECT_EQ(database.execAndGet("SELECT count(*) FROM attempts WHERE ended_at IS NULL").getInt(), 0);
        EXPECT_EQ(database.execAndGet("SELECT count(*) FROM checkpoints").getInt(), 0);
    }

    // Lives with that fault at every call. Returns how often the store said that it could not go on.
    static int live_with(FileFault fault) {
        int messages = 0;
        for (std::int64_t call = 0;; ++call) {
            SimulatedFiles files;
            SmallLife life(files, GetParam());
            files.fail_at(call, fault);
            life.live();
            if (!files.fault_has_come()) {
                return messages;
            }
            SCOPED_TRACE("call " + std::to_string(call));
            for (const auto& message : life.messages) {
                EXPECT_THAT(message, HasSubstr(SmallLife::kDatabase));
                ++messages;
            }
            files.make_room();  // if it came at the very end
            EXPECT_THAT(life.broken_facts(), IsEmpty());
            expect_whole();
            if (HasFailure()) {
                return messages;
            }
        }
    }

    // Cuts the power at every call, and lets the study go on afterwards. Returns how often something that had been
    // acknowledged was gone or the database was damaged.
    static int damages_by_power_cuts(bool sync, int ways) {
        int damages = 0;
        for (std::int64_t call = 0;; ++call) {
            for (int way = 0; way < ways; ++way) {
                SimulatedFiles files;
                SmallLife life(files, GetParam(), sync);
                files.fail_at(call, FileFault::power_cut);
                try {
                    life.live();
                    return damages;
                } catch (const PowerOff&) {
                }
                files.power_up(static_cast<std::uint64_t>(call * 31 + way));
                try {
                    const bool began = !life.facts.empty();
                    if (began && !life.broken_facts().empty()) {
                        ++damages;
                        continue;
                    }
                    life.live();
                    damages += life.broken_facts().empty() ? 0 : 1;
                } catch (const std::exception&) {
                    ++damages;  // it is not even a database
                }
            }
        }
    }
};

TEST_P(StoreFaultsTest, AnErrorOfTheDiskAtAnyCall) {
    EXPECT_GT(live_with(FileFault::input_output), 50);
}

TEST_P(StoreFaultsTest, AShortWriteAtAnyCall) {
    EXPECT_GT(live_with(FileFault::short_write), 50);
}

TEST_P(StoreFaultsTest, AFailedSyncAtAnyCall) {
    EXPECT_GT(live_with(FileFault::failed_sync), 50);
}

TEST_P(StoreFaultsTest, AFullDiskFromAnyCallOnUntilThereIsRoom) {
    EXPECT_GT(live_with(FileFault::full_disk), 50);
}

TEST_P(StoreFaultsTest, APowerCutAtAnyCallLosesNothingAcknowledged) {
    EXPECT_EQ(damages_by_power_cuts(true, 3), 0);
}

TEST_P(StoreFaultsTest, WithoutSyncsThePowerCutsAreNoticed) {
    EXPECT_GT(damages_by_power_cuts(false, 1), 10);
}

INSTANTIATE_TEST_SUITE_P(Journals, StoreFaultsTest, testing::Bool(),
                         [](const auto& mode) { return mode.param ? "RollbackJournal" : "WriteAheadLog"; });

}  // namespace
}  // namespace orchestrate::test
