"""A million no-op jobs of one study: planned, then run by a whole coordinator with 8 workers over TLS.

    python3 tests/benchmarks/million_jobs.py --folder FOLDER [--programs build/release/bin] [--variants 1000] [--seeds 999]

PROGRAMS has orchestrate and fake-worker. Prints time, processor time and peak memory of `plan` and of `run`, how many jobs a
second were completed, and what held the coordinator's loop longest.
"""

import argparse
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
STUDY = """
[study]
name = "no-ops"
seeds = {seeds}
[data]
path = "tracks.csv"
label = "track_genre"
features = ["energy", "tempo"]
[[ablation]]
sweep = {{ train.learning_rate = [{rates}], train.weight_decay = [{decays}] }}
"""


def watched(*command, **options):
    begun = time.monotonic()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (command, status)
    return (f"{time.monotonic() - begun:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} processor seconds, "
            f"at most {usage.ru_maxrss / 1024:.0f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="is made, and must not be there")
    parser.add_argument("--programs", type=pathlib.Path, default=SOURCE / "build/release/bin")
    parser.add_argument("--variants", type=int, default=1000, help="a multiple of 100; besides the baseline")
    parser.add_argument("--seeds", type=int, default=999)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir()
    shutil.copy(arguments.programs / "orchestrate", folder / "orchestrate")
    shutil.copy(arguments.programs / "fake-worker", folder / "orchestrate-worker")
    subprocess.run([folder / "orchestrate", "sample-data", "--out", "tracks.csv", "--rows-per-genre", "20"], cwd=folder,
                   check=True, stdout=subprocess.DEVNULL)
    (folder / "study.toml").write_text(STUDY.format(
        seeds=arguments.seeds, rates=", ".join(f"{i}e-6" for i in range(1, arguments.variants // 100 + 1)),
        decays=", ".join(f"{i}e-3" for i in range(1, 101))))
    with open(folder / "output.txt", "w") as output:
        options = {"cwd": folder, "stdout": output, "stderr": subprocess.STDOUT,
                   "env": os.environ | {"FAKE_WORKER_LONGEST_JOB": "0"}}
        print("plan:", watched(folder / "orchestrate", "plan", "study.toml", **options), flush=True)
        print("run: ", watched(folder / "orchestrate", "run", "study.toml", "--workers", "8", **options), flush=True)
    done, seconds = sqlite3.connect(folder / "results.db").execute(
        "select count(*), 86400 * (max(julianday(ended_at)) - min(julianday(started_at))) from attempts "
        "where cause = 'succeeded'").fetchone()
    print(f"{done:,} jobs done, {done / seconds:,.0f} a second; the database has "
          f"{os.path.getsize(folder / 'results.db') / 2**20:,.0f} MiB")
    log = (folder / "results.db.d/logs/coordinator.log").read_text()
    holds = [(int(ms), what) for ms, what in re.findall(r"loop was held for (\d+) ms by: (.*)", log)]
    print(f"{len(holds)} holds of the loop above 100 ms; the longest: {max(holds, default=None)}")


if __name__ == "__main__":
    main()
