#include "experiments/sample_tracks.h"

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>

#include <fmt/format.h>

#include "common/base/counter_random.h"
#include "common/base/error.h"
#include "experiments/sample_tracks_measured.h"

namespace orchestrate {
namespace {

constexpr std::uint64_t kArtistsPerGenre = 40;
constexpr double kShareUnderAnotherGenre = 0.1;

using Features = std::array<double, kMeasuredFeatures>;
using Triangle = std::array<double, kMeasuredFeatures*(kMeasuredFeatures + 1) / 2>;

// Ranges that values are kept in, in the order of MeasuredGenre.
constexpr std::array<std::array<double, 2>, kMeasuredFeatures> kRanges = {{
    {0, 100},
    {0.5, 30},
    {0, 1},
    {0, 1},
    {-60, 5},
    {0, 1},
    {0, 1},
    {0, 1},
    {0, 1},
    {0, 1},
    {40, 220},
}};

constexpr std::size_t at(std::size_t row, std::size_t column) {
    return row * (row + 1) / 2 + column;
}

// Lower triangle of the Cholesky factor; directions without variance stay 0.
Triangle cholesky(const Triangle& covariance) {
    Triangle factor{};
    for (std::size_t i = 0; i < kMeasuredFeatures; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            double rest = covariance[at(i, j)];
            for (std::size_t k = 0; k < j; ++k) {
                rest -= factor[at(i, k)] * factor[at(j, k)];
            }
            if (i == j) {
                factor[at(i, i)] = std::sqrt(std::max(0.0, rest));
            } else if (factor[at(j, j)] > 0) {
                factor[at(i, j)] = rest / factor[at(j, j)];
            }
        }
    }
    return factor;
}

// The random numbers of one track, in order.
class Draws {
  public:
    Draws(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

    std::uint64_t bits() { return counter_random(seed_, stream_, counter_++); }
    std::uint64_t below(std::uint64_t count) { return bits() % count; }
    double unit() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }

    // Sum of 12 uniform numbers less 6: mean 0, variance 1, near normal, and no function whose last digit
    // depends on the machine.
    double normal() {
        double sum = -6;
        for (int i = 0; i < 12; ++i) {
            sum += unit();
        }
        return sum;
    }

  private:
    std::uint64_t seed_;
    std::uint64_t stream_;
    std::uint64_t counter_ = 0;
};

std::string make_track_id(Draws& draws) {
    static constexpr char kDigits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string id;
    for (int i = 0; i < 22; ++i) {
        id += kDigits[draws.below(62)];
    }
    return id;
}

std::string make_artists(Draws& draws, std::uint64_t genre) {
    const auto artist = [&] {
        return fmt::format("Artist {}", genre * kArtistsPerGenre + draws.below(kArtistsPerGenre));
    };
    const std::string first = artist();
    const std::string second = draws.unit() < 0.2 ? artist() : first;
    return first == second ? first : first + ";" + second;
}

// All columns but the genre, of track number `index` of a genre.
std::string make_track(const MeasuredGenre& measured, const Triangle& factor, std::uint64_t genre,
                       std::uint64_t index, std::uint64_t seed) {
    Draws draws(seed, 2 * ((genre << 32) + index));
    const std::string id = make_track_id(draws);
    const std::string artists = make_artists(draws, genre);
    const bool is_explicit = draws.unit() < measured.explicit_share;
    Features normal{};
    for (auto& value : normal) {
        value = draws.normal();
    }
    Features values = measured.mean;
    for (std::size_t i = 0; i < kMeasuredFeatures; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            values[i] += factor[at(i, j)] * normal[j];
        }
        values[i] = std::clamp(values[i], kRanges[i][0], kRanges[i][1]);
    }
    std::string row = fmt::format("{},{},Track {},{:.0f},{:.0f},{}", id, artists, 1 + genre * 10'000 + index,
                                  values[0], values[1] * 60'000, is_explicit ? "True" : "False");
    for (std::size_t i = 2; i < kMeasuredFeatures; ++i) {
        row += fmt::format(",{:.3f}", values[i]);
    }
    return row;
}

}  // namespace

void write_sample_tracks(std::ostream& output, std::int64_t rows_per_genre, std::uint64_t seed) {
    if (rows_per_genre < 1) {
        throw UserError(
            fmt::format("{} rows per genre cannot be written; expected at least 1", rows_per_genre));
    }
    std::array<Triangle, kMeasuredGenres.size()> factors{};
    std::transform(kMeasuredGenres.begin(), kMeasuredGenres.end(), factors.begin(),
                   [](const MeasuredGenre& genre) { return cholesky(genre.covariance); });
    output << "track_id,artists,track_name,popularity,duration_ms,explicit,danceability,energy,loudness,"
              "speechiness,"
              "acousticness,instrumentalness,liveness,valence,tempo,track_genre\n";
    const auto rows = static_cast<std::uint64_t>(rows_per_genre);
    for (std::uint64_t genre = 0; genre < kMeasuredGenres.size(); ++genre) {
        for (std::uint64_t index = 0; index < rows; ++index) {
            Draws draws(seed, 2 * ((genre << 32) + index) + 1);
            std::uint64_t from_genre = genre;
            std::uint64_t from_index = index;
            if (draws.unit() < kShareUnderAnotherGenre) {
                from_genre = (genre + 1 + draws.below(kMeasuredGenres.size() - 1)) % kMeasuredGenres.size();
                from_index = draws.below(rows);
            }
            output << make_track(kMeasuredGenres[from_genre], factors[from_genre], from_genre, from_index,
                                 seed)
                   << ',' << kMeasuredGenres[genre].name << '\n';
        }
    }
}

}  // namespace orchestrate
