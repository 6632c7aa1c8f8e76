#!/usr/bin/env python3
"""Optimiser steps on a GPU, ours beside Hugging Face's Trainer, eager and compiled, in one table.

    .deps/peers/bin/python tests/benchmarks/gpu_speed.py --data spotify-tracks.csv.gz --vocabulary roberta

The shape of roberta-base (12 layers x 768), real texts of about 72 tokens, batch 16 and 256, bf16, hidden dropout 0.1,
attention dropout 0 in both. Needs a GPU, a build with its CUDA part (`./setup --cuda`) and the peers; gpu_bundle carries it to
a machine without the rest. Ours runs twice: recorded in CUDA graphs, and launched step by step. Prints time, highest memory
use (reserved by PyTorch's allocator, in ours and the peer) and the share of --peak-tflops that the model's products take
(6 x parameters without embeddings x tokens a step; the last layer counts as if all of it were computed, as the peer does).
`--device cpu --layers 1 --hidden 64` tries the script itself.
"""

import argparse
import datetime
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from training_speed import FOLDER, run

FEATURES = ["popularity", "danceability", "energy", "loudness", "speechiness", "acousticness", "instrumentalness",
            "liveness", "valence", "tempo", "key", "time_signature", "duration_ms", "mode"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the tracks, CSV, gzip or not")
    parser.add_argument("--vocabulary", required=True, help="folder with RoBERTa's vocab.json and merges.txt")
    parser.add_argument("--build", type=Path, default=FOLDER.parent.parent / "build/release")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--batches", nargs="+", type=int, default=[16, 256])
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--steps", type=int, default=50, help="timed steps of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="of the GPU in dense bf16 (H100 SXM: 989)")
    parser.add_argument("--no-compile", action="store_true", help="without the compiled row")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    return parser.parse_args()


def write_job(arguments, batch, path):
    """Three epochs of --steps steps: the first one warms up."""
    job = {
        "data": {
            "label": "track_genre",
            "features": FEATURES,
            "max_rows": batch * arguments.steps,
            "text": {"form": "rounded", "decimals": 2},
            "split": {"train": 1.0, "validation": 0.0, "test": 0.0},
        },
        "model": {
            "hidden_size": arguments.hidden,
            "num_hidden_layers": arguments.layers,
            "num_attention_heads": max(1, arguments.hidden // 64),
            "intermediate_size": 4 * arguments.hidden,
            "head_width": arguments.hidden,
            "attention_probs_dropout_prob": 0.0,
        },
        "train": {"epochs": 3, "batch_size": batch, "learning_rate": 1e-4, "precision": arguments.precision,
                  "deterministic": False, "epoch_selection": "last"},
        "seed": {"initialization": 1, "data_order": 1},
    }
    path.write_text(json.dumps(job), encoding="utf-8")


def run_ours(arguments, job, recorded):
    os.environ["ORCHESTRATE_CUDA_GRAPHS"] = "1" if recorded else "0"
    command = [arguments.build / "bin/train_job", job, "--data", arguments.data, "--vocabulary", arguments.vocabulary,
               "--brief", *(["--cuda"] if arguments.device == "cuda" else [])]
    lines = [json.loads(line) for line in run(command, 1).splitlines()]
    epochs = [line["epoch"]["seconds"] for line in lines if "epoch" in line]
    result = next(line["result"] for line in lines if "result" in line)
    return {"seconds": statistics.mean(epochs[1:]) / arguments.steps, "peak_bytes": result["peak_memory_bytes"],
            "device": result["device_class"]}


def main():
    arguments = parse_arguments()
    rows = ["default", "grouped"] + ([] if arguments.no_compile else ["grouped, compiled"])
    for batch in arguments.batches:
        with tempfile.TemporaryDirectory() as folder:
            job, ids = Path(folder) / "job.json", Path(folder) / "ids.json"
            write_job(arguments, batch, job)
            run([arguments.build / "bin/step_speed", "--data", arguments.data, "--vocabulary", arguments.vocabulary,
                 "--ids", ids, "--steps", batch * arguments.steps // 16, "--warm-up", 0], 1)
            tokens = json.loads(ids.read_text(encoding="utf-8"))["ids"]
            tokens_per_step = batch * sum(map(len, tokens)) / len(tokens)
            peer = [sys.executable, FOLDER / "trainer_peer.py", "--ids", ids, "--layers", arguments.layers, "--hidden",
                    arguments.hidden, "--batch", batch, "--steps", arguments.steps, "--warm-up", 10, "--precision",
                    arguments.precision, "--attention-dropout", 0.0, "--device", arguments.device]
            rounds = []
            for _ in range(arguments.rounds):
                results = {"ours": run_ours(arguments, job, True), "step by step": run_ours(arguments, job, False)}
                for row in rows:
                    results[row] = json.loads(run([*peer, "--row", row], 1).splitlines()[-1])
                rounds.append(results)
        flop = 6 * 12 * arguments.layers * arguments.hidden**2 * tokens_per_step
        print(f"\n{datetime.date.today()}, {rounds[0]['ours']['device']}, {arguments.layers} layers x {arguments.hidden}, "
              f"batch {batch}, {arguments.precision}, {tokens_per_step / batch:.1f} tokens a text\n\n"
              "| row | ms/step | sequences/s | peak MiB | share of peak | ours is faster |\n"
              "| --- | --- | --- | --- | --- | --- |")
        names = {"ours": "ours", "step by step": "ours, step by step", **{row: f"Trainer, {row}" for row in rows}}
        for row, name in names.items():
            seconds = statistics.median(results[row]["seconds"] for results in rounds)
            ratio = statistics.median(results[row]["seconds"] / results["ours"]["seconds"] for results in rounds)
            peak = max(results[row].get("peak_bytes", 0) for results in rounds)
            print(f"| {name} | {1000 * seconds:.2f} | {batch / seconds:.0f} | "
                  f"{peak / 2**20:.0f} | {100 * flop / seconds / arguments.peak_tflops / 1e12:.1f} % | "
                  f"{'' if row == 'ours' else f'{ratio:.2f}x'} |", flush=True)


if __name__ == "__main__":
    main()
