#!/usr/bin/env python3
"""A whole study, ours beside one Trainer process per run, as labs do it: 7 variants x 2 seeds on the CPU cores at hand.

    .deps/peers/bin/python tests/benchmarks/study_speed.py --data spotify-tracks.csv.gz --vocabulary roberta

Ours is `orchestrate run experiments/punk-or-funk-small.toml` from an empty database, start of the coordinator and the
table included. The peer gets the same configurations and the texts ready made, and runs two at a time with one thread
each, then one at a time with all threads. Same epochs, same rows, fp32 in both. --epochs and --rows make it smaller (the
smaller it is, the more the start of each Python process weighs); --peer-runs measures only so many of the peer's runs
and multiplies.
"""

import argparse
import datetime
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from training_speed import FOLDER, machine, run


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the tracks, CSV, gzip or not")
    parser.add_argument("--vocabulary", required=True, help="folder with RoBERTa's vocab.json and merges.txt")
    parser.add_argument("--build", type=Path, default=FOLDER.parent.parent / "build/release")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rows", type=int, default=0, help="a seeded sample of that many; 0: all")
    parser.add_argument("--peer-runs", type=int, default=14, help="how many of the 14 runs the peer really does")
    parser.add_argument("--ways", nargs="+", choices=["side by side", "one by one"],
                        default=["side by side", "one by one"], help="how the peer's processes are run")
    return parser.parse_args()


class Spent:
    """Seconds by the clock, and processor seconds of all children, of a `with` block."""

    def __enter__(self):
        self.begin = self.read()
        return self

    def __exit__(self, *_):
        end = self.read()
        self.clock, self.processor = (after - before for after, before in zip(end, self.begin))

    @staticmethod
    def read():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.perf_counter(), usage.ru_utime + usage.ru_stime


def run_ours(arguments, database, precision):
    command = [arguments.build / "bin/orchestrate", "run", FOLDER.parent.parent / "experiments/punk-or-funk-small.toml",
               "--db", database]
    for text in (f"data.path={arguments.data}", f"tokenizer.vocabulary={arguments.vocabulary}",
                 f"train.epochs={arguments.epochs}", f"data.max_rows={arguments.rows}",
                 f"train.precision={precision}", "cluster.device=cpu"):
        command += ["--set", text]
    with Spent() as spent:
        run(command, 1)
    return spent


def peer_commands(arguments, database, folder):
    """One command per job that succeeded; texts that variants share are written once."""
    with sqlite3.connect(database) as connection:
        configurations = [json.loads(text) for text, in connection.execute("select config from jobs order by id")]
    commands = []
    texts_of = {}
    for number, job in enumerate(configurations):
        config = folder / f"{number}.json"
        config.write_text(json.dumps(job), encoding="utf-8")
        key = json.dumps(job["data"], sort_keys=True)
        if key not in texts_of:
            texts_of[key] = folder / f"texts{number}.csv"
            run([arguments.build / "bin/orchestrate-worker", "texts", "--config", config, "--data", arguments.data,
                 "--out", texts_of[key]], 1)
        commands.append([sys.executable, FOLDER / "study_peer.py", "--config", config, "--texts", texts_of[key],
                         "--vocabulary", arguments.vocabulary])
    return commands


def run_peer(commands, peer_runs, at_a_time, threads):
    chosen = commands[:peer_runs]
    with Spent() as spent, ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(lambda command: run([*command, "--threads", threads], threads), chosen))
    spent.clock *= len(commands) / len(chosen)
    spent.processor *= len(commands) / len(chosen)
    return spent


def main():
    arguments = parse_arguments()
    cores = os.cpu_count()
    print(f"{datetime.date.today()}, {machine()}; {arguments.epochs} epoch(s), "
          f"{arguments.rows or 'all'} rows\n\n| way | runs | clock s | processor s | ours is faster, clock | processor time |\n"
          "| --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        ours = run_ours(arguments, folder / "results.db", "fp32")
        commands = peer_commands(arguments, folder / "results.db", folder)
        print(f"| orchestrate run, {cores} workers of 1 thread | {len(commands)} | {ours.clock:.0f} | "
              f"{ours.processor:.0f} |  |  |", flush=True)
        rows = [("orchestrate run, precision auto", lambda: run_ours(arguments, folder / "auto.db", "auto"))]
        if "side by side" in arguments.ways:
            rows.append((f"Trainer processes, {cores} at a time, 1 thread", lambda: run_peer(commands, arguments.peer_runs, cores, 1)))
        if "one by one" in arguments.ways:
            rows.append((f"Trainer processes, 1 at a time, {cores} threads", lambda: run_peer(commands, arguments.peer_runs, 1, cores)))
        scaled = f" ({arguments.peer_runs} measured)" if arguments.peer_runs < len(commands) else ""
        for name, measure in rows:
            spent = measure()
            name += scaled if name.startswith("Trainer") else ""
            print(f"| {name} | {len(commands)} | {spent.clock:.0f} | {spent.processor:.0f} | "
                  f"{spent.clock / ours.clock:.2f}x | {spent.processor / ours.processor:.2f}x |", flush=True)


if __name__ == "__main__":
    main()
