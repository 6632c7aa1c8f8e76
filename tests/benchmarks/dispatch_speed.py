"""How many no-op jobs a second are dispatched and completed: a whole `orchestrate run` with 8 workers over TLS, in memory
(tmpfs) and durable; beside it what SQLite alone writes on the same disk, HyperQueue's Python binding and Ray. Then jobs
that are processes, and how fast this machine starts such processes without us. One row each, in one run.

    build/release/bin must have orchestrate, orchestrate-worker, fake-worker and libcount_syncs.so. Peers, in an
    environment of their own:
    python3 -m venv PEERS && PEERS/bin/pip install -r tests/benchmarks/dispatch_peers.txt
    PEERS/bin/python tests/benchmarks/dispatch_speed.py --folder FOLDER_ON_THE_DISK [--jobs 20000]
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "build/release/bin"
TICKS = os.sysconf("SC_CLK_TCK")
STUDY = """
[study]
name = "no-ops"
seeds = [{seeds}]

[data]
path = "tracks.csv"
label = "track_genre"
features = ["energy", "tempo"]

[[ablation]]
leave_one_out = ["energy"]
"""

# As quick as `true`, but it says a metric, which every command job does.
PROCESS = ["sh", "-c", """echo '{"metrics":{"accuracy":1}}' > $ORCHESTRATE_METRICS"""]
PROCESS_STUDY = """
[study]
name = "processes"
seeds = {jobs}

[command]
run = {run}
metrics = ["accuracy"]

[parameters]
nothing = 0
"""


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def completed_per_second(folder, jobs):
    """From the beginning of the first attempt to the end of the last."""
    done, seconds = sqlite3.connect(folder / "results.db").execute(
        "select count(*), 86400 * (max(julianday(ended_at)) - min(julianday(started_at))) from attempts "
        "where cause = 'succeeded'").fetchone()
    assert done == jobs, (done, jobs)
    return done / seconds


def ours(folder, jobs, workers):
    shutil.copy(PROGRAMS / "orchestrate", folder / "orchestrate")
    shutil.copy(PROGRAMS / "fake-worker", folder / "orchestrate-worker")
    subprocess.run([folder / "orchestrate", "sample-data", "--out", "tracks.csv", "--rows-per-genre", "20"], cwd=folder,
                   check=True, stdout=subprocess.DEVNULL)
    seeds = ", ".join(str(seed) for seed in range(1, jobs // 2 + 1))
    (folder / "study.toml").write_text(STUDY.format(seeds=seeds))
    counts = folder / "syncs.txt"
    environment = os.environ | {"FAKE_WORKER_LONGEST_JOB": "0", "LD_PRELOAD": str(PROGRAMS / "libcount_syncs.so"),
                                "ORCHESTRATE_SYNC_COUNTS": str(counts)}
    processor = expanded = 0
    with open(folder / "output.txt", "w") as output:
        run = subprocess.Popen([folder / "orchestrate", "run", "study.toml", "--workers", str(workers)], cwd=folder,
                               env=environment, stdout=output, stderr=subprocess.STDOUT)
        while run.poll() is None:
            try:
                processor = processor_seconds(run.pid)
                if not expanded and " jobs" in (folder / "output.txt").read_text():
                    expanded = processor
            except (FileNotFoundError, IndexError):
                pass
            time.sleep(0.02)
    if run.returncode != 0:
        sys.exit((folder / "output.txt").read_text()[-2000:])
    attempts = sqlite3.connect(folder / "results.db").execute("select count(*) from attempts").fetchone()[0]
    syncs = sum(int(line.split()[2]) for line in counts.read_text().splitlines() if line.startswith("orchestrate "))
    return (completed_per_second(folder, jobs),
            f"{jobs / (processor - expanded):,.0f} a processor second of the coordinator "
            f"({expanded:.1f} s before, to expand and store the study), {syncs} syncs, "
            f"{attempts - jobs} handed back or repeated")


def sqlite_alone(folder, jobs, group):
    database = sqlite3.connect(folder / "alone.db", isolation_level=None)
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = full")
    database.execute("create table rows (id integer primary key, text text)")
    begin = time.monotonic()
    for first in range(0, jobs, group):
        database.execute("begin immediate")
        database.executemany("insert into rows values (?, ?)", [(first + i, "x" * 100) for i in range(group)])
        database.execute("commit")
    return jobs / (time.monotonic() - begin)


def hyperqueue(jobs, workers):
    from hyperqueue import Job
    from hyperqueue.cluster import LocalCluster, WorkerConfig
    # Each task leaves two files in the folder where it was submitted.
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch), LocalCluster() as cluster:
        for _ in range(workers):
            cluster.start_worker(WorkerConfig(cores=1))
        client = cluster.client()
        job = Job()
        for _ in range(jobs):
            job.program(["true"])
        begin = time.monotonic()
        submitted = client.submit(job)
        client.wait_for_jobs([submitted])
        return jobs / (time.monotonic() - begin)


def ray_tasks(jobs, workers):
    import ray
    ray.init(num_cpus=workers, include_dashboard=False, logging_level="error", log_to_driver=False)

    @ray.remote
    def nothing():
        return None

    ray.get([nothing.remote() for _ in range(workers * 4)])
    begin = time.monotonic()
    ray.get([nothing.remote() for _ in range(jobs)])
    rate = jobs / (time.monotonic() - begin)
    ray.shutdown()
    return rate


def our_processes(folder, jobs, workers):
    run = [word.replace("{", "{{").replace("}", "}}") for word in PROCESS]
    (folder / "study.toml").write_text(PROCESS_STUDY.format(jobs=jobs, run=json.dumps(run)))
    ran = subprocess.run([PROGRAMS / "orchestrate", "run", "study.toml", "--workers", str(workers)], cwd=folder, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if ran.returncode != 0:
        sys.exit(ran.stdout[-2000:])
    return completed_per_second(folder, jobs)


def spawn_rate(jobs, at_a_time):
    environment = os.environ | {"ORCHESTRATE_METRICS": "/dev/null"}
    begin = time.monotonic()
    parents = []
    for _ in range(at_a_time):
        parents.append(os.fork())
        if parents[-1] == 0:
            for _ in range(jobs // at_a_time):
                os.waitpid(os.posix_spawn("/bin/sh", PROCESS, environment), 0)
            os._exit(0)
    for parent in parents:
        os.waitpid(parent, 0)
    return jobs / (time.monotonic() - begin)


def row(name, measure):
    try:
        found = measure()
    except ImportError as error:
        print(f"{name:44} {'-':>10}  ({error})", flush=True)
        return
    rate, note = found if isinstance(found, tuple) else (found, "")
    print(f"{name:44} {rate:>10,.0f}/s  {note}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="on the disk to measure")
    parser.add_argument("--jobs", type=int, default=20000)
    parser.add_argument("--peer-jobs", type=int, default=2000)
    parser.add_argument("--process-jobs", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--only-ours", action="store_true")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f}, {arguments.jobs} jobs, {arguments.workers} workers")
    for name, folder in (("orchestrate, in memory", "/dev/shm"), ("orchestrate, durable", arguments.folder)):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            row(name, lambda: ours(pathlib.Path(scratch), arguments.jobs, arguments.workers))
    for name, folder in (("orchestrate, processes, in memory", "/dev/shm"),
                         ("orchestrate, processes, durable", arguments.folder)):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            row(name, lambda: our_processes(pathlib.Path(scratch), arguments.process_jobs, arguments.workers))
    for count in (1, arguments.workers):
        row(f"starting such processes, {count} at a time", lambda: spawn_rate(arguments.process_jobs, count))
    if arguments.only_ours:
        return
    for group in (1, 100):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
            count = arguments.peer_jobs if group == 1 else 10 * arguments.jobs
            row(f"SQLite alone, a row each, groups of {group}",
                lambda: sqlite_alone(pathlib.Path(scratch), count, group))
    row("HyperQueue, process tasks (true)", lambda: hyperqueue(arguments.peer_jobs, arguments.workers))
    row("Ray, no-op tasks", lambda: ray_tasks(arguments.peer_jobs * 5, arguments.workers))


if __name__ == "__main__":
    main()
