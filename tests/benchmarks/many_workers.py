"""What a coordinator with many connected workers costs: processor time while they idle with their heartbeats, memory,
and that none is lost. With --workers 0: an idle coordinator alone.

    python3 tests/benchmarks/many_workers.py [--workers 5000] [--seconds 30]
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from dispatch_speed import PROGRAMS, STUDY, processor_seconds


def resident_mebibytes(process):
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        shutil.copy(PROGRAMS / "orchestrate", folder / "orchestrate")
        shutil.copy(PROGRAMS / "fake-worker", folder / "orchestrate-worker")
        subprocess.run([folder / "orchestrate", "sample-data", "--out", "tracks.csv", "--rows-per-genre", "20"],
                       cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (folder / "study.toml").write_text(STUDY.format(seeds="1"))
        # Two jobs that take longer than this measurement, on the coordinator's own workers.
        environment = os.environ | {"FAKE_WORKER_LONGEST_JOB": "1000000000"}
        with open(folder / "output.txt", "w") as output:
            run = subprocess.Popen([folder / "orchestrate", "run", "study.toml", "--workers", "2"], cwd=folder,
                                   env=environment, stdout=output, stderr=subprocess.STDOUT)
        access = folder / "results.db.d/worker-access.json"
        while not access.exists():
            time.sleep(0.05)
        time.sleep(3)
        alone = resident_mebibytes(run.pid)
        crowd = None
        if arguments.workers:
            used, begin = processor_seconds(run.pid), time.monotonic()
            crowd = subprocess.Popen([PROGRAMS / "many_workers", access, str(arguments.workers)], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            print(crowd.stdout.readline().strip(), f"within {time.monotonic() - begin:.1f} s "
                  f"({processor_seconds(run.pid) - used:.1f} processor s of the coordinator)")
            time.sleep(5)
        used, begin = processor_seconds(run.pid), time.monotonic()
        time.sleep(arguments.seconds)
        share = (processor_seconds(run.pid) - used) / (time.monotonic() - begin)
        memory = resident_mebibytes(run.pid)
        print(f"idle coordinator with {arguments.workers} more workers: {100 * share:.2f} % of a core, "
              f"{memory:.0f} MiB ({alone:.0f} MiB before), {len(os.listdir(f'/proc/{run.pid}/fd'))} open files")
        if crowd:
            crowd.stdin.close()
            print(crowd.stdout.readline().strip())
            crowd.wait()
        run.kill()
        run.wait()
        for worker in pathlib.Path("/proc").iterdir():
            try:
                if worker.name.isdigit() and str(folder) in (worker / "cmdline").read_text():
                    os.kill(int(worker.name), 9)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass


if __name__ == "__main__":
    main()
