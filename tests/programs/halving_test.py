"""Successive halving with real trainings: killed in the middle, it finds the best of the whole search, for fewer epochs and
with the same bits; and ensembles, computed again here from the stored probabilities."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import zlib

from programs import ORCHESTRATE, SOURCE, ProgramTest, main

STUDY = f"""
[study]
name = "halving"
[data]
path = "{SOURCE}/experiments/sample-tracks.csv"
label = "track_genre"
features = ["popularity", "danceability", "energy", "loudness", "speechiness", "acousticness", "instrumentalness",
            "liveness", "valence", "tempo"]
max_rows = 960
text.quantiles = 16
[tokenizer]
vocabulary_size = 400
max_length = 64
[model]
hidden_size = 64
intermediate_size = 128
initializer_range = 0.1
num_hidden_layers = 1
[train]
epochs = 16
batch_size = 16
precision = "fp32"
[search]
method = "grid"
@RUNGS@
[search.space]
train.learning_rate = [1e-7, 1e-6, 1e-5, 1e-3, 2e-3, 4e-3]
"""
RUNGS = "rungs = [4, 8]\nreduction_factor = 2\ndeterministic = true"
ENSEMBLES = """
[[ensemble]]
name = "three"
members = "best 3 of search"
[[ensemble]]
name = "a vote"
members = ["trial 4", "trial 5", "trial 6"]
combine = "vote"
"""


class HalvingTest(ProgramTest):
    def study(self, name, rungs="", more=""):
        file = self.folder / name
        file.write_text(STUDY.replace("@RUNGS@", rungs) + more)
        return file

    def rows(self, database, sql):
        with sqlite3.connect(f"file:{self.folder / database}?mode=ro", uri=True) as opened:
            return opened.execute(sql).fetchall()

    def kill_once_something_has_paused(self, file):
        process = subprocess.Popen([ORCHESTRATE, "run", file], cwd=self.folder, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if self.query("select count(*) from jobs where state = 'paused'")[0][0] >= 3:
                    break
            except sqlite3.OperationalError:
                pass  # not there yet
            self.assertIsNone(process.poll(), "it ended before it could be killed")
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def test_the_best_trial_is_found_with_fewer_epochs_and_the_same_bits(self):
        halved = self.study("halving.toml", RUNGS)
        self.assertIn("after epoch 4 and 8 the best 1 in 2 go on, once all are there: 44 of 96 epochs",
                      self.run_program("plan", halved).stdout)
        self.kill_once_something_has_paused(halved)
        self.run_program("run", halved, timeout=300)
        self.assertEqual(self.query("select state, count(*) from jobs group by state order by state"),
                         [("paused", 5), ("succeeded", 1)])
        planned = self.run_program("plan", halved).stdout
        self.assertIn("6 jobs done already, in this study or another (5 of them stopped at a rung); 0 to run", planned)
        self.assertNotIn("cost", planned)
        table = self.run_program("table", "halving").stdout
        self.assertIn("5 of 6 jobs were stopped early: 3 after 4 epochs, 2 after 8 epochs; 44 of 96 epochs were trained.",
                      " ".join(table.split()))

        self.run_program("run", self.study("whole.toml"), "--db", "whole.db", timeout=300)
        best = ("select variant from seed_result where validation_macro_f1 is not null "
                "order by validation_macro_f1 desc, variant limit 1")
        self.assertEqual(self.query(best), self.rows("whole.db", best))
        epochs = ("select identity, epoch, train_loss, validation_loss, validation_macro_f1 from learning_curve "
                  "join jobs on id = job order by identity, epoch")
        self.assertLess(set(self.query(epochs)), set(self.rows("whole.db", epochs)))
        results = ("select identity, part, name, value from job_metrics join jobs on id = job_id")
        self.assertEqual(len(self.query(results)), 2 * 21)  # of one job's parts
        self.assertLess(set(self.query(results)), set(self.rows("whole.db", results)))
        checkpoints = [path for path in (self.folder / "results.db.d").rglob("*.safetensors")]
        self.assertEqual(len(checkpoints), len(self.query("select * from checkpoints")))

        # They stay until a user wants the room; with a copy of the database that is tried first.
        shutil.copytree(self.folder / "results.db.d", self.folder / "copy.db.d")
        with sqlite3.connect(self.database) as source, sqlite3.connect(self.folder / "copy.db") as copy:
            source.backup(copy)
        shown = self.run_program("collect", "--db", "copy.db").stdout
        self.assertRegex(shown, r"checkpoints that nothing waits for +5 jobs +[0-9.]+ MB\n")
        self.assertIn("nothing was removed", shown)
        self.assertRegex(self.run_program("collect", "--db", "copy.db", "--remove").stdout,
                         r"removed checkpoints +5 jobs")
        self.assertEqual(self.rows("copy.db", "select count(*) from checkpoints"), [(0,)])
        self.assertEqual(list((self.folder / "copy.db.d").rglob("*.safetensors")), [])
        self.assertNotIn("stopped early", self.run_program("collect", "--db", "copy.db").stdout)
        self.run_program("run", self.study("halving.toml"), "--db", "copy.db", timeout=300)
        self.assertEqual(set(self.rows("copy.db", results)), set(self.rows("whole.db", results)))
        halved = self.study("halving.toml", RUNGS)

        # Without rungs the same database trains what is left, from where it paused.
        self.run_program("run", self.study("halving.toml"), timeout=300)
        self.assertEqual(set(self.query(results)), set(self.rows("whole.db", results)))

    def test_plan_counts_space_and_can_train_a_short_job_first(self):
        file = self.study("halving.toml", RUNGS)
        unknown = self.run_program("plan", file).stdout
        self.assertIn("cost: unknown", unknown)
        planned = self.run_program("plan", file, "--calibrate", timeout=200).stdout
        self.assertRegex(planned, r"calibration: one epoch took [0-9.]+ s on cpu")
        self.assertRegex(planned, r"cost: .+ \(.+ to .+\) of cpu")
        self.assertFalse(self.database.exists(), "plan leaves nothing")
        self.run_program("run", file, timeout=300)
        parameters = self.query("select parameters from results")[0][0]
        # The vocabulary is trained, and may become smaller than asked for.
        counted = 1e6 * float(re.search(r"for ([0-9.]+) million parameters", planned)[1])
        self.assertLess(parameters, 1.05 * counted)
        self.assertGreater(parameters, 0.7 * counted)
        # Weights, two moments and the best epoch's weights; embeddings that no text uses are not written.
        largest = self.query("select max(bytes) from checkpoints")[0][0]
        self.assertLess(largest, 16 * parameters)
        self.assertGreater(largest, 6 * parameters)

    def test_ensembles_are_what_the_stored_probabilities_give(self):
        plain = self.study("halving.toml", "seeds = [1, 2]")
        self.run_program("run", plain, timeout=300)
        attempts = self.query("select count(*) from attempts")
        file = self.study("halving.toml", "seeds = [1, 2]", ENSEMBLES)
        self.assertIn("ensemble three: mean of the best 3 of search; computed, no training",
                      self.run_program("plan", file).stdout)
        self.assertIn("+ new       search: three (computed, nothing to train)", self.run_program("plan", file).stdout)
        self.run_program("run", file, timeout=120)
        self.assertEqual(self.query("select count(*) from attempts"), attempts)
        self.assertIn("three", self.run_program("table", "halving").stdout)
        best = [row[0] for row in self.query(  # as of search: the mean over seeds, of runs that did not collapse
            "select variant from seed_result join results on job_id = job where is_ensemble = 0 and collapsed = 0 "
            "group by variant_id order by avg(validation_macro_f1) desc, variant_position limit 3")]
        for seed_index in (0, 1):
            for ensemble, members, combine in [("three", best, self.mean),
                                               ("a vote", ["trial 4", "trial 5", "trial 6"], self.vote)]:
                jobs = [self.query("select job from seed_result where variant = '%s' and seed_index = %d"
                                   % (member, seed_index))[0][0] for member in members]
                true = [row[0] for row in self.query(
                    f"select true_class from predictions where job_id = {jobs[0]} order by line")]
                accuracy, macro_f1 = self.scores(true, combine(jobs))
                stored = self.query("select accuracy, macro_f1 from seed_result where variant = '%s' and "
                                    "seed_index = %d" % (ensemble, seed_index))[0]
                self.assertAlmostEqual(stored[0], accuracy, places=12)
                self.assertAlmostEqual(stored[1], macro_f1, places=12)
        self.assertEqual(self.query("select count(*) from prediction_named where variant = 'three'")[0][0],
                         2 * len(true))
        # Gone from the file, gone from the table.
        self.run_program("run", self.study("halving.toml", "seeds = [1, 2]"), timeout=120)
        self.assertNotIn("three", self.run_program("table", "halving").stdout)

    def probabilities(self, job):
        rows, classes, data = self.query(f"select rows, classes, data from probabilities where job_id = {job}")[0]
        planes = zlib.decompress(data)
        count = rows * classes
        values = [planes[i] * 256 + planes[count + i] for i in range(count)]
        table = [values[row * classes:(row + 1) * classes] for row in range(rows)]
        stored = self.query(f"select predicted_class, probability from predictions where job_id = {job} order by line")
        for row, (predicted, probability) in zip(table, stored, strict=True):
            self.assertAlmostEqual(row[predicted] / 65535, probability, delta=1e-5)
            self.assertAlmostEqual(sum(row) / 65535, 1, delta=1e-3)
            self.assertEqual(max(row), row[predicted])
        return table

    def mean(self, jobs):
        sums = [[sum(values) for values in zip(*rows)] for rows in zip(*[self.probabilities(job) for job in jobs])]
        return [row.index(max(row)) for row in sums]

    def vote(self, jobs):
        predicted = []
        columns = [self.query(f"select predicted_class, probability from predictions where job_id = {job} order by line")
                   for job in jobs]
        for votes in zip(*columns):
            counts = {}
            for chosen, probability in votes:
                count, weight = counts.get(chosen, (0, 0.0))
                counts[chosen] = (count + 1, weight + probability)
            predicted.append(min(counts, key=lambda chosen: (-counts[chosen][0], -counts[chosen][1], chosen)))
        return predicted

    @staticmethod
    def scores(true, predicted):
        classes = sorted(set(true) | set(predicted))
        f1 = []
        for one in classes:
            hits = sum(t == p == one for t, p in zip(true, predicted))
            total = true.count(one) + predicted.count(one)
            f1.append(2 * hits / total if total else 0)
        return sum(t == p for t, p in zip(true, predicted)) / len(true), sum(f1) / 8


if __name__ == "__main__":
    main()
