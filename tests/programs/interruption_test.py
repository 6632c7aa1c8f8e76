"""Interruptions: Ctrl-C, a killed coordinator, everything killed, a killed worker. The study always goes on, and ends
with the numbers of a run that was left in peace."""

import os
import signal
import subprocess
import time

from programs import ORCHESTRATE, QUICKSTART, ProgramTest, main, processes_with

ARGUMENTS = ["run", QUICKSTART, "--set", "train.epochs=8"]


class InterruptionTest(ProgramTest):
    def start(self):
        return subprocess.Popen([ORCHESTRATE, *ARGUMENTS], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def wait_until(self, condition, seconds=60):
        """Polls until a condition on the outside world holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, self.logs())
            time.sleep(0.02)

    def jobs_in(self, state):
        try:
            return self.query(f"select count(*) from jobs where state = '{state}'")[0][0]
        except Exception:  # the database is not there yet
            return 0

    def workers(self):
        return processes_with(f"--access {self.database}.d/worker-access.json")

    def wait_for_work(self, done=2):
        self.wait_until(lambda: self.jobs_in("succeeded") >= done and self.jobs_in("running") >= 1)

    def finish(self):
        self.run_program(*ARGUMENTS)
        self.assertEqual(self.jobs_in("succeeded"), 12)
        self.assertEqual(self.query("select count(*) from attempts where cause = 'succeeded'"), [(12,)])
        self.wait_until(lambda: not self.workers(), 10)
        return self.query("select job_id, loss, accuracy, macro_f1 from part_metrics order by job_id, part")

    def test_numbers_do_not_depend_on_interruptions(self):
        undisturbed = self.finish()
        for disturb in (self.interrupt, self.kill_coordinator, self.kill_everything, self.kill_worker):
            with self.subTest(disturb.__name__):
                for file in self.folder.glob("results.db*"):
                    if file.is_file():
                        file.unlink()
                    else:
                        subprocess.run(["rm", "-r", file], check=True)
                disturb()
                self.assertEqual(self.finish(), undisturbed)

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
        self.wait_for_work()
        os.kill(self.workers()[0], signal.SIGKILL)
        output, _ = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, output)
        self.assertIn("killed by signal 9", output)
        self.assertEqual(self.query("select count(*) from attempts where cause = 'worker_crashed'"), [(1,)])

    def test_a_second_coordinator_is_refused(self):
        run = self.start()
        try:
            self.wait_for_work(done=0)
            refused = self.run_program(*ARGUMENTS, expect=2)
            self.assertIn(f"process {run.pid}", refused.stderr)
            status = self.run_program("status").stdout
            self.assertIn("quickstart / ablation", status)
        finally:
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=30)


if __name__ == "__main__":
    main()
