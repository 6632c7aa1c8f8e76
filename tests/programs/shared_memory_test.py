"""Ranks under mpirun that are killed together with it leave the memory they shared in /dev/shm. The next worker on this host
removes it. Nothing is trained; needs Open MPI."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

from programs import ORCHESTRATE, WORKER, ProgramTest, main, processes_with, skip

MEMORY = pathlib.Path("/dev/shm")
MPIRUN = shutil.which("mpirun.openmpi")


class SharedMemoryTest(ProgramTest):
    def tearDown(self):
        for worker in processes_with(f"{self.folder}/"):
            os.kill(worker, signal.SIGKILL)
        super().tearDown()

    def ranks(self):
        return [process for process in processes_with(f"--log-folder {self.folder}/ranks")
                if pathlib.Path(f"/proc/{process}/comm").read_text().startswith("orchestrate-wor")]

    @staticmethod
    def records_of(processes):
        return [record for process in processes for record in MEMORY.glob(f"orchestrate-memory-*-{process}-*")]

    def test_what_killed_ranks_leave_is_removed_by_the_next_worker(self):
        access = self.folder / "results.db.d/worker-access.json"
        environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                       "TMPDIR": str(self.folder)}  # where mpirun leaves its session
        worker = [WORKER, "--access", access, "--heartbeat", "1"]
        with self.started(ORCHESTRATE, "serve", "--heartbeat", "1"):
            self.wait_until(access.exists, "the coordinator")
            for place in ("ranks", "next"):
                (self.folder / place).mkdir()
            with self.started(MPIRUN, "--oversubscribe", "-n", "2", *worker, "--name", "wide", "--ranks", "2",
                              "--log-folder", self.folder / "ranks", environment=environment) as mpirun:
                records = self.wait_until(lambda: len(found := self.records_of(self.ranks())) == 2 and found, "ranks")
                self.wait_until(lambda: "wide" in self.run_program("status", "--json").stdout, "the worker")
                files = {MEMORY / name for record in records for name in re.findall(r"(?m)^\d+ (.+)$", record.read_text())}
                ranks = self.ranks()
                os.kill(mpirun.pid, signal.SIGKILL)
                for rank in ranks:
                    os.kill(rank, signal.SIGKILL)
                mpirun.communicate(timeout=60)
            self.wait_until(lambda: not self.ranks(), "the ranks are dead")
            self.assertTrue([file for file in files if file.exists()], "Open MPI leaves nothing: this test tests nothing")
            with self.started(*worker, "--name", "next", "--log-folder", self.folder / "next"):
                self.wait_until(lambda: "next" in self.run_program("status", "--json").stdout, "the next worker")
                self.assertEqual([file for file in {*files, *records} if file.exists()], [])


if __name__ == "__main__":
    if MPIRUN is None or not MEMORY.is_dir():
        skip("there is no Open MPI, or no /dev/shm")
    if subprocess.run([MPIRUN, "--version"], capture_output=True, check=False).returncode != 0:
        skip("mpirun.openmpi does not run")
    main()
