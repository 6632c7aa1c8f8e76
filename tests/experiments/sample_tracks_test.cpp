#include "experiments/sample_tracks.h"

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gmock/gmock.h>

#include "common/base/error.h"
#include "experiments/sample_tracks_measured.h"

namespace orchestrate {
namespace {

std::string sample(std::int64_t rows_per_genre, std::uint64_t seed) {
    std::ostringstream output;
    write_sample_tracks(output, rows_per_genre, seed);
    return output.str();
}

std::vector<std::vector<std::string>> cells_of(const std::string& csv) {
    std::vector<std::vector<std::string>> rows;
    std::istringstream lines(csv);
    for (std::string line; std::getline(lines, line);) {
        rows.emplace_back();
        std::istringstream cells(line);
        for (std::string cell; std::getline(cells, cell, ',');) {
            rows.back().push_back(cell);
        }
    }
    return rows;
}

TEST(SampleTracks, CommittedFileIsWhatTheGeneratorWrites) {
    std::ostringstream committed;
    committed
        << std::ifstream(std::string(ORCHESTRATE_SOURCE_DIR) + "/experiments/sample-tracks.csv").rdbuf();
    EXPECT_TRUE(committed.str() == sample(200, 1)) << "experiments/sample-tracks.csv is out of date";
}

TEST(SampleTracks, SeedsDiffer) {
    EXPECT_NE(sample(5, 1), sample(5, 2));
}

TEST(SampleTracks, HasTheRowsAskedFor) {
    const auto rows = cells_of(sample(50, 3));
    ASSERT_EQ(rows.size(), 1 + 50 * kMeasuredGenres.size());
    std::map<std::string, int> of_genre;
    for (std::size_t i = 1; i < rows.size(); ++i) {
        ASSERT_EQ(rows[i].size(), rows[0].size());
        ++of_genre[rows[i].back()];
    }
    for (const auto& genre : kMeasuredGenres) {
        EXPECT_EQ(of_genre[genre.name], 50) << genre.name;
    }
    EXPECT_THROW(sample(0, 1), UserError);
}

// A track under two genres has the same features there: a split by row would leak.
TEST(SampleTracks, SomeTracksStandUnderSeveralGenres) {
    std::map<std::string, std::set<std::string>> genres;
    std::map<std::string, std::set<std::string>> tempos;
    for (const auto& row : cells_of(sample(200, 1))) {
        genres[row.front()].insert(row.back());
        tempos[row.front()].insert(row[row.size() - 2]);
    }
    std::size_t shared = 0;
    for (const auto& [id, names] : genres) {
        shared += names.size() > 1 ? 1 : 0;
        EXPECT_EQ(tempos[id].size(), 1U);
    }
    EXPECT_GT(shared, 80U);
    EXPECT_LT(shared, 240U);
}

// Tempo is far from its limits in every genre, so its mean is that of the table: within 5 standard errors,
// and the tenth of rows that come from other genres moves it by at most a tenth of the widest distance of
// means.
TEST(SampleTracks, FollowsTheMeasuredMeans) {
    const std::size_t tempo = kMeasuredFeatures - 1;
    const std::size_t variance = (kMeasuredFeatures * (kMeasuredFeatures + 1)) / 2 - 1;
    std::map<std::string, double> sums;
    const int count = 1000;
    for (const auto& row : cells_of(sample(count, 9))) {
        if (row.back() != "track_genre") {
            sums[row.back()] += std::stod(row[row.size() - 2]);
        }
    }
    for (const auto& genre : kMeasuredGenres) {
        const double error = 5 * std::sqrt(genre.covariance[variance] / count) + 0.1 * 75;
        EXPECT_NEAR(sums[genre.name] / count, genre.mean[tempo], error) << genre.name;
    }
}

}  // namespace
}  // namespace orchestrate
