"""Users steer a real coordinator over TLS while workers that train nothing load it: two studies at once, submitted,
followed, left, paused, cancelled, tried again; workers drained; the host killed in the middle."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

from programs import ORCHESTRATE, PROGRAMS, ProgramTest, main, processes_with

STUDY = """
[study]
name = "{name}"
seeds = [{seeds}]

[data]
path = "tracks.csv"
label = "track_genre"
features = ["energy", "tempo"]

[train]
epochs = {epochs}

[[ablation]]
leave_one_out = ["energy"]
"""
# Longer than the test: what runs stays until it is stopped, unless the test lets it end.
ENDLESS = "2000000000"


class ControlTest(ProgramTest):
    def setUp(self):
        super().setUp()
        # The worker is looked for beside the program.
        self.program = self.folder / "orchestrate"
        shutil.copy(ORCHESTRATE, self.program)
        shutil.copy(PROGRAMS / "fake-worker", self.folder / "orchestrate-worker")
        self.run_program("sample-data", "--out", "tracks.csv", "--rows-per-genre", "20")
        self.started = []

    def tearDown(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=60)
        for worker in processes_with(str(self.folder)):
            os.kill(worker, signal.SIGKILL)
        super().tearDown()

    def write_study(self, name, seeds=3, epochs=2):
        numbers = ", ".join(str(seed) for seed in range(1, seeds + 1))
        (self.folder / f"{name}.toml").write_text(STUDY.format(name=name, seeds=numbers, epochs=epochs))

    def start(self, *arguments, longest_job=ENDLESS):
        environment = dict(os.environ, FAKE_WORKER_LONGEST_JOB=longest_job)
        process = subprocess.Popen([self.program, *arguments], cwd=self.folder, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, env=environment)
        self.started.append(process)
        return process

    def do(self, *arguments, expect=0):
        return self.run_program(*arguments, expect=expect, program=self.program, timeout=60)

    def json(self, *arguments):
        return json.loads(self.do(*arguments, "--json").stdout)

    def status(self):
        reply = subprocess.run([self.program, "status", "--json"], cwd=self.folder, capture_output=True, text=True,
                               timeout=60)
        found = json.loads(reply.stdout) if reply.returncode == 0 else {}
        return found if isinstance(found, dict) else {}

    def state_of(self, study):
        return {entry["study"]: entry["state"] for entry in self.status().get("studies", [])}.get(study)

    def busy(self):
        return [worker for worker in self.status().get("workers", []) if worker["state"] == "busy"]

    def in_state(self, state, study):
        return [job["job"] for job in self.json("jobs", study, "--state", state)]

    def begin_two(self, workers="3"):
        """A host with study a (two jobs), a follower of study b (six), all workers busy for good: one at study b."""
        self.write_study("a", seeds=1)
        self.write_study("b", seeds=3, epochs=3)
        host = self.start("run", "a.toml", "--workers", workers)
        self.wait_until(lambda: self.state_of("a") == "running", "study a")
        follower = self.start("run", "b.toml")
        self.wait_until(lambda: self.state_of("b") == "running" and len(self.busy()) == int(workers), "study b")
        return host, follower

    def test_a_paused_study_lends_what_it_shares(self):
        """Whichever of two studies is paused, the one that was there first or the one that came, the other gets on."""
        self.write_study("a", seeds=12)
        (self.folder / "b.toml").write_text(STUDY.format(name="b", seeds="10, 11, 12, 13, 14, 15, 16, 17", epochs=2))
        for paused, other, jobs in (("a", "b", 16), ("b", "a", 24)):
            with self.subTest(paused=paused):
                for file in self.folder.glob("results.db*"):
                    file.unlink() if file.is_file() else shutil.rmtree(file)
                host = self.start("run", "a.toml", "--workers", "1", longest_job="200")
                self.wait_until(lambda: self.state_of("a") == "running" and self.busy(), "study a")
                follower = self.start("run", "b.toml")
                self.wait_until(lambda: self.state_of("b") == "running", "study b")
                self.do("pause", paused)
                self.wait_until(lambda: len(self.in_state("succeeded", other)) == jobs, f"the end of study {other}")
                self.assertGreater(len(self.in_state("waiting", paused)), 5)
                self.do("resume", paused)
                for run in (host, follower):
                    output = run.communicate(timeout=60)[0]
                    self.assertEqual(run.returncode, 0, output)
                self.assertEqual(
                    self.query("select count(*), count(distinct job_id) from attempts where cause = 'succeeded'"),
                    [(34, 34)])

    def test_people_steer_what_runs(self):
        host, follower = self.begin_two()
        # The same again follows; leaving it lets it go on.
        again = self.start("run", "b.toml")
        said = again.stdout.readline()
        self.assertIn("is running already", said)
        while "2 variants" not in said:  # told once it watches for Ctrl-C
            said = again.stdout.readline()
            self.assertTrue(said, self.logs())
        again.send_signal(signal.SIGINT)
        output = again.communicate(timeout=60)[0]
        self.assertEqual(again.returncode, 0, output)
        self.assertIn("detached", output)
        self.assertEqual(self.state_of("b"), "running")
        # With another text it is not the same.
        self.write_study("b", seeds=4, epochs=3)
        self.assertIn("another text", self.do("run", "b.toml", expect=2).stderr)
        self.write_study("b", seeds=3, epochs=3)
        # An error shows where it is made, before anything is sent.
        (self.folder / "c.toml").write_text(STUDY.format(name="c", seeds="1", epochs=2).replace("epochs", "epoch"))
        self.assertRegex(self.do("run", "c.toml", expect=2).stderr, r"c\.toml:\d+:\d+: error")
        self.assertIsNone(self.state_of("c"))

        waiting = self.in_state("waiting", "b")
        why = self.do("why", str(waiting[-1])).stdout
        self.assertRegex(why, r"busy; \d+ jobs are ahead of it")
        self.assertIn("paused study b", self.do("pause", "b").stdout)
        self.assertEqual(self.query("select paused from studies where name = 'b'"), [(1,)])
        self.assertIn("its study is paused", self.do("why", str(waiting[-1])).stdout)
        self.assertIn("paused already", self.do("pause", "b", expect=2).stderr)
        self.assertIn("there is no study 'bb'", self.do("resume", "bb", expect=2).stderr)

        # A job that waits, and one that runs.
        self.do("cancel", str(waiting[-1]))
        self.assertEqual(self.query(f"select state from jobs where id = {waiting[-1]}"), [("cancelled",)])
        self.assertIn("cancelled by a user", self.do("why", str(waiting[-1])).stdout)
        running = self.in_state("running", "b")[0]
        self.assertIn("it was running", self.do("cancel", str(running)).stdout)
        self.assertEqual(self.query(f"select state from jobs where id = {running}"), [("cancelled",)])
        self.assertEqual(self.query(f"select cause from attempts where job_id = {running}"), [("cancelled",)])
        details = self.json("job", str(running))
        self.assertEqual(details["attempts"][0]["cause"], "cancelled")
        without = [job for job in self.json("jobs", "b") if "without energy" in job["title"]][0]["job"]
        self.assertEqual([entry["field"] for entry in self.json("job", str(without))["differences"]],
                         ["data.features"])
        # Its worker idles: the study is paused.
        self.wait_until(lambda: len(self.busy()) == 2, "the worker's end of it")
        self.assertEqual(self.in_state("running", "b"), [])

        self.assertIn("2 jobs of study b wait again", self.do("retry", "b").stdout)
        self.assertIn("only what has failed", self.do("retry", str(running), expect=2).stderr)
        self.do("resume", "b")
        self.assertEqual(self.state_of("b"), "running")

        # A worker is asked to leave after its job; cancelled, that ends at once.
        worker = self.busy()[0]
        self.assertIn("did you mean", self.do("drain", worker["name"] + "0", expect=2).stderr)
        self.do("drain", worker["name"])
        self.assertTrue([entry for entry in self.status()["workers"] if entry["draining"]])
        self.do("cancel", str(worker["job"]))
        self.wait_until(lambda: worker["name"] not in [entry["name"] for entry in self.status()["workers"]],
                        "the drained worker's end")
        # Whoever fills a place does so as soon as it is empty.
        log = (self.folder / "results.db.d/logs/coordinator.log").read_text()
        self.assertEqual(log.count("starting worker"), 3, "its place was filled again")

        self.watch_top()
        self.assertIn("a / ablation", self.do("top").stdout)

        # From another host only the access file is needed.
        access = self.folder / "results.db.d/access.json"
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir()
        seen = subprocess.run([self.program, "jobs", "b", "--json", "--access", access], cwd=elsewhere,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(len(json.loads(seen.stdout)), 6, seen.stderr)
        # A worker's token opens none of this.
        worker_access = self.folder / "results.db.d/worker-access.json"
        refused = self.do("cancel", "b", "--access", worker_access, expect=2)
        self.assertIn("token", refused.stderr)
        self.assertEqual(self.state_of("b"), "running")

        self.assertIn("cancelled study b", self.do("cancel", "b").stdout)
        output = follower.communicate(timeout=60)[0]
        self.assertEqual(follower.returncode, 1, output)
        self.assertIn("was cancelled", output)
        self.do("cancel", "a")
        output = host.communicate(timeout=60)[0]
        self.assertEqual(host.returncode, 1, output + self.logs())
        self.assertEqual(self.query("select count(*) from jobs where state <> 'cancelled'"), [(0,)])
        self.assertEqual(self.query("select distinct state from studies"), [("cancelled",)])

    def watch_top(self):
        """On a terminal of 80 columns it fills the screen, and q leaves it as it was."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        top = subprocess.Popen([self.program, "top"], cwd=self.folder, stdin=follower, stdout=follower,
                               stderr=follower)
        self.started.append(top)
        os.close(follower)
        screen = b""
        deadline = time.monotonic() + 30
        while b"q leaves" not in screen:
            self.assertLess(time.monotonic(), deadline, screen)
            if select.select([leader], [], [], 0.2)[0]:
                screen += os.read(leader, 65536)
        os.write(leader, b"q")
        while top.poll() is None:
            self.assertLess(time.monotonic(), deadline, screen)
            if select.select([leader], [], [], 0.2)[0]:
                try:
                    screen += os.read(leader, 65536)
                except OSError:
                    break  # nobody has the other end any more
        top.wait(timeout=30)
        os.close(leader)
        self.assertEqual(top.returncode, 0)
        text = screen.decode()
        self.assertIn("\x1b[?1049h", text)
        self.assertIn("\x1b[?1049l", text)
        first = text.split("\x1b[H", 1)[1].split("\x1b[J", 1)[0]
        lines = re.sub(r"\x1b\[[0-9?]*[A-Za-z]|\r", "", first).split("\n")
        self.assertLessEqual(len(lines), 24)
        for line in lines:
            self.assertLess(len(line), 80, line)
        self.assertIn("b / ablation", first)

    def test_a_killed_host_loses_nothing_that_was_said(self):
        host, follower = self.begin_two()
        cancelled = self.in_state("waiting", "b")[-1]
        self.do("cancel", str(cancelled))
        self.do("pause", "b")
        host.kill()
        host.communicate(timeout=60)
        output = follower.communicate(timeout=60)[0]
        self.assertEqual(follower.returncode, 1, output)
        self.assertIn("kept in its database", output)
        self.assertEqual(self.query("select name, state, paused from studies order by name"),
                         [("a", "running", 0), ("b", "running", 1)])
        # Nobody has the database: it is read and changed itself.
        self.assertIn("was cancelled by a user", self.do("why", str(cancelled)).stdout)
        self.assertIn("its study is paused", self.do("why", str(self.in_state("waiting", "b")[0])).stdout)
        self.assertIn("no workers to drain", self.do("drain", "local-1", expect=2).stderr)
        self.assertIn("no coordinator has the database", self.do("retry", str(cancelled)).stdout)
        self.do("cancel", str(cancelled))
        for worker in processes_with(str(self.folder)):
            os.kill(worker, signal.SIGKILL)  # they would go on with their endless jobs
        # The next run of one of them goes on with both; b is paused still, and the cancelled job stays so.
        host = self.start("run", "a.toml", "--workers", "2", longest_job="50")
        self.wait_until(lambda: self.state_of("b") == "paused", "study b")
        self.wait_until(lambda: self.state_of("a") == "finished", "the end of a")
        self.do("resume", "b")
        output = host.communicate(timeout=120)[0]
        self.assertEqual(host.returncode, 0, output + self.logs())
        self.assertIn("goes on also with: b", output)
        self.assertEqual(self.query("select id from jobs where state <> 'succeeded'"), [(cancelled,)])
        self.assertEqual(self.query("select name, state from studies order by name"),
                         [("a", "finished"), ("b", "finished")])
        # On a database that nobody has, what was cancelled is asked for again and trained.
        self.assertIn("orchestrate resume b", self.do("retry", "b").stdout)
        self.assertIn("goes on", self.do("why", str(cancelled)).stdout)
        self.assertEqual(self.json("jobs", "b", "--state", "waiting")[0]["job"], cancelled)
        resumed = self.start("resume", longest_job="50")
        output = resumed.communicate(timeout=120)[0]
        self.assertEqual(resumed.returncode, 0, output + self.logs())
        self.assertEqual(self.query("select count(*) from jobs where state <> 'succeeded'"), [(0,)])
        self.assertIn("nothing is unfinished", self.do("resume").stdout)

    def test_serve_waits_for_studies_and_ctrl_c_interrupts_all(self):
        self.write_study("a", seeds=1)
        self.write_study("b", seeds=2, epochs=3)
        server = self.start("serve", "--workers", "2", longest_job="50")
        self.wait_until(lambda: self.status(), "the coordinator")
        refused = self.do("run", "a.toml", "--set", "cluster.kind=slurm", expect=2).stderr
        self.assertIn("--reachable", refused)  # nodes could not connect
        self.assertIn("a, stage ablation", self.do("run", "a.toml").stdout)
        self.assertIn("b, stage ablation", self.do("run", "b.toml").stdout)
        self.assertIsNone(server.poll())
        self.write_study("c", seeds=30, epochs=4)
        follower = self.start("run", "c.toml")
        self.wait_until(lambda: self.state_of("c") == "running", "study c")
        server.send_signal(signal.SIGINT)
        output = server.communicate(timeout=60)[0]
        self.assertEqual(server.returncode, 0, output + self.logs())
        output = follower.communicate(timeout=60)[0]
        self.assertEqual(follower.returncode, 130, output)
        self.assertEqual(self.query("select name, state from studies order by name"),
                         [("a", "finished"), ("b", "finished"), ("c", "interrupted")])


if __name__ == "__main__":
    main()
