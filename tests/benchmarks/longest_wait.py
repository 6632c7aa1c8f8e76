"""How long a coordinator lets others wait while users read a large database; and what `table` costs beside a scan.

    python3 tests/benchmarks/longest_wait.py [--programs build/release/bin] [--variants 10000] [--seeds 10]
        [--epochs 100000]

A coordinator runs jobs on a database that also has a finished study of variants x seeds jobs. One thread asks for its
status all the time; others print the study's table, its jobs, one job with its epochs. The longest wait for a status is
printed, the longest time that the coordinator says that its loop was held, and by what. Then `table` of 3,000 variants x
10 seeds beside a bare scan of the same rows by Python's sqlite3, in the same run.
"""

import argparse
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

from large_database import add_study

SOURCE = pathlib.Path(__file__).resolve().parents[2]
STUDY = """
[study]
name = "works"
[command]
run = ["sh", "work.sh", "{x}"]
files = ["work.sh"]
metrics = ["v"]
[parameters]
x = 0
[[ablation]]
sweep = { x = [%s] }
"""
SCAN = """
select variants.id, variants.name, seeds.seed_index, jobs.state, test.value
from variants join variant_jobs as seeds on seeds.variant_id = variants.id join jobs on jobs.id = seeds.job_id
join job_metrics as test on test.job_id = jobs.id
where variants.stage_id = (select stages.id from stages join studies on studies.id = study_id where studies.name = ?)
"""


def seconds(action):
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, default=SOURCE / "build/release/bin")
    parser.add_argument("--variants", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=100_000)
    arguments = parser.parse_args()
    orchestrate = (arguments.programs / "orchestrate").resolve()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="orchestrate-wait-"))

    def run(*command):
        done = subprocess.run([orchestrate, *command], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-500:])
        return done.stdout

    # Only the coordinator writes a database while it runs: this one makes it, and ends.
    (folder / "first.sh").write_text('echo "{\\"metrics\\": {\\"v\\": 1}}" > $ORCHESTRATE_METRICS\n')
    (folder / "first.toml").write_text('[command]\nrun = ["sh", "first.sh"]\nmetrics = ["v"]\n')
    run("run", "first.toml")
    with sqlite3.connect(folder / "results.db") as database:
        filling = seconds(lambda: add_study(database, "large", arguments.variants, arguments.seeds, arguments.epochs))
        add_study(database, "three thousand", 3000, 10)
        add_study(database, "six thousand", 6000, 10)
    print(f"{arguments.variants:,} variants, {arguments.variants * arguments.seeds:,} jobs, {arguments.epochs:,} epochs "
          f"of one job, filled in {filling:.1f} s; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    (folder / "work.sh").write_text('sleep 0.2; echo "{\\"metrics\\": {\\"v\\": $1}}" > $ORCHESTRATE_METRICS\n')
    (folder / "works.toml").write_text(STUDY % ", ".join(map(str, range(1, 100_000))))
    host = subprocess.Popen([orchestrate, "run", "works.toml", "--workers", "2"], cwd=folder,
                            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        measure(arguments, folder, run)
    finally:
        host.send_signal(signal.SIGINT)
        begun = time.perf_counter()
        host.wait(timeout=120)
        print(f"Ctrl-C with {99_999:,} jobs left: ended after {time.perf_counter() - begun:.2f} s")


def measure(arguments, folder, run):
    while True:  # until it answers
        try:
            if any(worker["state"] == "busy" for worker in json.loads(run("status", "--json"))["workers"]):
                break
        except (AssertionError, ValueError, KeyError, TypeError):
            time.sleep(0.2)
    first_job = run("query", "--csv", "select min(job) as job from seed_result where study = 'large'").split()[-1]
    waits = []
    over = threading.Event()

    def ask():
        while not over.is_set():
            waits.append(seconds(lambda: run("status", "--json")))

    asking = threading.Thread(target=ask)
    asking.start()
    for command in (["table", "large"], ["table", "large", "--json"], ["jobs", "large"], ["jobs", "large", "--json"],
                    ["job", first_job], ["why", first_job], ["status"],
                    ["query", "select count(*) from metric_curve where study = 'large'"]):
        print(f"{' '.join(command):60} {seconds(lambda: run(*command)):7.2f} s", flush=True)
    over.set()
    asking.join()
    status = json.loads(run("status", "--json"))
    print(f"longest of {len(waits)} waits for a status meanwhile (a process each): {max(waits):.3f} s")
    print(f"longest hold of the loop: {status['longest_hold_milliseconds']} ms by {status['longest_hold_by']}")
    compare_with_scan(folder, run)


def compare_with_scan(folder, run):
    with sqlite3.connect(folder / "results.db", timeout=600) as database:
        for study in ("three thousand", "six thousand"):
            scan = min(seconds(lambda: database.execute(SCAN, (study,)).fetchall()) for _ in range(5))
            table = min(seconds(lambda: run("table", study)) for _ in range(5))
            print(f"table of {study} variants x 10 seeds: {table:.3f} s; a bare scan of its rows: {scan:.3f} s")


if __name__ == "__main__":
    main()
