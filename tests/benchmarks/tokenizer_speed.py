#!/usr/bin/env python3
"""A million short texts tokenized, ours beside Hugging Face's tokenizers: one command, one table.

    .deps/peers/bin/python tests/benchmarks/tokenizer_speed.py --data spotify-tracks.csv.gz \\
        --roberta roberta --bert bert

The texts are made of the tracks: names, artists and three features each. Both sides get them as a list in memory; the
ids must be the same. Rounds alternate between the two, so that what else the machine does meets both; printed are the
best of the rounds (by the clock) and the processor seconds of that round.
"""

import argparse
import csv
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
FEATURES = ["popularity", "danceability", "energy", "loudness", "speechiness", "acousticness", "liveness", "valence", "tempo"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the tracks, CSV, gzip or not")
    parser.add_argument("--roberta", help="folder with vocab.json and merges.txt")
    parser.add_argument("--bert", help="folder with vocab.txt")
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count()])
    parser.add_argument("--program", default=str(FOLDER.parents[1] / "build/release/bin/tokenizer_speed"))
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)  # KIND TEXTS: one round of the peer
    return parser.parse_args()


def make_texts(data, count):
    opened = gzip.open(data, "rt", encoding="utf-8", newline="") if data.endswith(".gz") else open(data, encoding="utf-8", newline="")
    with opened as file:
        rows = list(csv.DictReader(file))
    for number in range(count):
        row = rows[number % len(rows)]
        turn = number // len(rows)
        chosen = [FEATURES[(turn + step) % len(FEATURES)] for step in (0, 2, 5)]
        words = ", ".join(f"{name} {row[name]}" for name in chosen)
        yield f"{row['track_name']} by {row['artists']}, {words}"


def peer_tokenizer(kind, folder):
    from transformers import BertTokenizerFast, RobertaTokenizerFast

    if kind == "byte_level_bpe":
        made = RobertaTokenizerFast(vocab=f"{folder}/vocab.json", merges=f"{folder}/merges.txt")
    else:
        made = BertTokenizerFast(vocab=f"{folder}/vocab.txt")
    return made.backend_tokenizer


def run_peer(kind, folder, texts_file):
    import numpy

    texts = Path(texts_file).read_text(encoding="utf-8").split("\n")[:-1]
    tokenizer = peer_tokenizer(kind, folder)
    tokenizer.enable_truncation(512)
    start, processor_start = time.perf_counter(), time.process_time()
    encodings = tokenizer.encode_batch_fast(texts)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    ids = numpy.concatenate([numpy.asarray(encoding.ids, dtype="<i4") for encoding in encodings])
    print(json.dumps({
        "texts": len(texts), "tokens": len(ids), "seconds": seconds, "processor_seconds": processor_seconds,
        "ids_sha256": hashlib.sha256(ids.tobytes()).hexdigest(),
    }))


def measure(command, threads):
    environment = dict(os.environ, RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="true", HF_HUB_OFFLINE="1")
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main():
    arguments = parse_arguments()
    if arguments.peer:
        kind, texts = arguments.peer
        run_peer(kind, arguments.roberta or arguments.bert, texts)
        return 0
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        texts = f"{folder}/texts.txt"
        with open(texts, "w", encoding="utf-8", newline="\n") as file:
            for text in make_texts(arguments.data, arguments.texts):
                file.write(text + "\n")
        print("tokenizer        threads   ours s (processor s)   Hugging Face s (processor s)   ratio   same ids")
        for kind, vocabulary in (("byte_level_bpe", arguments.roberta), ("word_piece", arguments.bert)):
            for threads in arguments.threads if vocabulary else []:
                ours_command = [arguments.program, "--texts", texts, "--vocabulary", vocabulary, "--kind", kind,
                                "--threads", str(threads)]
                option = "--roberta" if kind == "byte_level_bpe" else "--bert"
                peer_command = [sys.executable, __file__, "--data", arguments.data, option, vocabulary, "--peer", kind, texts]
                ours, peer = [], []
                for _ in range(arguments.rounds):
                    ours.append(measure(ours_command, threads))
                    peer.append(measure(peer_command, threads))
                best, other = (min(runs, key=lambda run: run["seconds"]) for runs in (ours, peer))
                same = best["ids_sha256"] == other["ids_sha256"]
                failed = failed or not same
                print(f"{kind:<15} {threads:>8}   {best['seconds']:>6.2f} ({best['processor_seconds']:.2f})"
                      f"{other['seconds']:>20.2f} ({other['processor_seconds']:.2f})"
                      f"{other['seconds'] / best['seconds']:>20.1f}x   {'yes' if same else 'NO'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
