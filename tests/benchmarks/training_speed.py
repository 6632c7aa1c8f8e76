#!/usr/bin/env python3
"""Optimiser steps on the CPU, ours beside Hugging Face's Trainer: one command, one table.

    .deps/peers/bin/python tests/benchmarks/training_speed.py --data spotify-tracks.csv.gz --vocabulary roberta

Batch 16, real texts of about 72 tokens, vocabulary 50,265, dropout 0.1 in both, the same rows, the same number of
threads. Each round runs every row once, one after the other, so that what else the machine does meets all of them.
Printed are medians over the rounds, and of a ratio the median of the rounds' ratios. `step / products` compares our
step with its own matrix products alone, timed between its steps in the same process: by LibTorch (MKL), and by our
kernels.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
BATCH = 16


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the tracks, CSV, gzip or not")
    parser.add_argument("--vocabulary", required=True, help="folder with RoBERTa's vocab.json and merges.txt")
    parser.add_argument("--build", type=Path, default=FOLDER.parent.parent / "build/release")
    parser.add_argument("--shapes", nargs="+", default=["4x256", "2x128"], metavar="LAYERSxHIDDEN")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--precisions", nargs="+", default=["fp32"], choices=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="timed steps of a round")
    parser.add_argument("--worker-threads", action="store_true",
                        help="threads that wait do as a worker's, in ours and the peer: for a busy machine")
    parser.add_argument("--compile", action="store_true", help="a row with torch_compile too (minutes; needs g++)")
    return parser.parse_args()


def machine():
    cpu, flags = platform.processor(), set()
    try:
        for line in open("/proc/cpuinfo", encoding="utf-8"):
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
            if line.startswith("flags"):
                flags = set(line.split(":", 1)[1].split())
                break
    except OSError:
        pass
    known = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return f"{cpu}, {os.cpu_count()} cores, {' '.join(known)}; load {os.getloadavg()[0]:.1f}"


def run(command, threads, as_worker=False):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    if as_worker:  # what a worker gets (cluster/worker_command.cpp)
        environment |= {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "5000"}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def measure(arguments, shape, threads, precision, rows, ids):
    """Results of each round: {row: result}, ours under 'ours'."""
    layers, hidden = shape.split("x")
    common = ["--layers", layers, "--hidden", hidden, "--threads", threads, "--steps", arguments.steps,
              "--precision", precision]
    ours = [arguments.build / "bin/step_speed", "--data", arguments.data, "--vocabulary", arguments.vocabulary, *common]
    peer = [sys.executable, FOLDER / "trainer_peer.py", "--ids", ids, *common]
    rounds = []
    for _ in range(arguments.rounds):
        results = {"ours": json.loads(run(ours, threads, arguments.worker_threads))}
        for row in rows:
            results[row] = json.loads(run([*peer, "--row", row], threads, arguments.worker_threads).splitlines()[-1])
        rounds.append(results)
    return rounds


def median(rounds, value):
    return statistics.median(value(results) for results in rounds)


def print_table(rounds, rows, shape, threads, precision):
    tokens = rounds[0]["ours"]["tokens_per_text"]
    print(f"\n{shape.replace('x', ' layers x ')}, {precision}, {threads} thread(s), {tokens:.1f} tokens a text "
          f"({rounds[0]['ours']['device']})\n")
    print("| row | ms/step | sequences/s | processor ms/sequence | ours is faster, clock | processor time |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in ["ours", *rows]:
        step = (lambda results: results[row]["step"]) if row == "ours" else (lambda results: results[row])
        seconds = median(rounds, lambda results: step(results)["seconds"])
        processor = median(rounds, lambda results: step(results)["processor_seconds"])
        ratios = [median(rounds, lambda results: step(results)[key] / results["ours"]["step"][key])
                  for key in ("seconds", "processor_seconds")]
        shown = ["", ""] if row == "ours" else [f"{ratio:.2f}x" for ratio in ratios]
        print(f"| {'ours' if row == 'ours' else 'Trainer, ' + row} | {1000 * seconds:.1f} | {BATCH / seconds:.0f} | "
              f"{1000 * processor / BATCH:.2f} | {shown[0]} | {shown[1]} |")
    print()
    for name, key in (("LibTorch's", "libtorch_products"), ("our kernels'", "engine_products")):
        clock, processor = (
            median(rounds, lambda results: results["ours"]["step"][unit] / results["ours"][key][unit])
            for unit in ("seconds", "processor_seconds")
        )
        rate = median(rounds, lambda results: results["ours"]["product_gflop"] / results["ours"][key]["seconds"])
        print(f"step / its fp32 products by {name}: {clock:.2f} by the clock, {processor:.2f} in processor time "
              f"(products at {rate:.0f} GFLOP/s)")
    sys.stdout.flush()


def main():
    arguments = parse_arguments()
    from trainer_peer import ROWS

    rows = [row for row in ROWS if arguments.compile or "compiled" not in row]
    print(f"{datetime.date.today()}, {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        ids = Path(folder) / "ids.json"
        run([arguments.build / "bin/step_speed", "--data", arguments.data, "--vocabulary", arguments.vocabulary,
             "--ids", ids, "--steps", arguments.steps], 1)
        for precision in arguments.precisions:
            for shape in arguments.shapes:
                for threads in arguments.threads:
                    rounds = measure(arguments, shape, threads, precision, rows, ids)
                    print_table(rounds, rows, shape, threads, precision)


if __name__ == "__main__":
    main()
