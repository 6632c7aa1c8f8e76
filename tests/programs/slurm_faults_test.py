"""Studies of commands on a real Slurm of two nodes that is disturbed: a pilot killed while its workers start, commands of
Slurm that hang, an allocation that is taken back. The cluster is the project's own
fixture, which ctest raises (needs root)."""

import os
import pathlib
import signal
import subprocess

from programs import ORCHESTRATE, SOURCE, ProgramTest, main, processes_with, skip

FIXTURE = SOURCE / "tests/cluster/slurm-fixture"
CLUSTER = pathlib.Path(os.environ.get("ORCHESTRATE_SLURM", "/srv/orchestrate-slurm"))

check = subprocess.run([FIXTURE, "check"], capture_output=True, text=True)
if check.returncode != 0:
    skip(check.stderr.strip() or "no Slurm can be raised here")

os.environ["SLURM_CONF"] = str(CLUSTER / "slurm.conf")

STUDY = """
[study]
seeds = [1, 2]
[cluster]
kind = "slurm"
slots = 1
[command]
run = ["python3", "job.py"]
files = ["job.py"]
metrics = ["score"]
"""

# Waits for a file; asked to end, it takes two seconds to save its work, as a large model does.
JOB = """
import json, os, pathlib, signal, sys, time
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
metrics = open(os.environ["ORCHESTRATE_METRICS"], "a", buffering=1)
go = pathlib.Path("FOLDER/go")
pathlib.Path("FOLDER", "begun-{ORCHESTRATE_JOB}-{ORCHESTRATE_ATTEMPT}".format(**os.environ)).touch()
step = 0
while not go.exists():
    time.sleep(0.05)
    step += 1
    metrics.write(json.dumps({"step": step, "steps": 100000}) + "\\n")
    if ending:
        time.sleep(2)
        pathlib.Path(os.environ["ORCHESTRATE_CHECKPOINTS"], "saved").write_text(str(step))
        sys.exit(75)
metrics.write(json.dumps({"metrics": {"score": 1}}) + "\\n")
"""


class SlurmFaultsTest(ProgramTest):
    def base_folder(self):
        share = CLUSTER / "share"
        share.mkdir(parents=True, exist_ok=True)
        return share

    def setUp(self):
        super().setUp()
        (self.folder / "study.toml").write_text(STUDY)
        (self.folder / "job.py").write_text(JOB.replace("FOLDER", str(self.folder)))
        (self.folder / "bin").mkdir()
        self.environment = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def tearDown(self):
        queue = subprocess.run(["squeue", "-h", "-o", "%A"], capture_output=True, text=True, timeout=60).stdout.split()
        if queue:
            subprocess.run(["scancel", *queue], timeout=60)
        super().tearDown()

    def put_before(self, program, script):
        """Puts a shell script in PATH before a program of Slurm; "$real" is that program."""
        real = subprocess.run(["which", program], check=True, capture_output=True, text=True).stdout.strip()
        file = self.folder / "bin" / program
        file.write_text(f"#!/bin/sh\nreal={real}\n{script}\n")
        file.chmod(0o755)

    def run_study(self, *arguments):
        return self.started(ORCHESTRATE, "run", "study.toml", "--heartbeat", "1", *arguments, environment=self.environment)

    def wait_for_attempts(self, number):
        self.wait_until(lambda: len(list(self.folder.glob(f"begun-*-{number}"))) == 2, f"attempts {number} of both jobs")

    def pilots(self):
        return subprocess.run(["squeue", "-h", "-o", "%A"], check=True, capture_output=True, text=True).stdout.split()

    def finish(self, run, timeout=60, jobs=2):
        (self.folder / "go").touch()
        output, _ = run.communicate(timeout=timeout)
        self.assertEqual(run.returncode, 0, output + self.logs())
        self.assertEqual(self.query("select count(*) from jobs where state = 'succeeded'"), [(jobs,)])
        return output

    def test_a_pilot_killed_while_its_worker_starts_leaves_no_phantom(self):
        self.put_before("srun", 'case "$*" in *--job-name=*) sleep 2 ;; esac\nexec "$real" "$@"')
        (self.folder / "go").touch()
        with self.run_study("--set", "cluster.nodes=1", "--set", "cluster.slots=2") as run:
            self.wait_until(lambda: sum(log.read_text().count("starting worker")
                                        for log in (self.folder / "results.db.d/logs").glob("slurm-*.log")) == 2)
            # Between fork and exec a child of the pilot looks like it.
            pilot = f"orchestrate pilot --access {self.folder}"
            self.wait_until(lambda: len(processes_with(pilot)) == 1, "one pilot")
            os.kill(processes_with(pilot)[0], signal.SIGKILL)
            output = self.finish(run)
        self.assertEqual(output.count("submitted pilot"), 2, output)

    def test_slurm_that_does_not_answer_holds_nothing_up(self):
        for program in ("squeue", "scancel"):
            self.put_before(program, f'[ ! -e {self.folder}/hang ] || exec sleep 1000\nexec "$real" "$@"')
        with self.run_study("--set", "cluster.nodes=2") as run:
            self.wait_for_attempts(1)
            (self.folder / "hang").touch()
            self.wait_until(lambda: processes_with("sleep 1000"), "the coordinator asks squeue")
            # Each answer would have to wait for squeue, and workers that hear nothing would be lost.
            for _ in range(5):
                self.assertIn("2 workers", self.run_program("status", timeout=5).stdout)
            self.wait_until(lambda: not processes_with("sleep 1000"), "squeue is given up")
            output = self.finish(run)
        self.assertEqual(output.count("submitted pilot"), 1, output)
        self.assertIn("could not be cancelled", output)
        self.assertEqual(self.query("select distinct cause from attempts"), [("succeeded",)])

    def test_the_pilot_of_a_killed_coordinator_is_taken_over(self):
        for _ in range(2):
            with self.run_study("--set", "cluster.nodes=2") as run:
                self.wait_for_attempts(1)
                self.wait_until(lambda: "2 workers" in self.run_program("status").stdout, "both workers")
                run.kill()
                run.communicate()
        pilots = self.pilots()
        self.assertEqual(len(pilots), 1)
        with self.run_study("--set", "cluster.nodes=2") as run:
            self.wait_until(lambda: "2 workers" in self.run_program("status").stdout, "both workers")
            self.assertEqual(self.pilots(), pilots)
            self.wait_until(lambda: "of an earlier coordinator" in self.run_program("status", "--json").stdout,
                            "Slurm's answer about the pilot")
            # Its pilots serve all studies, so one that asks for others is refused.
            other = self.run_program("run", "study.toml", "--set", "study.name=other", "--set", "cluster.nodes=2", "--set",
                                     "cluster.partition=none", expect=2).stderr
            self.assertIn("cluster.partition", other)
            output = self.finish(run)
        self.assertIn("of an earlier coordinator, Slurm job " + pilots[0], output)
        self.assertNotIn("submitted pilot", output)
        self.assertEqual(self.query("select distinct cause from attempts"), [("succeeded",)])
        self.wait_until(lambda: not self.pilots(), "the pilot is cancelled")

    def test_why_names_the_pilot_that_is_waited_for(self):
        with self.run_study("--set", "cluster.nodes=3") as run:
            ask = [ORCHESTRATE, "why", "1"]
            why = self.wait_until(lambda: "PartitionNodeLimit" in (said := subprocess.run(
                ask, cwd=self.folder, capture_output=True, text=True, timeout=60).stdout) and said)
            self.assertIn("Slurm job " + self.pilots()[0], why)
            self.assertIn("[cluster] nodes is more than the partition allows", why)
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=60)

    def test_a_step_that_is_cancelled_is_no_crash(self):
        with self.run_study("--set", "cluster.nodes=2", "--set", "study.seeds=1") as run:
            for number in (1, 2, 3):
                self.wait_until(lambda: list(self.folder.glob(f"begun-*-{number}")), f"attempt {number}")
                steps = subprocess.run(["squeue", "-h", "-s", "-o", "%i %j"], check=True, capture_output=True, text=True)
                step = [line.split()[0] for line in steps.stdout.splitlines() if "slurm-" in line]
                self.assertEqual(len(step), 1, steps.stdout)
                subprocess.run(["scancel", step[0]], capture_output=True)  # exits with 1 though it cancels it
            self.wait_until(lambda: list(self.folder.glob("begun-*-4")), "attempt 4")
            self.finish(run, jobs=1)
        ends = self.query("select cause, message from attempts where number <= 3")
        self.assertEqual([cause for cause, _ in ends], ["preempted"] * 3, ends)
        self.assertIn("Slurm says that its step was ended: CANCELLED", ends[0][1])
        self.assertEqual(self.query("select failures from jobs"), [(0,)])

    def test_work_is_saved_when_an_allocation_of_two_nodes_is_taken_back(self):
        with self.run_study("--set", "cluster.nodes=2") as run:
            self.wait_for_attempts(1)
            subprocess.run(["scancel", "--batch", "--signal=TERM", *self.pilots()], check=True)
            self.wait_for_attempts(2)
            self.finish(run)
        self.assertEqual(self.query("select cause, count(*) from attempts where number = 1 group by cause"),
                         [("preempted", 2)])
        self.assertEqual(self.query("select distinct resumed_attempt from attempts where number = 2"), [(1,)])


if __name__ == "__main__":
    main()
