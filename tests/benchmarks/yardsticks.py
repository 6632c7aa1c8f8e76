#!/usr/bin/env python3
"""What simple models reach on a study's own split: the yardstick for its baseline.

    ./setup --peers --deps-only
    sqlite3 results.db "select config from jobs limit 1" > job.json
    orchestrate-worker texts --config job.json --data tracks.csv.gz --out texts.csv  # line, part, label, text
    .deps/peers/bin/python tests/benchmarks/yardsticks.py --data tracks.csv.gz --texts texts.csv \\
        --features energy,tempo,explicit

Prints accuracy and macro F1 in % of the majority class, of logistic regression on standardised features and of
LightGBM on raw ones, fitted on the training part with default settings and a fixed seed.
"""

import argparse
import csv
import gzip
import sys
import warnings
from pathlib import Path

try:
    import lightgbm
    import numpy as np
    import sklearn
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
except ImportError as error:
    sys.exit(f"{error.name} is not installed; run: ./setup --peers --deps-only")

TRUTH_VALUES = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def open_text(path):
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8-sig", newline="") if is_gzip else open(path, encoding="utf-8-sig", newline="")


def rows_with_lines(path):
    """Yields (line on which the record begins, its fields); the header first."""
    names = [name for name in Path(path).suffixes if name != ".gz"]
    with open_text(path) as file:
        reader = csv.reader(file, delimiter="\t" if names and names[-1] in (".tsv", ".tab") else ",")
        before = 0
        for fields in reader:
            if fields:
                yield before + 1, fields
            before = reader.line_num


def read_features(path, features):
    """The numbers of each line; a feature that is a text somewhere is left out."""
    rows = rows_with_lines(path)
    _, header = next(rows)
    unknown = [name for name in features if name not in header]
    if unknown:
        sys.exit(f"{path} has no column {', '.join(unknown)}; it has {', '.join(header)}")
    columns = [header.index(name) for name in features]
    return {line: [fields[column] for column in columns] for line, fields in rows}


def as_number(value):
    truth = TRUTH_VALUES.get(value.strip().lower())
    return float(value) if truth is None else truth


def numeric_columns(rows, features):
    kept = []
    for column, name in enumerate(features):
        try:
            for row in rows:
                as_number(row[column])
            kept.append(column)
        except ValueError:
            print(f"(without {name}, which is a text)")
    return kept


def read_split(path):
    rows = rows_with_lines(path)
    _, header = next(rows)
    at = {name: header.index(name) for name in ("line", "part", "label")}
    return [(int(f[at["line"]]), f[at["part"]], f[at["label"]]) for _, f in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the study's data file (CSV or TSV, gzip too)")
    parser.add_argument("--texts", required=True, help="its split, as written by orchestrate-worker texts")
    parser.add_argument("--features", required=True, help="columns, separated by commas")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="X does not have valid feature names")

    features = arguments.features.split(",")
    data = read_features(arguments.data, features)
    split = read_split(arguments.texts)
    missing = [line for line, _, _ in split if line not in data]
    if missing:
        sys.exit(f"{arguments.data} has no row at line {missing[0]}: is it the file that {arguments.texts} was made from?")
    columns = numeric_columns([data[line] for line, _, _ in split], features)
    parts = {}
    for part in ("train", "validation", "test"):
        chosen = [(line, label) for line, name, label in split if name == part]
        if chosen:
            x = np.array([[as_number(data[line][column]) for column in columns] for line, _ in chosen])
            parts[part] = (x, np.array([label for _, label in chosen]))

    models = {
        "majority class": DummyClassifier(strategy="most_frequent"),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        "LightGBM, 100 rounds": lightgbm.LGBMClassifier(
            n_estimators=100, random_state=0, deterministic=True, force_row_wise=True, n_jobs=arguments.threads, verbose=-1
        ),
    }
    classes = sorted({label for _, _, label in split})
    print(f"scikit-learn {sklearn.__version__}, LightGBM {lightgbm.__version__}; {len(classes)} classes, "
          f"{len(columns)} features, rows: " + ", ".join(f"{part} {len(y)}" for part, (_, y) in parts.items()))
    held_out = [part for part in ("validation", "test") if part in parts]
    print(f"{'accuracy / macro F1 in %':<26}" + "".join(f"{part:>16}" for part in held_out))
    for name, model in models.items():
        model.fit(*parts["train"])
        cells = []
        for part in held_out:
            x, y = parts[part]
            predicted = model.predict(x)
            macro_f1 = f1_score(y, predicted, average="macro", labels=classes, zero_division=0)
            cells.append(f"{100 * accuracy_score(y, predicted):.1f} / {100 * macro_f1:.1f}")
        print(f"{name:<26}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
