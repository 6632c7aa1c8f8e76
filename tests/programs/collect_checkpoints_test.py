"""What `orchestrate collect` does with checkpoints that nothing is going to continue from."""

from programs import ProgramTest, main


class CollectCheckpointsTest(ProgramTest):
    def test_checkpoints_of_jobs_that_have_failed(self):
        """Kept for `retry`, shown with the reason, removed when they are collected; those of a job that waits are not."""
        (self.folder / "study.toml").write_text("""
            [command]
            run = ["sh", "-c", "head -c 3000000 /dev/zero > $ORCHESTRATE_CHECKPOINTS/w; exit {code}"]
            metrics = ["a"]
            [parameters]
            code = 3
            [[ablation]]
            sweep = { code = [4] }
            """)
        self.run_program("run", "study.toml", expect=1)
        checkpoints = self.folder / "results.db.d/checkpoints"
        unknown = checkpoints / "job-77/attempt-1"
        unknown.mkdir(parents=True)
        (unknown / "w").write_bytes(b"x" * 2000000)
        shown = self.run_program("collect").stdout
        self.assertRegex(shown, r"job 1 +baseline, seed 1 +3\.0 MB  checkpoints: failed \(user_error\)\n")
        self.assertRegex(shown, r"job 77 +of no study +2\.0 MB  checkpoints: no such job\n")
        self.assertRegex(shown, r"checkpoints that nothing waits for +3 jobs +8\.0 MB\n")
        self.assertIn("nothing was removed", shown)
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)
        self.assertTrue((checkpoints / "job-1/attempt-1/w").exists())

        self.assertRegex(self.run_program("collect", "--remove").stdout, r"removed checkpoints +3 jobs +8\.0 MB\n")
        self.assertEqual(list(checkpoints.glob("job-*/attempt-*/w")), [])
        self.assertNotIn("checkpoints", self.run_program("collect").stdout)
        self.run_program("retry", "1")
        self.assertEqual(self.query("select state from jobs where id = 1"), [("waiting",)])
        (checkpoints / "job-1").mkdir(exist_ok=True)
        (checkpoints / "job-1/w").write_bytes(b"x" * 1000)
        shown = self.run_program("collect").stdout
        self.assertNotIn("job 1 ", shown)
        self.assertRegex(shown, r"checkpoints that jobs continue from +1 job +0\.0 MB\n")


if __name__ == "__main__":
    main()
