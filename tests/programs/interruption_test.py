"""Interruptions: Ctrl-C, a killed coordinator, everything killed, a killed worker, a worker told to leave. The study
always goes on, jobs from their checkpoints, and ends with the numbers of a run that was left in peace."""

import os
import re
import shutil
import signal
import subprocess

from programs import ORCHESTRATE, QUICKSTART, ProgramTest, main, processes_with

JOBS = 6
ARGUMENTS = ["run", QUICKSTART, "--set", "study.seeds=[1]", "--set", "study.checkpoint_interval_seconds=0.2"]

# A running job with a first checkpoint: far from its end. Gives job, attempt and the process of its worker.
YOUNG_JOB = """select a.job_id, a.number, max(w.process_id) from attempts a join checkpoints c on c.job_id = a.job_id
    join workers w on w.name = a.worker where a.ended_at is null group by a.job_id having count(distinct c.step) = 1"""


class InterruptionTest(ProgramTest):
    epochs = 24  # so that a job takes some seconds
    ranks = 1
    patience_seconds = 180

    def arguments(self):
        return [*ARGUMENTS, "--set", f"train.epochs={self.epochs}", "--set", f"study.ranks={self.ranks}"]

    def start(self):
        return subprocess.Popen([ORCHESTRATE, *self.arguments()], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def jobs_in(self, state):
        try:
            return self.query(f"select count(*) from jobs where state = '{state}'")[0][0]
        except Exception:  # the database is not there yet
            return 0

    def workers(self):
        return processes_with(f"--access {self.database}.d/worker-access.json")

    def young_job(self):
        try:
            return next(iter(self.query(YOUNG_JOB)), None)
        except Exception:  # the database is not there yet
            return None

    def wait_for_work(self, done=2):
        self.wait_until(lambda: self.jobs_in("succeeded") >= done and self.young_job())
        return self.young_job() or self.wait_for_work(done)

    def finish(self):
        self.run_program(*self.arguments(), timeout=240)
        self.assertEqual(self.jobs_in("succeeded"), JOBS)
        self.assertEqual(self.query("select count(*) from attempts where cause = 'succeeded'"), [(JOBS,)])
        self.wait_until(lambda: not self.workers(), seconds=10)
        # What is done needs no checkpoint.
        self.assertEqual(self.query("select count(*) from checkpoints"), [(0,)])
        self.assertEqual(list((self.folder / "results.db.d/checkpoints").glob("job-*")), [])
        epochs = self.query("select job, epoch, train_loss, validation_loss from learning_curve order by job, epoch")
        self.assertEqual(len(epochs), self.epochs * JOBS)
        return epochs + self.query("select job_id, part, name, value from job_metrics order by 1, 2, 3")

    def check_disturbances(self, *disturbances):
        undisturbed = self.finish()
        self.assertEqual(self.query("select count(*) from attempts where resumed_step is not null"), [(0,)])
        for disturb in disturbances:
            with self.subTest(disturb.__name__):
                for file in self.folder.glob("results.db*"):
                    file.unlink() if file.is_file() else shutil.rmtree(file)
                disturb()
                self.assertEqual(self.finish(), undisturbed)
                # Workers outlive a killed coordinator: their jobs need not resume.
                if disturb != self.kill_coordinator:
                    self.check_resumed()

    def check_resumed(self):
        """Some job went on in the middle, from the attempt before, and its log says so."""
        resumed = self.query("""select b.job_id, b.resumed_attempt, b.resumed_step from attempts b join attempts a
            on a.job_id = b.job_id and a.number = b.resumed_attempt where b.resumed_step > 0""")
        self.assertGreater(len(resumed), 0, self.logs())
        log = (self.folder / "results.db.d/logs/coordinator.log").read_text()
        for job, attempt, step in resumed:
            self.assertRegex(log, rf"job {job}, attempt \d+ resumes at step {step} of \d+ from attempt {attempt}")

    def test_numbers_do_not_depend_on_interruptions(self):
        self.check_disturbances(self.interrupt, self.kill_coordinator, self.kill_everything, self.kill_worker,
                                self.terminate_worker, self.preempt_worker)

    def test_nor_do_those_of_two_ranks(self):
        self.epochs, self.ranks = 8, 2
        self.check_disturbances(self.kill_everything)

    def test_results_without_an_acknowledgement_wait_on_disk(self):
        """Workers finish while no coordinator is there, and are killed: nothing is trained again."""
        run = self.start()
        self.wait_for_work()
        run.kill()
        run.communicate(timeout=30)
        spool = self.folder / "results.db.d/logs/unacknowledged"
        self.wait_until(lambda: list(spool.glob("*/*.result")))
        for worker in self.workers():
            os.kill(worker, signal.SIGKILL)
        left = [tuple(map(int, re.findall(r"\d+", file.name))) for file in spool.glob("*/*.result")]
        self.finish()
        for job, attempt in left:
            self.assertEqual(self.query(f"select max(number), cause from attempts where job_id = {job}"),
                             [(attempt, "succeeded")])
        self.assertEqual(list(spool.glob("*/*")), [])

    def interrupt(self):
        run = self.start()
        self.wait_for_work()
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=30)
        self.assertEqual(run.returncode, 130, output)
        self.assertIn("goes on where it was", output)
        self.assertEqual(self.workers(), [])
        self.assertEqual(self.jobs_in("running"), 0)
        self.assertGreater(self.query("select count(*) from attempts where cause = 'preempted'")[0][0], 0)

    def kill_coordinator(self):
        run = self.start()
        self.wait_for_work()
        run.kill()
        run.communicate(timeout=30)
        self.assertGreater(len(self.workers()), 0)  # they outlive it, and wait

    def kill_everything(self):
        run = self.start()
        self.wait_for_work()
        run.kill()
        for worker in self.workers():
            os.kill(worker, signal.SIGKILL)
        run.communicate(timeout=30)

    def kill_worker(self):
        run = self.start()
        _, _, worker = self.wait_for_work()
        os.kill(worker, signal.SIGKILL)
        output, _ = run.communicate(timeout=240)
        self.assertEqual(run.returncode, 0, output)
        self.assertIn("killed by signal 9", output)
        self.assertEqual(self.query("select count(*) from attempts where cause = 'worker_crashed'"), [(1,)])

    def terminate_worker(self):
        self.tell_worker_to_leave(signal.SIGTERM)

    def preempt_worker(self):
        self.tell_worker_to_leave(signal.SIGUSR1)

    def tell_worker_to_leave(self, number):
        """It writes a checkpoint of the step it is at, and leaves; the job goes on there on another worker."""
        run = self.start()
        job, attempt, worker = self.wait_for_work()
        os.kill(worker, number)
        self.wait_until(lambda: worker not in self.workers(), seconds=10)
        output, _ = run.communicate(timeout=240)
        self.assertEqual(run.returncode, 0, output)
        [(cause, message, left)] = self.query(
            f"select cause, message, worker from attempts where job_id = {job} and number = {attempt}")
        self.assertEqual(cause, "preempted")
        step = int(re.fullmatch(r"stopped at step (\d+) of \d+", message)[1])
        [(taken_over, resumed_attempt, resumed_step)] = self.query(
            "select worker, resumed_attempt, resumed_step from attempts "
            f"where job_id = {job} and number = {attempt + 1}")
        self.assertNotEqual(taken_over, left)
        self.assertEqual((resumed_attempt, resumed_step), (attempt, step))
        self.assertIn(f"resumes at step {step} of", output)

    def test_a_second_coordinator_is_refused(self):
        run = self.start()
        try:
            self.wait_for_work(done=0)
            refused = self.run_program("serve", expect=2)
            self.assertIn(f"process {run.pid}", refused.stderr)
            status = self.run_program("status").stdout
            self.assertIn("quickstart / ablation", status)
        finally:
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=30)


if __name__ == "__main__":
    main()
