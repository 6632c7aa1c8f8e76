"""A study on a real Slurm of two nodes gives the table of the local run: a pilot by sbatch, a worker on each node, one
job trained by two ranks over both nodes. The cluster is the project's own fixture, which ctest raises (needs root)."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

from command_study_test import SLOW, STUDY as COMMAND_STUDY
from programs import ORCHESTRATE, PROGRAMS, QUICKSTART, SOURCE, ProgramTest, main, processes_with, rank_of, skip

FIXTURE = SOURCE / "tests/cluster/slurm-fixture"
CLUSTER = pathlib.Path(os.environ.get("ORCHESTRATE_SLURM", "/srv/orchestrate-slurm"))

check = subprocess.run([FIXTURE, "check"], capture_output=True, text=True)
if check.returncode != 0:
    skip(check.stderr.strip() or "no Slurm can be raised here")

os.environ["SLURM_CONF"] = str(CLUSTER / "slurm.conf")

STUDY = QUICKSTART.read_text().replace('"sample-tracks.csv"', f'"{QUICKSTART.parent}/sample-tracks.csv"') + """
[[ablation]]
name = "over both nodes"
set = { "model.head_width" = 32 }
ranks = 2
"""
ON_SLURM = ["--set", "cluster.kind=slurm", "--set", "cluster.nodes=2", "--set", "cluster.slots=1"]
SHORT = ["--set", "train.epochs=2", "--set", "train.precision=fp32"]


class SlurmStudyTest(ProgramTest):
    def base_folder(self):
        share = CLUSTER / "share"
        share.mkdir(parents=True, exist_ok=True)
        return share

    def setUp(self):
        super().setUp()
        (self.folder / "study.toml").write_text(STUDY)

    def test_table_is_that_of_the_local_run(self):
        local = self.run_program("run", "study.toml", "--db", "local.db", *SHORT).stdout
        slurm = self.run_program("run", "study.toml", *SHORT, *ON_SLURM, timeout=300).stdout
        self.assertIn("submitted pilot", slurm)
        table = re.compile(r"^quickstart, stage.*?\n\n.*?\n\n", re.DOTALL | re.MULTILINE)
        self.assertEqual(table.search(local).group(), table.search(slurm).group())
        hosts = dict(self.query("select w.name, group_concat(distinct w.host) from workers w group by w.name"))
        self.assertEqual({host for names in hosts.values() for host in names.split(",")} - {"n0", "n1"}, set())
        narrow = self.query("select distinct host from attempts where ranks = 1 order by host")
        self.assertEqual(narrow, [("n0",), ("n1",)])
        # Each rank writes where it ran.
        ranks = [re.search(r"orchestrate-worker \S+ on (\S+), .*rank \d of 2", file.read_text())
                 for file in (self.folder / "results.db.d/logs").glob("*.log")]
        self.assertEqual({found.group(1) for found in ranks if found}, {"n0", "n1"})
        self.assertEqual(self.query("select count(*) from results where ranks = 2"), [(2,)])
        queue = subprocess.run(["squeue", "-h", "-t", "PENDING,RUNNING"], check=True, capture_output=True, text=True).stdout
        self.assertEqual(queue.strip(), "")

    def test_a_worker_that_loses_a_rank_is_replaced(self):
        baseline = STUDY[:STUDY.index("[[ablation]]")]
        (self.folder / "study.toml").write_text(baseline)
        arguments = ["run", "study.toml", *ON_SLURM, "--heartbeat", "1", "--set", "study.ranks=2", "--set",
                     "study.seeds=2", "--set", "train.epochs=10"]
        with self.started(ORCHESTRATE, *arguments) as run:
            for job, (rank, how) in enumerate([(1, signal.SIGKILL), (1, signal.SIGSTOP)], start=1):
                self.wait_until(lambda: self.trains(job), f"job {job} does not train", 120)
                worker = {rank_of(process): process for process in processes_with(f"{self.folder}/results.db.d/")}
                os.kill(worker[rank], how)
                self.wait_until(lambda: self.query("select 1 from attempts where number = 1 and cause is not null "
                                                   f"and job_id = {job}"), f"{how.name} was not noticed", 30)
            output, _ = run.communicate(timeout=300)
        self.assertEqual(run.returncode, 0, output + self.logs())
        self.assertEqual(self.query("select job_id, number, cause from attempts order by job_id, number"),
                         [(1, 1, "worker_crashed"), (1, 2, "succeeded"), (2, 1, "node_lost"), (2, 2, "succeeded")])
        self.assertEqual(self.query("select distinct ranks from results"), [(2,)])
        self.wait_until(lambda: not processes_with(f"{self.folder}/"), "a process is left", 30)

    def test_commands_go_on_from_their_checkpoints_when_the_allocation_is_taken_away(self):
        (self.folder / "study.toml").write_text(COMMAND_STUDY)
        (self.folder / "slow.py").write_text(SLOW.replace("0.05", "0.2"))
        checkpoints = self.folder / "results.db.d/checkpoints"
        with self.started(ORCHESTRATE, "run", "study.toml", *ON_SLURM, "--heartbeat", "1") as run:
            self.wait_until(lambda: len(list(checkpoints.glob("job-*/attempt-1/epoch"))) == 2, "no checkpoints", 120)
            pilots = subprocess.run(["squeue", "-h", "-o", "%A"], check=True, capture_output=True, text=True).stdout.split()
            self.assertEqual(len(pilots), 1)
            subprocess.run(["scancel", *pilots], check=True)
            output, _ = run.communicate(timeout=300)
        self.assertEqual(run.returncode, 0, output + self.logs())
        self.assertEqual(output.count("submitted pilot"), 2, output)
        self.assertEqual(self.query("select value from job_metrics where part = 'test' order by value"),
                         [(0.26,), (0.27,), (0.51,), (0.52,)])
        interrupted = self.query("select job_id, cause from attempts where number = 1 and cause <> 'succeeded'")
        self.assertEqual(len(interrupted), 2, interrupted)
        for job, cause in interrupted:
            self.assertIn(cause, ("preempted", "node_lost"))
            self.assertEqual(self.query(f"select cause, resumed_attempt from attempts where job_id = {job} and number = 2"),
                             [("succeeded", 1)])
        self.assertEqual(self.query("select distinct host from attempts order by host"), [("n0",), ("n1",)])
        self.wait_until(lambda: not processes_with(f"{self.folder}/"), "a process is left", 30)

    def trains(self, job):
        """Whether a job's running attempt has finished an epoch."""
        try:
            found = self.query(f"select log_file from attempts where job_id = {job} and cause is null")
        except Exception:  # the database is not there yet
            return False
        return any(os.path.exists(file) and "epoch 1:" in pathlib.Path(file).read_text() for (file,) in found)

    def test_what_slurm_refuses_is_said(self):
        errors = self.run_program("run", "study.toml", *SHORT, *ON_SLURM, "--set", "cluster.partition=nowhere",
                                  expect=2).stderr
        self.assertIn("nowhere", errors + (self.folder / "results.db.d/logs/coordinator.log").read_text())
        self.assertRegex(errors, "(?i)partition")


if __name__ == "__main__":
    main()
