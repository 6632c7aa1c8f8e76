"""Workers that see neither the coordinator's checkpoints nor its models: each lives in a mount namespace of its own, in
which both folders are empty. Killed or told to leave in the middle of a job, it is followed by one that goes on from the
checkpoint that travelled, with the numbers of a run that was left in peace."""

import os
import shutil
import signal
import subprocess

from interruption_test import InterruptionTest, JOBS
from programs import ORCHESTRATE, PROGRAMS, main, skip

if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
    skip("no mount namespace can be made here: unshare -m is not permitted")

WORKER = """#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs none "$0/checkpoints" && mount -t tmpfs none "$0/models" && exec "$@"' \\
    {state} {worker} "$@"
"""


class HiddenFoldersTest(InterruptionTest):
    def setUp(self):
        super().setUp()
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        shutil.copy(ORCHESTRATE, self.programs)
        self.state = self.folder / "results.db.d"
        worker = self.programs / "orchestrate-worker"
        worker.write_text(WORKER.format(state=self.state, worker=PROGRAMS / "orchestrate-worker"))
        worker.chmod(0o755)
        self.hide = False

    def arguments(self):
        return [*super().arguments(), "--set", "study.save_models=all"]

    def make_folders(self):
        for name in ("checkpoints", "models"):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o700)

    def program(self):
        return self.programs / "orchestrate" if self.hide else ORCHESTRATE

    def start(self):
        self.make_folders()
        return subprocess.Popen([self.program(), *self.arguments()], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def run_program(self, *arguments, program=None, **options):
        self.make_folders()
        return super().run_program(*arguments, program=program or self.program(), **options)

    def models(self):
        return sorted(folder.name for folder in (self.state / "models").iterdir())

    def test_numbers_do_not_depend_on_interruptions(self):
        undisturbed = self.finish()
        models = self.models()
        self.assertEqual(len(models), JOBS)
        self.hide = True
        for disturb in (self.terminate_worker, self.kill_worker, self.kill_everything):
            with self.subTest(disturb.__name__):
                for file in self.folder.glob("results.db*"):
                    file.unlink() if file.is_file() else shutil.rmtree(file)
                disturb()
                self.assertEqual(self.finish(), undisturbed)
                self.check_resumed()
                # The weights are the same bits, and lie where the database says.
                self.assertEqual(self.models(), models)
                for folder, sha256 in self.query("select folder, sha256 from models"):
                    self.assertEqual(folder, str(self.state / "models" / sha256))
                log = (self.state / "logs/coordinator.log").read_text()
                self.assertNotIn("stale", log)
                workers = "".join(file.read_text() for file in (self.state / "logs").glob("local-*.log"))
                self.assertIn("does not see", workers)

    def test_a_person_is_told_that_commands_have_no_checkpoints_there(self):
        (self.folder / "command.toml").write_text("""
            [study]
            seeds = [1, 2, 3]
            [command]
            run = ["sh", "command.sh"]
            files = ["command.sh"]
            metrics = ["folder"]
            """)
        (self.folder / "command.sh").write_text(
            'folder=$([ -n "$ORCHESTRATE_CHECKPOINTS" ] && echo 1 || echo 0)\n'
            'echo "{\\"metrics\\": {\\"folder\\": $folder}}" > "$ORCHESTRATE_METRICS"\n')
        self.hide = True
        said = self.run_program("run", "command.toml", "--workers", "1").stdout
        self.assertEqual(self.query("select distinct value from metric_result"), [(0.0,)])
        text = " ".join(said.split())
        self.assertEqual(text.count("its commands run without checkpoints"), 1, said)
        self.assertIn(f"this host does not see '{self.state}/checkpoints'", text)

    def test_a_coordinator_that_is_killed_is_sent_what_it_lacks(self):
        self.hide = True
        run = self.start()
        self.wait_for_work()
        os.kill(run.pid, signal.SIGKILL)
        run.communicate(timeout=30)
        self.finish()
        self.assertEqual(len(self.models()), JOBS)

    # Those of the class before are run there.
    test_nor_do_those_of_two_ranks = None
    test_results_without_an_acknowledgement_wait_on_disk = None
    test_a_second_coordinator_is_refused = None


del InterruptionTest  # of which unittest would run the tests too

if __name__ == "__main__":
    main()
