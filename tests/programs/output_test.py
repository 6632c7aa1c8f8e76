"""What commands write, and what they do when it cannot be written: full disks, readers that leave, terminals of all kinds.
One study of commands is run; nothing is trained."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios

from programs import ORCHESTRATE, ProgramTest, main

# Reports numbers that few digits do not tell.
JOB = r"""
import json, os
print("\x1b[2Jm\u00fcller\x07")
with open(os.environ["ORCHESTRATE_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"metrics": {"tiny": 5e-324, "huge": 1.7976931348623157e308}}) + "\n")
"""
STUDY = """
[study]
seeds = 1
[command]
run = ["python3", "job.py"]
files = ["job.py"]
metrics = ["tiny", "huge"]
"""
COMMANDS = (["table"], ["table", "--csv"], ["query", "select 1"], ["query", "--json", "select 1"], ["jobs"], ["job", "1"],
            ["why", "1"], ["status"], ["logs", "1"], ["logs", "1", "--json"], ["logs", "1", "--paths"], ["schema"],
            ["explain", "train.epochs"], ["plan", "study.toml"], ["plan", "study.toml", "--tree"], ["diff", "s", "s"],
            ["sample-data"], ["collect"], ["run", "study.toml"], ["--help"], ["--version"], ["run", "--help"])
MANY_ROWS = "with recursive n(i) as (select 1 union all select i + 1 from n limit 300000) select i from n"


class OutputTest(ProgramTest):
    def setUp(self):
        super().setUp()
        (self.folder / "study.toml").write_text(STUDY.replace("[study]", '[study]\nname = "s"'))
        (self.folder / "job.py").write_text(JOB)
        self.run_program("run", "study.toml")

    def on_terminal(self, *arguments, columns=80, term="xterm", expect=0, **variables):
        """What a command writes to a terminal."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24 if columns else 0, columns, 0, 0))
        environment = {**os.environ, "TERM": term, **variables}
        program = subprocess.Popen([ORCHESTRATE, *arguments], cwd=self.folder, env=environment, stdin=theirs,
                                   stdout=theirs, stderr=theirs)
        os.close(theirs)
        output = b""
        try:
            while part := os.read(ours, 65536):
                output += part
        except OSError:  # the end of a terminal
            pass
        os.close(ours)
        self.assertEqual(program.wait(timeout=60), expect, output)
        return output.decode().replace("\r\n", "\n")

    def test_output_on_a_full_disk_is_an_error(self):
        for arguments in COMMANDS:
            with open("/dev/full", "w") as full:
                done = subprocess.run([ORCHESTRATE, *arguments], cwd=self.folder, stdout=full, stderr=subprocess.PIPE,
                                      text=True, timeout=60)
            self.assertEqual(done.returncode, 1, f"{arguments}: {done.stderr}")
            self.assertIn("cannot write the output: No space left on device", done.stderr, arguments)
        with open("/dev/full", "w") as full:
            done = subprocess.run([ORCHESTRATE, "query", MANY_ROWS], cwd=self.folder, stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No space left on device", done.stderr)

    def test_a_closed_standard_output_is_an_error(self):
        done = subprocess.run(["sh", "-c", f'exec "{ORCHESTRATE}" jobs >&-'], cwd=self.folder, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("cannot write the output", done.stderr)

    def test_a_reader_that_leaves_is_no_error(self):
        for restore_signals in (True, False):  # with SIGPIPE as usual, and ignored
            program = subprocess.Popen([ORCHESTRATE, "query", MANY_ROWS], cwd=self.folder, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, restore_signals=restore_signals)
            self.assertIn("i", program.stdout.readline())
            program.stdout.close()
            self.assertEqual(program.stderr.read(), "")
            program.stderr.close()
            self.assertIn(program.wait(timeout=60), (0, -signal.SIGPIPE))

    def test_following_a_log_ends_when_it_cannot_be_written(self):
        (self.folder / "talks.py").write_text("""
import json, os, pathlib, time
while not pathlib.Path("FOLDER/go").exists():
    print("still here", flush=True)
    time.sleep(0.02)
with open(os.environ["ORCHESTRATE_METRICS"], "a") as metrics:
    metrics.write(json.dumps({"metrics": {"tiny": 1, "huge": 1}}) + "\\n")
""".replace("FOLDER", str(self.folder)))
        (self.folder / "talks.toml").write_text(STUDY.replace("job.py", "talks.py"))
        follow = [ORCHESTRATE, "logs", "-f", "2"]
        with self.started(ORCHESTRATE, "run", "talks.toml") as run:
            self.wait_until(lambda: self.query("select 1 from attempts where job_id = 2"), "the job runs")
            with open("/dev/full", "w") as full:
                done = subprocess.run(follow, cwd=self.folder, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("No space left on device", done.stderr)
            for restore_signals in (True, False):
                program = subprocess.Popen(follow, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                           text=True, restore_signals=restore_signals)
                self.assertIn("attempt 1", program.stdout.readline())
                program.stdout.close()
                self.assertEqual(program.stderr.read(), "")
                program.stderr.close()
                self.assertIn(program.wait(timeout=60), (0, -signal.SIGPIPE))
            (self.folder / "go").touch()
            output, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, output + self.logs())

    def test_a_job_does_not_control_the_terminal(self):
        # By whatever writes into the log, past what its worker makes of it.
        with open(self.run_program("logs", "1", "--paths").stdout.strip(), "ab") as log:
            log.write(b"\x1b[2Jmischief\x07\xff no line end")
        shown = self.on_terminal("logs", "1")
        self.assertNotIn("\x1b", shown)
        self.assertNotIn("\x07", shown)
        self.assertIn("müller", shown)
        self.assertTrue(shown.endswith("\\x1b[2Jmischief\\x07\ufffd no line end\n"), shown[-100:])
        piped = subprocess.run([ORCHESTRATE, "logs", "1"], cwd=self.folder, capture_output=True, check=True).stdout
        self.assertTrue(piped.endswith(b"\x1b[2Jmischief\x07\xff no line end\n"))  # as it is
        errors = self.on_terminal("jobs", "--state", "\x1b[2Jx", expect=2) + self.on_terminal("job", "\x1b[2Jx", expect=2)
        self.assertNotIn("\x1b", errors)

    def test_a_dumb_terminal_gets_no_escape_sequences(self):
        for term in ("dumb", ""):
            (self.folder / "job.py").write_text(JOB + f"# {term}\n")
            for arguments in (["run", "study.toml"], ["status"], ["table"], ["jobs"]):
                self.assertNotIn("\x1b", self.on_terminal(*arguments, term=term), arguments)

    def test_a_terminal_of_any_width_is_borne(self):
        for columns in (1, 2, 3, 5, 20):
            (self.folder / "job.py").write_text(JOB + f"# {columns}\n")
            self.on_terminal("run", "study.toml", columns=columns)
            for arguments in (["status"], ["table"], ["jobs"], ["job", "1"], ["query", "select 'a long text' as t"]):
                self.on_terminal(*arguments, columns=columns)
        # A terminal that does not know its size.
        text = self.on_terminal("query", "select hex(zeroblob(100)) || 'end' as x", columns=0, COLUMNS="40")
        self.assertLessEqual(max(map(len, text.splitlines())), 40)

    def test_numbers_are_exact(self):
        for option in ("--csv", "--json"):
            text = self.run_program("query", option, "select value from job_metrics order by 1").stdout
            self.assertIn("5e-324", text)
            self.assertIn("1.7976931348623157e+308", text)

    def test_logs_say_what_is_not_there(self):
        self.assertIn("no log of attempt 7: it has 1 attempt", self.run_program("logs", "1", "--attempt", "7", expect=2).stderr)
        self.assertIn("no log of attempt 7", self.run_program("logs", "1", "--attempt", "7", "--paths", expect=2).stderr)
        for pair in (("--follow", "--json"), ("--follow", "--paths"), ("--follow", "--attempt=1"), ("--paths", "--json")):
            self.run_program("logs", "1", *pair, expect=2)
        os.remove(self.run_program("logs", "1", "--paths").stdout.strip())
        self.assertIn("cannot be read here", self.run_program("logs", "1", expect=1).stdout)


if __name__ == "__main__":
    main()
