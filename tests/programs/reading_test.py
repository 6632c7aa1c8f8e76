"""Users read a database while its coordinator works: what they ask is no work of its loop, and a coordinator that does
not answer is named. Counted work, not seconds."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "benchmarks"))
from large_database import add_study  # noqa: E402

from programs import ORCHESTRATE, PROGRAMS, ProgramTest, main, processes_with  # noqa: E402

STUDY = """
[study]
name = "waits"
[command]
run = ["sleep", "{x}"]
metrics = ["v"]
[parameters]
x = 1000
"""
# SQLite's count of what the loop's own connection ran while users read: its own commits and looks. The table below
# costs a hundred times as much.
LITTLE = 30_000


class ReadingTest(ProgramTest):
    def setUp(self):
        super().setUp()
        (self.folder / "waits.toml").write_text(STUDY)
        self.host = None

    def tearDown(self):
        if self.host and self.host.poll() is None:
            self.host.send_signal(signal.SIGCONT)
            self.host.kill()
            self.host.communicate(timeout=60)
        for process in processes_with(str(self.folder)):
            os.kill(process, signal.SIGKILL)
        super().tearDown()

    def start(self):
        self.host = subprocess.Popen([ORCHESTRATE, "run", "waits.toml", "--workers", "1"], cwd=self.folder,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.wait_until(lambda: any(worker["state"] == "busy" for worker in self.status().get("workers", [])),
                        "a busy worker")

    def status(self):
        reply = subprocess.run([ORCHESTRATE, "status", "--json"], cwd=self.folder, capture_output=True, text=True,
                               timeout=60)
        found = json.loads(reply.stdout) if reply.returncode == 0 and reply.stdout else {}
        return found if isinstance(found, dict) else {}

    def test_reading_is_no_work_of_the_loop(self):
        # Only the coordinator writes a database while it runs: this one makes it, and ends.
        (self.folder / "first.sh").write_text('echo "{\\"metrics\\": {\\"v\\": 1}}" > $ORCHESTRATE_METRICS\n')
        (self.folder / "first.toml").write_text('[command]\nrun = ["sh", "first.sh"]\nmetrics = ["v"]\n')
        self.run_program("run", "first.toml")
        with contextlib.closing(sqlite3.connect(self.database)) as database:
            add_study(database, "large", variants=400, seeds=10, epochs_of_first_job=1000)
        self.start()
        job = self.query("select min(job) from seed_result where study = 'large'")[0][0]
        self.run_program("table", "large")
        for command in (["table", "large"], ["table", "large", "--json"], ["table", "large", "--csv"],
                        ["jobs", "large"], ["jobs", "--json"], ["job", str(job)], ["why", str(job)], ["status"],
                        ["query", "select count(*) from job_overview"], ["collect"]):
            with self.subTest(command=command):
                before = self.status()["database_instructions"]
                self.run_program(*command)
                self.assertLess(self.status()["database_instructions"] - before, LITTLE)
        self.assertEqual(self.query("select count(*) from attempts where cause <> 'succeeded'"),
                         [(0,)])

    def test_a_coordinator_that_does_not_answer_is_named(self):
        self.start()
        self.host.send_signal(signal.SIGSTOP)
        done = self.run_program("status", expect=1)
        self.assertRegex(done.stderr, r"the coordinator does not answer \(for \d+ s\)")
        self.assertIn("waits", done.stdout)  # what the database says
        done = self.run_program("table", "waits")
        self.assertRegex(done.stderr, r"the coordinator does not answer \(for \d+ s\)")
        done = self.run_program("top", expect=1)
        self.assertRegex(done.stderr, r"the coordinator does not answer \(for \d+ s\)")
        done = self.run_program("pause", "waits", expect=1)
        self.assertRegex(done.stderr, r"the coordinator does not answer \(for \d+ s\)")
        self.host.send_signal(signal.SIGCONT)
        self.wait_until(self.status, "an answer")

    def test_a_follower_says_that_nothing_is_answered(self):
        self.start()
        follower = subprocess.Popen([ORCHESTRATE, "run", "waits.toml"], cwd=self.folder, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
        try:
            self.assertIn("following it", follower.stdout.readline())
            self.host.send_signal(signal.SIGSTOP)
            line = ""
            while "does not answer" not in line:
                line = follower.stdout.readline()
                self.assertTrue(line, "the follower has ended")
            self.host.send_signal(signal.SIGCONT)
            while "answers again" not in line:
                line = follower.stdout.readline()
                self.assertTrue(line, "the follower has ended")
        finally:
            follower.kill()
            follower.communicate(timeout=60)


if __name__ == "__main__":
    main()
