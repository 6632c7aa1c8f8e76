"""A job of experiments/any-command.toml: softmax regression on audio features by gradient descent.

All that ties it to orchestrate stands in `Job`; a script of your own needs no more than these lines.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import random
import signal
import sys


class Job:
    """Reads the configuration, reports, keeps checkpoints, and ends when it is asked to."""

    PREEMPTED = 75  # the exit code for "start me again: I have left a checkpoint"

    def __init__(self, config_file):
        config = json.loads(pathlib.Path(config_file).read_text())
        self.parameters = config["parameters"]
        self.seed = config["seed"]
        self.folder = os.environ.get("ORCHESTRATE_CHECKPOINTS", "")
        self.resume = os.environ.get("ORCHESTRATE_RESUME", "")
        self.metrics = open(os.environ.get("ORCHESTRATE_METRICS", "/dev/stderr"), "a", buffering=1)
        self.must_end = False
        signal.signal(signal.SIGTERM, self.ask_to_end)

    def ask_to_end(self, *_):
        self.must_end = True

    def report(self, **line):
        self.metrics.write(json.dumps(line) + "\n")

    def save(self, state):
        if self.folder:
            unfinished = pathlib.Path(self.folder, "state.json.part")
            unfinished.write_text(json.dumps(state))
            unfinished.rename(unfinished.with_suffix(""))  # whole, or not there

    def load(self):
        file = pathlib.Path(self.resume, "state.json") if self.resume else None
        return json.loads(file.read_text()) if file and file.exists() else None

    def end_if_asked(self, state):
        if self.must_end:
            self.save(state)
            sys.exit(self.PREEMPTED if self.folder else 1)


def read_tracks(features):
    """Rows of features and class, in parts; a track that stands under two genres is in one part only."""
    parts = {"train": [], "validation": [], "test": []}
    genres = {}
    with open("sample-tracks.csv", newline="") as file:
        for row in csv.DictReader(file):
            draw = random.Random(row["track_id"]).random()
            part = "train" if draw < 0.7 else "validation" if draw < 0.8 else "test"
            label = genres.setdefault(row["track_genre"], len(genres))
            parts[part].append(([float(row[feature]) for feature in features], label))
    return parts, len(genres)


def standardize(parts):
    """Mean 0 and deviation 1 of each feature over the training part."""
    columns = list(zip(*(row for row, _ in parts["train"])))
    means = [sum(column) / len(column) for column in columns]
    scales = [math.sqrt(sum((x - mean) ** 2 for x in column) / len(column)) or 1.0
              for column, mean in zip(columns, means)]
    return {part: [([(x - mean) / scale for x, mean, scale in zip(row, means, scales)], label) for row, label in rows]
            for part, rows in parts.items()}


def probabilities(weights, row):
    scores = [sum(w * x for w, x in zip(of_class, row)) + of_class[-1] for of_class in weights]
    highest = max(scores)
    powers = [math.exp(max(-700.0, score - highest)) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def evaluate(weights, rows):
    hits, loss = 0, 0.0
    for row, label in rows:
        found = probabilities(weights, row)
        hits += found.index(max(found)) == label
        loss -= math.log(max(found[label], 1e-300))
    return {"accuracy": hits / len(rows), "loss": loss / len(rows)}


def step(weights, batch, rate, decay):
    gradient = [[0.0] * len(of_class) for of_class in weights]
    for row, label in batch:
        for index, probability in enumerate(probabilities(weights, row)):
            error = (probability - (index == label)) / len(batch)
            of_class = gradient[index]
            for place, x in enumerate(row):
                of_class[place] += error * x
            of_class[-1] += error
    for of_class, of_gradient in zip(weights, gradient):
        for place, slope in enumerate(of_gradient):
            of_class[place] -= rate * (slope + decay * of_class[place])


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--config", required=True)
    job = Job(options.parse_args().config)
    wanted = job.parameters
    parts, classes = read_tracks(wanted["features"])
    if wanted["standardize"]:
        parts = standardize(parts)
    first = random.Random(job.seed)
    weights = [[first.gauss(0, 0.1) for _ in range(len(wanted["features"]) + 1)] for _ in range(classes)]
    done = 0  # epochs
    if state := job.load():
        weights, done = state["weights"], state["epochs"]
        print(f"goes on after epoch {done}")
    steps_per_epoch = math.ceil(len(parts["train"]) / wanted["batch_size"])
    for epoch in range(done + 1, wanted["epochs"] + 1):
        order = parts["train"][:]
        random.Random(job.seed * 1000 + epoch).shuffle(order)  # the same after an interruption
        for number in range(steps_per_epoch):
            batch = order[number * wanted["batch_size"]:(number + 1) * wanted["batch_size"]]
            step(weights, batch, wanted["learning_rate"], wanted["weight_decay"])
        job.report(step=epoch * steps_per_epoch, steps=wanted["epochs"] * steps_per_epoch, epoch=epoch,
                   epochs=wanted["epochs"])
        job.report(epoch=epoch, metrics=evaluate(weights, parts["validation"]))
        state = {"weights": weights, "epochs": epoch}
        job.save(state)
        job.end_if_asked(state)
    for part in ("validation", "test"):
        job.report(metrics=evaluate(weights, parts[part]), part=part)


if __name__ == "__main__":
    main()
