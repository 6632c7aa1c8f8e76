"""Models of the baseline and of the best variant stay, the others go when they are collected, and nothing is trained again
for them."""

from programs import QUICKSTART, ProgramTest, main

RUN = ["run", QUICKSTART, "--set", "study.save_models=best", "--set", "study.best_models=1", "--set", "study.seeds=[1]",
       "--set", "train.epochs=2"]


class CollectTest(ProgramTest):
    def folders(self):
        return sorted(folder.name for folder in (self.folder / "results.db.d/models").iterdir())

    def test_what_is_not_kept_is_shown_and_then_removed(self):
        self.run_program(*RUN, timeout=200)
        models = dict(self.query("select job_id, sha256 from models"))
        self.assertEqual(self.folders(), sorted(models.values()))
        scores = self.query("""select j.job_id, v.is_baseline, r.collapsed, m.value from variants v
            join variant_jobs j on j.variant_id = v.id join results r on r.job_id = j.job_id
            join job_metrics m on m.job_id = j.job_id and m.part = 'validation' and m.name = 'macro_f1' order by v.position""")
        [baseline] = [job for job, is_baseline, _, _ in scores if is_baseline]
        others = [(macro_f1, -place, job) for place, (job, is_baseline, collapsed, macro_f1) in enumerate(scores)
                  if not is_baseline and not collapsed]
        kept = [baseline] + ([max(others)[2]] if others else [])

        shown = self.run_program("collect").stdout
        self.assertRegex(shown, rf"kept +{len(kept)} model")
        self.assertRegex(shown, rf"that no study keeps +{len(models) - len(kept)} model")
        self.assertIn("nothing was removed", shown)
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)
        self.assertEqual(self.folders(), sorted(models.values()))

        self.run_program("collect", "--remove")
        self.assertEqual(self.folders(), sorted(models[job] for job in kept))
        self.assertEqual(dict(self.query("select job_id, sha256 from models")), {job: models[job] for job in kept})
        self.assertRegex(self.run_program("collect").stdout, "that no study keeps +0 models")

        attempts = self.query("select count(*) from attempts")
        self.run_program(*RUN)
        self.assertEqual(self.query("select count(*) from attempts"), attempts)

    def test_a_mistyped_database_is_not_made(self):
        refused = self.run_program("collect", "--remove", "--db", "nowhere.db", expect=2)
        self.assertIn("nowhere.db", refused.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])


if __name__ == "__main__":
    main()
