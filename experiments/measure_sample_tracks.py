#!/usr/bin/env python3
"""Measures, per genre, the mean and covariance of the features that write_sample_tracks (sample_tracks.cpp) draws from.

    measure_sample_tracks.py spotify-tracks.csv.gz > sample_tracks_measured.h
Means and covariances are facts about 1,000 tracks a genre; no row of the data goes into the project.
"""
import csv
import gzip
import sys

GENRES = ["classical", "comedy", "country", "death-metal", "drum-and-bass", "reggaeton", "salsa", "sleep"]
FEATURES = ["popularity", "duration_ms", "danceability", "energy", "loudness", "speechiness", "acousticness",
            "instrumentalness", "liveness", "valence", "tempo"]


HEADER = """// Written by measure_sample_tracks.py: per-genre facts about 1,000 tracks each of the Spotify Tracks Dataset
// (doi 10.34740/KAGGLE/DSV/4372070). Do not edit.
#pragma once

#include <array>

namespace orchestrate {

inline constexpr std::size_t kMeasuredFeatures = %d;

// Order of the features: %s
// (the duration in minutes).
struct MeasuredGenre {
    const char* name;
    double explicit_share;
    std::array<double, kMeasuredFeatures> mean;
    std::array<double, kMeasuredFeatures * (kMeasuredFeatures + 1) / 2> covariance;  // lower triangle, row by row
};

// clang-format off
inline constexpr std::array<MeasuredGenre, %d> kMeasuredGenres = {{"""

FOOTER = """}};
// clang-format on

}  // namespace orchestrate"""


def mean(values):
    return sum(values) / len(values)


def main():
    rows = {genre: [] for genre in GENRES}
    explicit = {genre: 0 for genre in GENRES}
    with gzip.open(sys.argv[1], "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["track_genre"] in rows:
                # Minutes instead of milliseconds: numbers of a size that a table can show.
                rows[row["track_genre"]].append(
                    [float(row[name]) / (60000 if name == "duration_ms" else 1) for name in FEATURES])
                explicit[row["track_genre"]] += row["explicit"] == "True"
    names = ", ".join(FEATURES)
    cut = names.index(" loudness")
    print(HEADER % (len(FEATURES), names[:cut] + "\n//" + names[cut:], len(GENRES)))
    for genre in GENRES:
        columns = list(zip(*rows[genre]))
        means = [mean(column) for column in columns]
        print(f'    {{"{genre}",\n     {explicit[genre] / len(rows[genre]):.3g},')
        print("     {" + ", ".join(f"{value:.4g}" for value in means) + "},")
        print("     {", end="")
        lines = []
        for i, a in enumerate(columns):
            # The lower triangle, row by row.
            lines.append(", ".join(
                f"{sum((x - means[i]) * (y - means[j]) for x, y in zip(a, columns[j])) / (len(a) - 1):.4g}"
                for j in range(i + 1)))
        print(",\n      ".join(lines) + "}},")
    print(FOOTER)


if __name__ == "__main__":
    main()
