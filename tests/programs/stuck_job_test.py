"""An attempt that gets on no more, while its worker breathes, is ended after study.progress_timeout and the job done again.
Here opening the data file blocks (stalled_reads.cpp), once the study has been read."""

import os
import shutil

from programs import ORCHESTRATE, PROGRAMS, QUICKSTART, ProgramTest, main, processes_with


class StuckJobTest(ProgramTest):
    def ended_attempts(self):
        try:
            return self.query("select cause, message from attempts where cause is not null")
        except Exception:  # the database is not there yet
            return []

    def test_an_attempt_without_progress_is_ended_and_the_job_done_again(self):
        shutil.copy(QUICKSTART.parent / "sample-tracks.csv", self.folder / "tracks.csv")
        study = QUICKSTART.read_text().replace("sample-tracks.csv", "tracks.csv")
        (self.folder / "study.toml").write_text(study[:study.index("[[ablation]]")])
        stall = self.folder / "stall"
        environment = {**os.environ, "LD_PRELOAD": str(PROGRAMS / "libstalled_reads.so"), "ORCHESTRATE_STALL": str(stall)}
        with self.started(ORCHESTRATE, "run", "study.toml", "--workers", "1", "--heartbeat", "0.5", "--set",
                          "study.seeds=1", "--set", "train.epochs=1", "--set", "study.progress_timeout=10",
                          environment=environment) as run:
            # The study has been read; the worker has LibTorch to load before it reads the data.
            self.wait_until((self.folder / "results.db.d/worker-access.json").exists, "no coordinator", 60)
            stall.touch()
            self.wait_until(self.ended_attempts, "nobody noticed", 60)
            stall.unlink()
            (cause, message), = self.ended_attempts()
            self.assertEqual(cause, "worker_crashed")
            self.assertIn("made no progress for 10 s (study.progress_timeout)", message)
            output, _ = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, output + self.logs())
        self.assertEqual(self.query("select number, cause from attempts order by number"),
                         [(1, "worker_crashed"), (2, "succeeded")])
        self.assertEqual(processes_with(f"{self.folder}/"), [])


if __name__ == "__main__":
    main()
