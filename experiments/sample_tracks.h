// Sample data: tracks drawn at random from what was measured of eight genres, so that a study can be tried
// without any download. Facts about the real set, no rows of it.
#pragma once

#include <cstdint>
#include <iosfwd>

namespace orchestrate {

// Writes a CSV with the columns of the Spotify Tracks Dataset: track_id, artists, track_name, popularity,
// duration_ms, explicit, the audio features, track_genre; `rows_per_genre` rows for each genre, in order of
// genre. As in the real set some tracks stand under two genres and an artist has several tracks, so a split
// by row leaks. A pure function of its arguments, the same bytes on every machine. Throws UserError if
// rows_per_genre is below 1.
void write_sample_tracks(std::ostream& output, std::int64_t rows_per_genre, std::uint64_t seed);

}  // namespace orchestrate
