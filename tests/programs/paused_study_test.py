"""A paused study is resumed where no coordinator runs: `orchestrate resume` lifts the pause and runs what is left."""

from programs import ProgramTest, main

STUDY = """
[study]
name = "t"

[command]
run = ["sh", "t.sh", "{x}"]
files = ["t.sh"]
metrics = ["v"]

[parameters]
x = 1

[[ablation]]
sweep = { x = [2] }
"""
SCRIPT = """
[ -e go ] || exit 1
echo "{\\"metrics\\": {\\"v\\": $1}}" > $ORCHESTRATE_METRICS
"""


class PausedStudyTest(ProgramTest):
    def paused_study(self):
        (self.folder / "t.toml").write_text(STUDY)
        (self.folder / "t.sh").write_text(SCRIPT)
        self.run_program("run", "t.toml", expect=1)  # both jobs fail
        (self.folder / "go").touch()
        self.run_program("retry", "t")
        self.assertIn("paused study t", self.run_program("pause", "t").stdout)

    def test_by_name(self):
        self.paused_study()
        output = self.run_program("resume", "t").stdout
        self.assertIn("study t is no longer paused", output)
        self.assertEqual(self.query("select state, count(*) from jobs group by state"), [("succeeded", 2)])
        self.assertEqual(self.query("select state, paused from studies"), [("finished", 0)])

    def test_a_mistyped_database_is_not_made(self):
        for command in (["resume"], ["resume", "t"]):
            self.assertIn("there is no database", self.run_program(*command, "--db", "no.db", expect=2).stderr)
        self.assertFalse(list(self.folder.iterdir()))

    def test_all_that_is_unfinished(self):
        self.paused_study()
        self.run_program("resume")
        self.assertEqual(self.query("select state, paused from studies"), [("finished", 0)])


if __name__ == "__main__":
    main()
