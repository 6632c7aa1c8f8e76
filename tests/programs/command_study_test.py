"""Studies whose jobs are commands: searched, ablated, killed, gone on with, compared; and what is said when they fail."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from programs import ORCHESTRATE, SOURCE, ProgramTest, main, processes_with

EXPERIMENTS = SOURCE / "experiments"

# Three epochs of half a second in steps; says what it did to a file that all attempts share.
SLOW = """
import json, os, pathlib, signal, sys, time
config = json.loads(pathlib.Path(os.environ["ORCHESTRATE_CONFIG"]).read_text())
metrics = open(os.environ["ORCHESTRATE_METRICS"], "a", buffering=1)
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
resume = os.environ["ORCHESTRATE_RESUME"]
done = int(pathlib.Path(resume, "epoch").read_text()) if resume else 0
with open("history", "a") as history:
    history.write(f"{os.environ['ORCHESTRATE_JOB']} {os.environ['ORCHESTRATE_ATTEMPT']} from {done}\\n")
for epoch in range(done + 1, 4):
    for step in range(10):
        time.sleep(0.05)
        metrics.write(json.dumps({"step": epoch * 10 + step, "steps": 40}) + "\\n")
        if ending:
            sys.exit(75)
    metrics.write(json.dumps({"epoch": epoch, "metrics": {"score": epoch / 10}}) + "\\n")
    part = pathlib.Path(os.environ["ORCHESTRATE_CHECKPOINTS"], "epoch.part")
    part.write_text(str(epoch))
    part.rename(part.with_suffix(""))
score = config["parameters"]["rate"] + config["seed"] / 100
metrics.write(json.dumps({"metrics": {"score": score}}) + "\\n")
"""

STUDY = """
[study]
seeds = [1, 2]
[command]
run = ["python3", "slow.py"]
files = ["slow.py"]
metrics = ["score"]
[parameters]
rate = 0.5
[[ablation]]
sweep = { rate = [0.25] }
"""


class CommandStudyTest(ProgramTest):
    patience_seconds = 40

    def write(self, study=STUDY, script=SLOW):
        (self.folder / "study.toml").write_text(study)
        (self.folder / "slow.py").write_text(script)

    def start(self, *arguments):
        return subprocess.Popen([ORCHESTRATE, "run", "study.toml", "--heartbeat", "0.5", *arguments],
                                cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                stdin=subprocess.DEVNULL)

    def checkpoints(self):
        return list((self.folder / "results.db.d/checkpoints").glob("job-*/attempt-*/epoch"))

    def check_results(self):
        self.assertEqual(self.query("select variant, seed_index, round(value, 4), round(difference, 4) "
                                    "from metric_result where part = 'test'"),
                         [("baseline", 0, 0.51, None), ("baseline", 1, 0.52, None),
                          ("rate 0.25", 0, 0.26, -0.25), ("rate 0.25", 1, 0.27, -0.25)])
        self.assertEqual(self.query("select distinct epoch, value from metric_curve where variant = 'baseline' order by 1"),
                         [(1, 0.1), (2, 0.2), (3, 0.3)])

    def test_what_a_killed_coordinator_has_left_is_not_said_to_run(self):
        self.write()
        run = self.start("--workers", "1")
        self.wait_until(self.checkpoints, "no checkpoint")
        run.kill()
        run.communicate()
        words = "no coordinator is running, so nothing runs here at the moment; orchestrate resume study goes on"
        for command in (["status"], ["table"], ["jobs"], ["job", "1"], ["status", "--json"], ["table", "--csv"]):
            done = self.run_program(*command)
            self.assertIn(words, done.stderr, command)
            self.assertNotIn(words, done.stdout)
        json.loads(self.run_program("status", "--json").stdout)
        self.assertIn("no coordinator is running; 1 job that ran when it ended begins again with orchestrate resume",
                      self.run_program("pause", "study").stdout)
        self.run_program("resume", "study", "--heartbeat", "0.5")
        self.assertNotIn("no coordinator", self.run_program("status").stderr)

    def test_differences_that_do_not_vary_promise_nothing(self):
        (self.folder / "study.toml").write_text("""
            study = { seeds = 2 }
            [command]
            run = ["sh", "-c", "echo '{{\\"metrics\\":{{\\"v\\":{x}.1}}}}' > $ORCHESTRATE_METRICS"]
            metrics = ["v"]
            [parameters]
            x = 1
            [[ablation]]
            sweep = { x = [2] }
            """)
        self.assertIn("study, stage ablation, 2 variants", self.run_program("run", "study.toml").stdout)
        for arguments in ([], ["--difference", "0.5"]):
            plan = " ".join(self.run_program("plan", "study.toml", *arguments).stdout.split())
            self.assertIn("those measured so far do not vary from seed to seed (2 differences of 1 variant of this study)", plan)
            self.assertNotIn("needed", plan)
        plan = self.run_program("plan", "study.toml", "--difference", "0.5", "--spread", "1e-300").stdout
        self.assertIn("for 0.5: 2 pairs needed", plan)

    def test_the_best_of_a_search_is_said_once(self):
        (self.folder / "study.toml").write_text("""
            study = { seeds = 1 }
            [command]
            run = ["sh", "-c", "echo '{{\\"metrics\\":{{\\"v\\":{x}}}}}' > $ORCHESTRATE_METRICS; echo '{{\\"part\\":\\"validation\\",\\"metrics\\":{{\\"v\\":{x}}}}}' > $ORCHESTRATE_METRICS"]
            metrics = ["v"]
            [parameters]
            x = 1
            y = 1
            [search]
            method = "grid"
            seeds = [1]
            select_by = "validation v"
            [search.space]
            x = [1, 2]
            [[ablation]]
            sweep = { y = [2] }
            [stages.second]
            [[ablation]]
            stage = "second"
            sweep = { y = [3] }
            """)
        done = self.run_program("run", "study.toml")
        self.assertEqual(done.stdout.count("best of search: "), 1, done.stdout)
        self.assertIn("second: 2 variants, 2 jobs, 1 already done", done.stdout)

    def test_a_command_that_stands_still_leaves_nothing_behind(self):
        """Its worker is killed with all that it has started, and the files in memory that it had for the command go too."""
        (self.folder / "study.toml").write_text("""
            study = { seeds = 1, progress_timeout = 1 }
            [command]
            run = ["sh", "-c", "test $ORCHESTRATE_ATTEMPT != 1 || kill -STOP $PPID $$; echo '{{\\"metrics\\":{{\\"v\\":1}}}}' > $ORCHESTRATE_METRICS"]
            metrics = ["v"]
            """)
        self.run_program("run", "study.toml", "--workers", "1", "--heartbeat", "0.3")
        self.assertEqual(self.query("select cause from attempts order by number"), [("worker_crashed",), ("succeeded",)])
        workers = [str(process) for (process,) in self.query("select process_id from workers")]

        def left():
            return [path for path in pathlib.Path("/dev/shm").glob("orchestrate-command-*")
                    if path.name.split("-")[3] in workers]
        self.wait_until(lambda: not left(), "files of commands are left")
        self.assertEqual(processes_with(f"{self.folder}/"), [])

    def test_the_shipped_example(self):
        for name in ("any-command.toml", "any_command.py", "sample-tracks.csv"):
            shutil.copy(EXPERIMENTS / name, self.folder)
        done = self.run_program("run", "any-command.toml", timeout=200)
        self.assertIn("best of search:", done.stdout)
        self.assertRegex(done.stdout, r"variant +accuracy +loss +difference +jobs")
        self.assertIn("Difference: accuracy minus the baseline's with the same seed; higher is better.",
                      done.stdout.replace("\n  ", " "))
        rows = [line for line in done.stdout.splitlines() if re.match(r".*[0-9] ±.*[0-9]/[0-9]$", line)]
        self.assertLessEqual(max(map(len, rows)), 80)
        values = dict(self.query("select variant, value from metric_comparison where stage = 'ablation' "
                                 "and part = 'test' and metric = 'accuracy'"))
        self.assertEqual(len(values), 15)
        self.assertGreater(values["baseline"], 0.6)  # 8 genres; guessing has 0.125
        self.assertLess(values["sound alone"], values["baseline"])
        # The best trial has the least validation loss.
        best, = self.query("select variant from metric_comparison where stage = 'search' and part = 'validation' "
                           "and metric = 'loss' order by value limit 1")
        self.assertIn(f"best of search: {best[0]} ", done.stdout)
        # Nothing is run twice.
        attempts = self.query("select count(*) from attempts")
        self.assertIn("already done", self.run_program("run", "any-command.toml").stdout)
        self.assertEqual(self.query("select count(*) from attempts"), attempts)
        rows = json.loads(self.run_program("table", "any-command", "--json").stdout)["rows"]
        self.assertEqual({row["metric"] for row in rows}, {"accuracy", "loss"})
        self.assertRegex(" ".join(self.run_program("plan", "any-command.toml").stdout.split()),
                         r"with 3 pairs a paired t-test .* finds [0-9.]+ of accuracy in 4 of 5 cases; spread of a "
                         r"difference [0-9.]+ \(42 differences of 14 variants of this study\)")
        notes = self.run_program("table", "any-command").stdout.rpartition("─")[2].partition("\n\n")[2]
        self.assertIn("higher is better", " ".join(notes.split()))
        self.assertLessEqual(max(map(len, notes.splitlines())), 80)
        job, accuracy = self.query("select job_id, value from job_metrics join variant_jobs using (job_id) join variants "
                                   "on variants.id = variant_id where part = 'test' and job_metrics.name = 'accuracy' "
                                   "and variants.name = 'without energy' limit 1")[0]
        told = self.run_program("job", str(job)).stdout
        self.assertRegex(told, rf"accuracy +\S+ +{accuracy:.4f}\n")
        self.assertIn('command.parameters.features: without "energy"\n', told)
        self.assertRegex(self.run_program("jobs").stdout, rf"time +accuracy\n")
        self.assertIn({"metric": "accuracy", "value": accuracy},
                      [{key: row[key] for key in ("metric", "value")}
                       for row in json.loads(self.run_program("jobs", "--json").stdout) if row["job"] == job])

    def test_ctrl_c_and_going_on(self):
        self.write()
        run = self.start("--workers", "2")
        self.wait_until(self.checkpoints, "no checkpoint")
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 130, output + self.logs())
        self.assertIn(("preempted",), self.query("select distinct cause from attempts"))
        self.assertEqual(processes_with(f"{self.folder}/"), [])
        self.run_program("run", "study.toml", "--workers", "2")
        self.check_results()
        resumed = [line for line in (self.folder / "history").read_text().splitlines() if not line.endswith(" 0")]
        self.assertTrue(resumed, "nothing went on from a checkpoint")
        self.assertTrue(self.query("select 1 from attempts where resumed_attempt is not null"))
        self.assertEqual(self.checkpoints(), [], "checkpoints of finished jobs are left")

    # Neither the commands nor what they had done is lost with a worker or the coordinator that is killed.
    def test_killed_workers_and_coordinator(self):
        self.write()
        run = self.start("--workers", "2")
        self.wait_until(self.checkpoints, "no checkpoint")
        worker = next(p for p in processes_with(f"{self.folder}/results.db.d/worker-access.json"))
        os.kill(worker, signal.SIGKILL)
        self.wait_until(lambda: self.query("select 1 from attempts where cause = 'worker_crashed'"), "not noticed")
        run.kill()
        run.communicate()
        self.run_program("run", "study.toml", "--workers", "2", timeout=200)
        self.check_results()
        self.wait_until(lambda: not processes_with("slow.py"), "a command is left")

    def test_failures_are_explained(self):
        self.write(script="import sys\nprint('Traceback: no such column', file=sys.stderr)\nsys.exit(2)\n")
        done = self.run_program("run", "study.toml", "--set", "study.seeds=1", expect=1)
        self.assertIn("user_error, the command ended with exit code 2", done.stdout)
        message, = self.query("select distinct message from attempts")
        self.assertIn("Traceback: no such column", message[0])
        self.assertEqual(self.query("select max(number) from attempts"), [(1,)], "an error was tried again")
        log = next((self.folder / "results.db.d/logs").glob("job-1-*.log")).read_text()
        self.assertIn("! Traceback: no such column", log)

    def test_a_missing_metric_is_explained(self):
        self.write(script="import os\nopen(os.environ['ORCHESTRATE_METRICS'], 'a').write('{\"metrics\": {\"scor\": 1}}')\n")
        self.run_program("run", "study.toml", "--set", "study.seeds=1", expect=1)
        (message,), = self.query("select distinct message from attempts")
        self.assertIn("the metric 'test score' was not reported; reported: test scor", message)

    def test_a_changed_script_is_other_jobs(self):
        quick = SLOW.replace("range(done + 1, 4)", "range(0)")
        self.write(script=quick)
        self.run_program("run", "study.toml")
        self.write(script=quick + "\n# changed\n")
        self.assertIn("jobs", self.run_program("run", "study.toml").stdout)
        self.assertEqual(self.query("select count(*) from jobs"), [(8,)])

    def test_width_is_slots(self):
        self.write(script=SLOW.replace("range(done + 1, 4)", "range(0)").replace(
            'config["seed"] / 100', 'int(os.environ["ORCHESTRATE_RANKS"])'))
        self.run_program("run", "study.toml", "--workers", "2", "--set", "study.ranks=2")
        self.assertEqual(self.query("select distinct value from metric_result where variant = 'baseline'"), [(2.5,)])
        self.assertEqual(self.query("select distinct ranks from attempts"), [(2,)])

    def test_a_silent_command_is_ended(self):
        self.write(script="import time\ntime.sleep(1000)\n")
        run = self.start("--workers", "1", "--set", "study.progress_timeout=1", "--set", "study.seeds=1")
        try:
            self.wait_until((self.folder / "results.db.d/worker-access.json").exists, "no coordinator")
            self.wait_until(lambda: self.query("select 1 from attempts where cause = 'worker_crashed'"), "not ended")
            (message,), *_ = self.query("select message from attempts where cause = 'worker_crashed'")
            self.assertIn("made no progress for 1 s", message)
        finally:
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=60)
        self.wait_until(lambda: not processes_with("slow.py"), "a command is left")

    def test_plan_says_what_would_run(self):
        self.write()
        plan = self.run_program("plan", "study.toml").stdout
        self.assertIn("command: python3 slow.py", plan)
        self.assertIn("4 jobs in all", plan)
        self.assertIn("differences: how small ones can be found is unknown", plan)
        given = self.run_program("plan", "study.toml", "--spread", "0.02", "--difference", "0.05").stdout
        # Two pairs find differences of 11.5 standard deviations with a power of 80 %, as with any study.
        smallest = float(re.search(r"finds ([0-9.]+) of score in 4 of 5", " ".join(given.split()))[1])
        self.assertAlmostEqual(smallest, 0.02 * 11.5, delta=0.01)
        self.assertRegex(given, r"for 0\.05: [0-9] pairs needed\n")
        self.assertRegex(self.run_program("explain", "command.run").stdout, "The program and its arguments")


if __name__ == "__main__":
    main()
