"""The quickstart as a newcomer runs it: a table at the end, everything in the database, nothing trained twice."""

import csv
import io
import json
import pathlib
import re
import subprocess
import time

from programs import ORCHESTRATE, QUICKSTART, ProgramTest, main, processes_with


class QuickstartTest(ProgramTest):
    def test_quickstart(self):
        first = self.run_program("run", QUICKSTART, timeout=180)
        rows = self.query("select variant, jobs, accuracy, macro_f1 from comparison")
        self.assertEqual(len(rows), 6)
        for variant, jobs, accuracy, macro_f1 in rows:
            self.assertEqual(jobs, "2/2", variant)
            self.assertGreater(accuracy, 40)  # 8 genres: chance is 12.5
            self.assertIn(variant, first.stdout)
        self.check_database()
        self.check_second_run(first)
        self.check_reading()

    def check_database(self):
        self.assertEqual(self.query("select count(*) from jobs where state = 'succeeded'"), [(12,)])
        self.assertEqual(self.query("select count(*) from attempts where cause = 'succeeded'"), [(12,)])
        self.assertEqual(self.query("select count(*) from results"), [(12,)])
        self.assertEqual(self.query("select min(n) = max(n) and min(n) > 1 from "
                                    "(select count(*) n from epochs group by job_id)"), [(1,)])
        # Predictions, confusion and metrics tell the same story.
        wrong = self.query("""
            select r.job_id from results r join seed_result m on m.job = r.job_id
            where m.test_rows <> (select count(*) from predictions p where p.job_id = r.job_id)
               or abs(m.accuracy - (select avg(true_class = predicted_class) from predictions p
                                    where p.job_id = r.job_id)) > 1e-12
               or m.test_rows <> (select sum(count) from confusion c where c.job_id = r.job_id)
               or abs(m.macro_f1 - (select avg(f1) from class_metrics k where k.job_id = r.job_id)) > 1e-12""")
        self.assertEqual(wrong, [])
        shell = subprocess.run(["sqlite3", self.database, "select * from comparison"], check=True, capture_output=True,
                               text=True).stdout
        self.assertIn("quickstart|ablation|baseline", shell)

    def check_second_run(self, first):
        begin = time.monotonic()
        second = self.run_program("run", QUICKSTART)
        self.assertLess(time.monotonic() - begin, 5)
        self.assertIn("12 already done", second.stdout)
        self.assertEqual(self.query("select count(*) from attempts"), [(12,)])
        table = re.compile(r"^quickstart, stage.*", re.DOTALL | re.MULTILINE)
        self.assertEqual(table.search(first.stdout).group(), table.search(second.stdout).group())

    def check_reading(self):
        self.assertIn("baseline", self.run_program("table", "quickstart").stdout)
        self.assertIn("did you mean 'quickstart'", self.run_program("table", "quikstart", expect=2).stderr.replace("\"", "'"))
        rows = list(csv.DictReader(io.StringIO(self.run_program("query", "select * from jobs", "--csv").stdout)))
        self.assertEqual(len(rows), 12)
        self.assertEqual(len(json.loads(self.run_program("query", "select id from jobs", "--json").stdout)), 12)
        self.run_program("query", "delete from jobs", expect=2)
        self.assertIn("quickstart", self.run_program("status").stdout)
        logs = self.run_program("logs", "1").stdout
        self.assertIn("epoch 1:", logs)
        paths = self.run_program("logs", "1", "--paths").stdout.split()
        self.assertEqual(len(paths), 1)
        self.assertTrue(pathlib.Path(paths[0]).is_file())
        config = json.loads(self.query("select config from jobs where id = 1")[0][0])
        (self.folder / "job.json").write_text(json.dumps(config))
        paths_of_job = json.loads(self.query("select paths from jobs where id = 1")[0][0])
        self.run_program("texts", "--config", "job.json", "--data", paths_of_job["data"], "--out", "texts.csv",
                         program=ORCHESTRATE.with_name("orchestrate-worker"))
        texts = list(csv.DictReader((self.folder / "texts.csv").open()))
        parts = {part: sum(row["part"] == part for row in texts) for part in ("train", "validation", "test")}
        self.assertEqual(parts["test"], self.query("select count(*) from predictions where job_id = 1")[0][0])
        self.assertIn("energy", texts[0]["text"])

    def test_workers_load_libtorch_only_when_a_job_arrives(self):
        run = subprocess.Popen([ORCHESTRATE, "run", QUICKSTART, "--workers", "1"], cwd=self.folder,
                               stdout=subprocess.PIPE, text=True)
        try:
            seen_without = False
            seen_with = False
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not seen_with:
                for process in processes_with(f"--access {self.database}.d"):
                    try:
                        maps = pathlib.Path(f"/proc/{process}/maps").read_text()
                    except OSError:
                        continue
                    if "orchestrate-worker" in maps:
                        self.assertNotIn("libmpi", maps)
                        seen_with = seen_with or "libtorch_cpu" in maps
                        seen_without = seen_without or "libtorch_cpu" not in maps
            self.assertTrue(seen_without)
            self.assertTrue(seen_with)
        finally:
            run.terminate()
            run.communicate(timeout=60)


if __name__ == "__main__":
    main()
