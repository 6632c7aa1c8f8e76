"""The main job on the real tracks: seven variants, two seeds, better than logistic regression on the same split."""

import time

from programs import SOURCE, ProgramTest, main, real_tracks

REAL_TRACKS = real_tracks()
# Test accuracy of logistic regression on the study's own split: tests/benchmarks/yardsticks.py prints it.
LOGISTIC_REGRESSION_ACCURACY_PERCENT = 40.9


class PunkOrFunkSmallTest(ProgramTest):
    def test_table_of_the_real_study(self):
        begin = time.monotonic()
        done = self.run_program("run", SOURCE / "experiments/punk-or-funk-small.toml", *REAL_TRACKS, timeout=880)
        print(done.stdout)
        print(f"took {time.monotonic() - begin:.0f} s")
        rows = self.query("select variant, jobs, accuracy, accuracy_sd, macro_precision, macro_recall, macro_f1, "
                          "macro_f1_sd, difference from comparison")
        self.assertEqual([row[0] for row in rows],
                         ["baseline", "without popularity", "without energy", "with duration", "head width 16",
                          "no hidden layer", "Tanh"])
        for row in rows:
            self.assertEqual(row[1], "2/2")
            self.assertNotIn(None, row[2:8])
        self.assertGreater(rows[0][2], LOGISTIC_REGRESSION_ACCURACY_PERCENT)
        groups_in_both = self.query("select sum(leak.value ->> '$.rows') from results, "
                                    "json_each(data_report, '$.leaks') leak where leak.value ->> '$.kind' = 'group'")
        self.assertIn(groups_in_both[0][0], (0, None))


if __name__ == "__main__":
    main()
