"""What the tests of whole programs share: starting orchestrate, reading its database, skipping with a reason."""

import contextlib
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else SOURCE / "build/release/bin").resolve()
ORCHESTRATE = PROGRAMS / "orchestrate"
WORKER = PROGRAMS / "orchestrate-worker"
DATA = pathlib.Path(os.environ.get("ORCHESTRATE_DATA", SOURCE.parent / "shared/data"))
QUICKSTART = SOURCE / "experiments/quickstart.toml"


def real_tracks():
    """--set arguments that name the real tracks and RoBERTa's vocabulary, or skips the whole program."""
    tracks, vocabulary = DATA / "spotify-tracks.csv.gz", DATA / "roberta"
    if not tracks.exists() or not (vocabulary / "vocab.json").exists():
        skip(f"the real tracks are not here: set ORCHESTRATE_DATA to a folder with {tracks.name} and roberta/")
    return ["--set", f"data.path={tracks}", "--set", f"tokenizer.vocabulary={vocabulary}"]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


class ProgramTest(unittest.TestCase):
    """A test with a folder of its own, in which the programs run."""

    patience_seconds = 60  # with what is waited for

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="orchestrate-programs-", dir=self.base_folder()))
        self.database = self.folder / "results.db"

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def base_folder(self):
        return None  # the system's folder for temporary files

    def run_program(self, *arguments, expect=0, timeout=120, program=ORCHESTRATE):
        """Runs a program to its end in the test's folder; fails on another exit code than `expect`."""
        done = subprocess.run([program, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, expect, f"{arguments}\n{done.stdout}\n{done.stderr}{self.logs()}")
        return done

    @contextlib.contextmanager
    def started(self, *command, environment=None):
        """A program that runs in the test's folder; killed if the test leaves it."""
        run = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        try:
            yield run
        finally:
            if run.poll() is None:
                run.kill()
                run.communicate()

    def wait_until(self, condition, what="what was waited for", seconds=None):
        """Polls until a condition on the outside world holds; gives what it found."""
        deadline = time.monotonic() + (seconds or self.patience_seconds)
        while not (found := condition()):
            self.assertLess(time.monotonic(), deadline, f"not in time: {what}\n{self.logs()}")
            time.sleep(0.01)
        return found

    def logs(self):
        """The logs of coordinator and workers, for the message of a failed test."""
        folder = self.folder / "results.db.d/logs"
        texts = [f"\n==> {file.name}\n{file.read_text()[-3000:]}" for file in sorted(folder.glob("*"))
                 if file.is_file() and not file.name.startswith("job-")] if folder.exists() else []
        return "".join(texts)

    def query(self, sql):
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as database:
            return database.execute(sql).fetchall()


def processes_with(text):
    """Numbers of the processes whose command line holds `text`; never this one."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text in (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                    found.append(int(entry.name))
            except OSError:
                pass  # it has ended meanwhile
    return found


def rank_of(process):
    """The rank of a worker's process in its MPI job, or nothing if it is none or has ended."""
    try:
        environment = pathlib.Path(f"/proc/{process}/environ").read_bytes()
        name = pathlib.Path(f"/proc/{process}/comm").read_text()
    except OSError:
        return None
    found = re.search(rb"(?:^|\0)(?:OMPI_COMM_WORLD_RANK|PMIX_RANK|PMI_RANK)=(\d+)\0", environment)
    return int(found.group(1)) if found and name.startswith("orchestrate-wor") else None


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
