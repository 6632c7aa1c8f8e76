"""Ranks change speed, not results: one rank and two ranks over MPI give the same losses, dropout on. Trainings of two ranks and
commands of two slots, which run in one process, share a coordinator."""

import signal
import subprocess

from programs import ORCHESTRATE, QUICKSTART, ProgramTest, main

COMMAND = """
[study]
name = "commands"
seeds = [1, 2]
ranks = 2

[command]
run = ["sh", "-c", "echo '{{\\"metrics\\": {{\\"slots\\": '$ORCHESTRATE_RANKS'}}}}' >> $ORCHESTRATE_METRICS"]
metrics = ["slots"]
"""


class RanksTest(ProgramTest):
    def losses(self, ranks):
        self.database = self.folder / f"ranks-{ranks}.db"
        self.run_program("run", QUICKSTART, "--db", self.database, "--set", "study.seeds=[1]", "--set",
                         "train.epochs=3", "--set", "train.batch_size=30", "--set", f"study.ranks={ranks}",
                         # Sums of another order differ in the last bit; at the kink of a ReLU, or where numbers are
                         # rounded to bf16, that becomes more.
                         "--set", "model.head_activation=gelu", "--set", "train.precision=fp32")
        self.assertEqual(self.query("select distinct ranks from results"), [(ranks,)])
        # Dropout is on, or the comparison would show less than it says.
        self.assertEqual(self.query("select min(config ->> '$.model.hidden_dropout_prob') > 0 from jobs"), [(1,)])
        return self.query("select job, epoch, train_loss, validation_loss from learning_curve order by job, epoch")

    def test_one_and_two_ranks_give_the_same_losses(self):
        one, two = self.losses(1), self.losses(2)
        self.assertEqual(len(one), len(two))
        for expected, found in zip(one, two):
            self.assertEqual(expected[:2], found[:2])
            self.assertAlmostEqual(expected[2], found[2], delta=1e-5)
            self.assertAlmostEqual(expected[3], found[3], delta=1e-5)

    def test_jobs_of_different_width_share_a_study(self):
        text = QUICKSTART.read_text().replace('"sample-tracks.csv"', f'"{QUICKSTART.parent}/sample-tracks.csv"')
        text += '\n[[ablation]]\nname = "wide"\nset = { "model.head_width" = 8 }\nranks = 2\n'
        (self.folder / "mixed.toml").write_text(text)
        self.run_program("run", "mixed.toml", "--set", "train.epochs=1")
        self.assertEqual(self.query("select ranks, count(*) from results group by ranks"), [(1, 12), (2, 2)])

    def test_trainings_and_commands_share_a_coordinator(self):
        (self.folder / "commands.toml").write_text(COMMAND)
        self.database = self.folder / "results.db"
        server = subprocess.Popen([ORCHESTRATE, "serve", "--workers", "2"], cwd=self.folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            self.wait_until((self.folder / "results.db.d/access.json").exists, "no coordinator")
            training = subprocess.Popen([ORCHESTRATE, "run", QUICKSTART, "--set", "study.seeds=[1]", "--set",
                                         "train.epochs=1", "--set", "study.ranks=2"], cwd=self.folder, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            self.run_program("run", "commands.toml", timeout=120)
            output = training.communicate(timeout=200)[0]
            self.assertEqual(training.returncode, 0, output)
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=60)
        self.assertEqual(self.query("select state, count(*) from jobs group by state"), [("succeeded", 8)])
        self.assertEqual(self.query("select distinct value from metric_result where metric = 'slots'"), [(2,)])
        # Each kind by workers of its own.
        self.assertEqual(self.query("""
            select distinct json_type(config, '$.command') is not null, is_one_process from jobs
            join attempts on job_id = jobs.id join workers on workers.name = worker order by 1"""), [(0, 0), (1, 1)])


if __name__ == "__main__":
    main()
