"""The paper's study at toy size: both stages, to the table of 19 rows."""

from programs import SOURCE, ProgramTest, main, real_tracks

REAL_TRACKS = real_tracks()
STUDY = SOURCE / "experiments/punk-or-funk.toml"
# Five genres: so few rows of 114 teach nothing, and runs that learnt nothing are never a baseline.
TOY = ["--set", 'data.classes=["classical", "comedy", "metal", "salsa", "sleep"]', "--set", "data.max_rows=1500",
       "--set", "search.trials=2", "--set", "train.epochs=3", "--set", "search.space.train.epochs={choice=[3]}",
       "--set", "search.space.train.batch_size={choice=[8]}",
       "--set", "search.space.train.learning_rate={choice=[0.003, 0.004]}", "--set", "model.initializer_range=0.1",
       "--set", "model.hidden_size=32", "--set", "model.num_hidden_layers=1", "--set", "model.num_attention_heads=2",
       "--set", "model.intermediate_size=64", "--set", "study.seeds=[1]"]


class PunkOrFunkTest(ProgramTest):
    def test_plan_lists_rows_and_jobs(self):
        plan = self.run_program("plan", STUDY, *REAL_TRACKS).stdout
        self.assertIn("19 variants", plan)
        for name in ("without energy", "with explicit", "with duration", "head width 64", "head width 32",
                     "head width 16", "no hidden layer", "Tanh", "Sigmoid"):
            self.assertIn(name, plan)

    def test_toy_run_goes_through_both_stages(self):
        done = self.run_program("run", STUDY, *REAL_TRACKS, *TOY, timeout=500)
        self.assertIn("best of search", done.stdout)
        self.assertEqual(self.query("select stage, count(*) from comparison group by stage order by stage"),
                         [("ablation", 19), ("search", 2)])
        self.assertEqual(self.query("select count(*) from jobs where state <> 'succeeded'"), [(0,)])
        # The baseline is the search's best by validation macro F1.
        best = self.query("""
            select v.config from variants v join stages s on s.id = v.stage_id and s.name = 'search'
            join variant_jobs j on j.variant_id = v.id
            join job_metrics m on m.job_id = j.job_id and m.part = 'validation' and m.name = 'macro_f1'
            group by v.id order by avg(m.value) desc, v.position limit 1""")
        baseline = self.query("select config from variants v join stages s on s.id = v.stage_id "
                              "where s.name = 'ablation' and is_baseline = 1")
        self.assertEqual(best, baseline)


if __name__ == "__main__":
    main()
