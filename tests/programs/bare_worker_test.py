"""Commands run where there is neither LibTorch nor MPI: the worker in a root of its own that holds nothing but itself, the
libraries that it is linked with, and a shell. Needs root."""

import os
import pathlib
import re
import shutil
import subprocess

from programs import ORCHESTRATE, WORKER, ProgramTest, main, processes_with, skip

JOB = """
case "$1" in *[0-9]) ;; *) exit 3 ;; esac
echo "here: $(echo /*)"
echo '{"step": 1, "steps": 2}' > $ORCHESTRATE_METRICS
echo "{\\"metrics\\": {\\"score\\": $1}}" > $ORCHESTRATE_METRICS
"""

STUDY = """
[study]
seeds = [1, 2]
[command]
run = ["/bin/sh", "job.sh", "{rate}"]
files = ["job.sh"]
metrics = ["score"]
[parameters]
rate = 0.5
[[ablation]]
sweep = { rate = [0.25, 0.125] }
"""


def libraries_of(program):
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [pathlib.Path(path) for path in re.findall(r"(/\S+)", listing)]


class BareWorkerTest(ProgramTest):
    def make_root(self):
        """A root for chroot. The test's own folder lies in it under the same path as outside."""
        self.root = self.folder
        (self.root / "work").mkdir()
        self.folder = self.root / "work"
        self.database = self.folder / "results.db"
        for program in (WORKER, pathlib.Path("/bin/sh").resolve()):
            for library in libraries_of(program):
                place = self.root / str(library).lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, place)
        for folder in ("bin", "tmp", "dev", "proc/self"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(WORKER, self.root / "bin")
        shutil.copy("/bin/sh", self.root / "bin/sh")
        (self.root / "dev/null").touch()
        (self.root / "proc/self/exe").symlink_to("/bin/orchestrate-worker")
        inside = self.root / str(self.root).lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.symlink_to("/")

    def make_programs(self):
        """A folder with a coordinator whose workers are those in the root."""
        programs = self.root / "programs"
        programs.mkdir()
        shutil.copy(ORCHESTRATE, programs)
        worker = programs / "orchestrate-worker"
        worker.write_text(f'#!/bin/sh\nexec chroot {self.root} /bin/orchestrate-worker "$@"\n')
        worker.chmod(0o755)
        return programs

    def tearDown(self):
        self.folder = self.root
        super().tearDown()

    def test_a_study_of_commands(self):
        self.make_root()
        programs = self.make_programs()
        names = [path.name for path in self.root.rglob("*")]
        self.assertFalse([name for name in names if re.search(r"torch|libmpi|nccl|libcuda", name)])
        (self.folder / "study.toml").write_text(STUDY)
        (self.folder / "job.sh").write_text(JOB)
        done = self.run_program("run", "study.toml", "--workers", "2", program=programs / "orchestrate")
        self.assertRegex(done.stdout, r"rate 0.125 +0.1250")
        self.assertEqual(self.query("select variant, value, difference from metric_comparison"),
                         [("baseline", 0.5, None), ("rate 0.25", 0.25, -0.25), ("rate 0.125", 0.125, -0.375)])
        log = (self.folder / "results.db.d/logs/job-1-attempt-1.log").read_text()
        self.assertRegex(log, r"here: /bin .*/work")  # it did run in there
        self.assertNotIn("/usr/bin", log)
        self.assertEqual(processes_with(f"{self.folder}/"), [])


if __name__ == "__main__":
    if os.geteuid() != 0:
        skip("only root can change the root of a process")
    if not shutil.which("chroot") or subprocess.run(["chroot", "/", "true"], check=False).returncode != 0:
        skip("this machine lets nobody change the root of a process")
    main()
