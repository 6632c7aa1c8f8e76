"""The coordinator is killed (SIGKILL) again and again at random moments while workers that train nothing load it: what it
has acknowledged to a worker is in the database, and no job has two accepted results."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

from programs import ORCHESTRATE, PROGRAMS, ProgramTest, main, processes_with

KILLS = int(os.environ.get("ORCHESTRATE_CRASH_KILLS", "200"))
SEED = int(os.environ.get("ORCHESTRATE_CRASH_SEED", "1"))
STUDY = """
[study]
name = "crash"
seeds = [{seeds}]

[data]
path = "tracks.csv"
label = "track_genre"
features = ["energy", "tempo"]

[[ablation]]
leave_one_out = ["energy"]
"""


class CrashTest(ProgramTest):
    def setUp(self):
        super().setUp()
        # The worker is looked for beside the program.
        shutil.copy(ORCHESTRATE, self.folder / "orchestrate")
        shutil.copy(PROGRAMS / "fake-worker", self.folder / "orchestrate-worker")
        self.run_program("sample-data", "--out", "tracks.csv", "--rows-per-genre", "20")
        (self.folder / "study.toml").write_text(STUDY.format(seeds=", ".join(str(seed) for seed in range(1, 251))))

    def tearDown(self):
        for worker in processes_with(str(self.folder)):
            os.kill(worker, signal.SIGKILL)
        super().tearDown()

    def start(self):
        return subprocess.Popen([self.folder / "orchestrate", "run", "study.toml", "--workers", "4"], cwd=self.folder,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def test_killed_at_any_moment(self):
        moments = random.Random(SEED)
        kills = finished = 0
        while kills < KILLS:
            run = self.start()
            # Beginnings count as much as what follows.
            deadline = time.monotonic() + moments.choice([moments.uniform(0.005, 0.15), moments.uniform(0.1, 0.6)])
            while run.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            if run.poll() is None:
                run.kill()
                kills += 1
                run.communicate(timeout=60)
                continue
            output = run.communicate(timeout=60)[0]
            self.assertEqual(run.returncode, 0, output + self.logs())
            self.check()
            finished += 1
            self.begin_anew()
        output = self.start().communicate(timeout=300)[0]
        self.check()
        print(f"{kills} kills with seed {SEED}, {finished + 1} studies of 500 jobs, "
              f"{self.acknowledged} acknowledgements in the last", file=sys.stderr)

    def begin_anew(self):
        for worker in processes_with(str(self.folder)):
            os.kill(worker, signal.SIGKILL)
        for leftover in self.folder.glob("results.db*"):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()

    def check(self):
        lines = (self.folder / "results.db.d/logs/acknowledged.txt").read_text().splitlines()
        self.acknowledged = len(lines)
        self.assertEqual(self.query("pragma integrity_check"), [("ok",)])
        causes = {(job, number): cause for job, number, cause in
                  self.query("select job_id, number, cause from attempts")}
        results = dict(self.query("select job_id, attempt from results"))
        succeeded = {}
        for line in lines:
            job, number, cause = line.split()
            job, number = int(job), int(number)
            self.assertEqual(causes.get((job, number)), cause, f"acknowledged, but not in the database: {line}")
            if cause == "succeeded":
                self.assertEqual(results.get(job), number, f"acknowledged result is gone: {line}")
                self.assertEqual(succeeded.setdefault(job, number), number, f"two accepted results: {line}")
        self.assertEqual(self.query("select count(*) from jobs where state = 'succeeded'"), [(500,)])
        self.assertEqual(self.query("select count(*) from attempts where cause = 'succeeded'"), [(500,)])
        self.assertEqual(self.query("select count(*) from attempts where ended_at is null"), [(0,)])
        self.assertEqual(self.query("select count(*) from predictions"), [(1000,)])


if __name__ == "__main__":
    main()
