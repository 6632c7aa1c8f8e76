"""Each rank of a worker in turn is stopped and killed while it trains: the loss is noticed soon, its cause is told, the
job is finished by a fresh worker with the numbers of a run that was left in peace, and no process stays."""

import os
import shutil
import signal
import subprocess
import time

from programs import ORCHESTRATE, QUICKSTART, ProgramTest, main, processes_with, rank_of

HEARTBEAT = 1.0
# Three missed heartbeats and the wait for the fourth, as 16 s follow from the 4 s of the default; then up to 1 s for
# mpirun to end its other ranks, and what a busy machine adds.
NOTICED_WITHIN = 4 * HEARTBEAT + 1 + 5


class LostRanksTest(ProgramTest):
    def setUp(self):
        super().setUp()
        study = QUICKSTART.read_text().replace('"sample-tracks.csv"', f'"{QUICKSTART.parent}/sample-tracks.csv"')
        (self.folder / "study.toml").write_text(study[:study.index("[[ablation]]")])

    def arguments(self, ranks, jobs, database):
        return [ORCHESTRATE, "run", "study.toml", "--db", database, "--workers", str(ranks), "--heartbeat",
                str(HEARTBEAT), "--set", f"study.ranks={ranks}", "--set", f"study.seeds={jobs}", "--set",
                "train.epochs=40"]  # long enough to be struck on a quick machine

    def ask(self, database, sql):
        self.database = self.folder / database
        try:
            return self.query(sql)
        except Exception:  # it is not there yet
            return []

    def ranks_of(self, database):
        """Processes of the worker that runs now, by rank."""
        found = {rank_of(process): process
                 for process in processes_with(f"--access {self.folder / database}.d/worker-access.json")}
        found.pop(None, None)
        return found

    def training_attempt(self, database, job):
        """The log of a job's running attempt, once it has finished an epoch."""
        for (log_file,) in self.ask(database, f"select log_file from attempts where job_id = {job} and cause is null"):
            if os.path.exists(log_file):
                with open(log_file, encoding="utf-8") as file:
                    return "epoch 1:" in file.read()
        return False

    def numbers(self, database):
        return self.ask(database, "select job_id, part, name, value from job_metrics order by 1, 2, 3")

    def disturb_each(self, mpirun, ranks):
        if shutil.which(mpirun) is None:
            self.skipTest(f"{mpirun} is not installed")
        environment = dict(os.environ, ORCHESTRATE_MPIRUN=mpirun)
        disturbances = [(rank, how) for how in (signal.SIGKILL, signal.SIGSTOP) for rank in range(ranks)]
        jobs = len(disturbances)
        subprocess.run(self.arguments(ranks, jobs, "peace.db"), cwd=self.folder, env=environment, check=True,
                       stdout=subprocess.DEVNULL, timeout=300)
        with self.started(*self.arguments(ranks, jobs, "war.db"), environment=environment) as run:
            for job, (rank, how) in enumerate(disturbances, start=1):
                with self.subTest(mpirun=mpirun, ranks=ranks, rank=rank, signal=how.name):
                    self.wait_until(lambda: self.training_attempt("war.db", job), f"job {job} does not train", 120)
                    worker = self.ranks_of("war.db")
                    self.assertEqual(sorted(worker), list(range(ranks)))
                    os.kill(worker[rank], how)
                    struck_at = time.monotonic()
                    cause, message = self.wait_until(
                        lambda: self.ask("war.db", f"select cause, message from attempts where job_id = {job} and "
                                                   "number = 1 and cause is not null"),
                        f"{how.name} of rank {rank} was not noticed", 60)[0]
                    noticed = time.monotonic() - struck_at
                    print(f"{mpirun}, {ranks} ranks, rank {rank}, {how.name}: {cause} after {noticed:.1f} s: {message}",
                          flush=True)
                    self.assertLess(noticed, NOTICED_WITHIN)
                    self.assertEqual(cause, "worker_crashed" if how == signal.SIGKILL else "node_lost")
                    if how == signal.SIGKILL:
                        # Debian's MPICH sends through UCX, which aborts a rank that is just reading the memory of the
                        # killed one; the launcher tells of the rank that it saw end first.
                        signals = "9|6" if "mpich" in mpirun else "9"
                        self.assertRegex(message, f"killed by signal ({signals})\\b")
                    elif rank == 0:  # the coordinator or another rank, whichever notices first
                        self.assertRegex(message, "was silent for 3 s|a rank gave no sign of life")
                    else:  # rank 0 says which
                        self.assertIn(f"rank {rank} (process {worker[rank]} on ", message)
                        self.assertIn("was silent for 3 s", message)
                    # Nothing of that worker stays, stopped or not.
                    self.wait_until(lambda: not any(os.path.exists(f"/proc/{process}") and rank_of(process) is not None
                                                    for process in worker.values()), "a rank is left", 15)
            output, _ = run.communicate(timeout=300)
        self.assertEqual(run.returncode, 0, output)
        self.assertEqual(self.ask("war.db", "select job_id, number, cause from attempts where number = 2 order by 1"),
                         [(job, 2, "succeeded") for job in range(1, jobs + 1)])
        self.assertEqual(self.numbers("war.db"), self.numbers("peace.db"))
        self.assertEqual(processes_with(f"{self.folder}/"), [])

    def test_two_ranks_over_open_mpi(self):
        self.disturb_each("mpirun.openmpi", 2)

    def test_two_ranks_over_mpich(self):
        self.disturb_each("mpirun.mpich", 2)

    def test_four_ranks(self):
        self.disturb_each("mpirun.openmpi", 4)


if __name__ == "__main__":
    main()
