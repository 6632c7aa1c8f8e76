"""The study that takes the model apart, at a small size: every kind of ablation is trained, and is what it says."""

import json

from programs import SOURCE, ProgramTest, main

ANATOMY = SOURCE / "experiments/anatomy.toml"
SMALL = ["--set", "study.seeds=1", "--set", "train.epochs=2", "--set", "data.max_rows=400"]


class AnatomyTest(ProgramTest):
    def test_every_part_of_the_model_is_ablated(self):
        planned = self.run_program("plan", ANATOMY).stdout
        self.assertIn("21 variants, 42 jobs", planned)
        self.run_program("run", ANATOMY, *SMALL, timeout=400)
        jobs = dict(self.query("select variant, job from seed_result"))
        self.assertEqual(len(jobs), 21)
        self.assertEqual(self.query("select count(*) from jobs where state = 'succeeded'"), [(21,)])
        self.assertEqual(self.query("select count(distinct macro_f1 || ' ' || loss) from seed_result"), [(21,)])  # no two ablations are the same model
        self.check_parameters(jobs)
        self.check_masks(jobs)
        rows = self.query("select min(test_rows), max(test_rows) from results")[0]
        self.assertEqual(rows[0], rows[1])  # a text in windows is one text
        again = self.run_program("run", ANATOMY, *SMALL)
        self.assertIn("21 already done", again.stdout)

    def check_parameters(self, jobs):
        """Trained parameters follow from the sizes in the file."""
        parameters = dict(self.query("select variant, parameters from job_overview"))
        config = json.loads(self.query(f"select config from jobs where id = {jobs['baseline']}")[0][0])
        model = config["model"]
        hidden, inner, width = model["hidden_size"], model["intermediate_size"], model["head_width"]
        layer = 4 * (hidden * hidden + hidden) + 4 * hidden + 2 * hidden * inner + inner + hidden
        positions = model["max_position_embeddings"] * hidden
        baseline = parameters["baseline"]
        self.assertEqual(parameters["first layer"], baseline - layer)
        self.assertEqual(parameters["layer 1 alone"], baseline - layer)
        self.assertEqual(parameters["no position embeddings"], baseline - positions)
        self.assertEqual(parameters["frozen position embeddings"], baseline - positions)
        self.assertEqual(parameters["lowest layer frozen"], baseline - layer)
        self.assertEqual(parameters["all layers frozen"], baseline - 2 * layer)
        self.assertEqual(parameters["fusion: concatenation, fused layers 0, 1 and 2"], baseline + 2 * hidden * width)
        self.assertEqual(parameters["fusion: weighted, fused layers 0, 1 and 2"], baseline + 3)
        self.assertEqual(parameters["windows, mean of logits"], baseline)

    def check_masks(self, jobs):
        """The log says which units were masked."""
        for variant, line in [("without heads 0.0-1 and 1.0", "3 of 8 attention heads masked: 0.0-1, 1.0"),
                              ("50 % of heads masked by lowest gradient", "4 of 8 attention heads masked: 0."),
                              ("50 % of neurons masked by lowest activation",
                               "128 of 256 feed-forward neurons masked: 0."),
                              ("50 % of classifier units masked at random", "32 of 64 classifier units masked: 0.")]:
            self.assertIn(line, self.run_program("logs", str(jobs[variant])).stdout, variant)
        self.assertNotIn(" masked: ", self.run_program("logs", str(jobs["baseline"])).stdout)


if __name__ == "__main__":
    main()
