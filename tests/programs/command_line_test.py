"""The command line: versions, help, errors; nothing is trained."""

import contextlib
import os
import sqlite3
import subprocess
import time

from programs import ORCHESTRATE, QUICKSTART, SOURCE, WORKER, ProgramTest, main


class CommandLineTest(ProgramTest):
    def test_version_is_quick(self):
        # The best of several: other tests may run beside this one.
        best = min(self.seconds_of([ORCHESTRATE, "--version"]) for _ in range(20))
        self.assertLess(best, 0.020)

    def seconds_of(self, command):
        begin = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        return time.monotonic() - begin

    def test_neither_program_is_linked_with_libtorch_or_mpi(self):
        for program in (ORCHESTRATE, WORKER):
            libraries = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
            self.assertIn("libssl", libraries)
            self.assertNotRegex(libraries, r"\blib(torch|c10|mpi|cud|nccl)")

    def test_help_teaches_every_command(self):
        text = self.run_program("--help").stdout
        for command in ("run", "table", "query", "status", "plan", "diff", "explain", "schema", "logs", "sample-data", "top",
                        "jobs", "job", "why", "cancel", "retry", "pause", "resume", "drain", "serve"):
            self.assertIn(command, text)
            own = self.run_program(command, "--help").stdout
            self.assertIn("Usage", own)
            text += own
        text += self.run_program("--help", program=WORKER).stdout
        self.assertIn("worker-access.json", text)
        self.assertEqual([line for line in text.splitlines() if len(line) > 80], [])

    def test_unknown_command_and_option_exit_with_2(self):
        self.run_program("runn", expect=2)
        self.run_program("run", expect=2)
        self.run_program("run", "x.toml", "--nonsense", expect=2)

    def test_a_mistyped_word_is_answered_with_the_nearest_one(self):
        for arguments, nearest in ((["runn"], "run"), (["runn", "--help"], "run"), (["stauts", "--json"], "status"),
                                   (["--hlep"], "--help"), (["run", "x.toml", "--worker", "3"], "--workers"),
                                   (["table", "--jsn", "--help"], "--json"), (["logs", "1", "--folow"], "--follow"),
                                   (["run", "x.toml", "--set", "a=1", "--hartbeat=2"], "--heartbeat")):
            errors = self.run_program(*arguments, expect=2).stderr
            self.assertIn(f"did you mean '{nearest}'?", errors, arguments)
        # Values that look like options are values.
        self.assertIn("none.toml", self.run_program("plan", "none.toml", "--set", "--jsn", expect=2).stderr)
        self.assertEqual(self.run_program("pilott", expect=2).stderr.count("pilot'?"), 0)  # started by programs only

    def test_help_names_the_exit_codes(self):
        text = self.run_program("--help").stdout
        for code in ("0 ", "1 ", "2 ", "130 "):
            self.assertRegex(text, rf"(?m)^    {code} ")

    def test_all_mistakes_of_a_file_at_once_and_nothing_is_started(self):
        text = QUICKSTART.read_text().replace('"sample-tracks.csv"', f'"{SOURCE}/experiments/sample-tracks.csv"')
        text = text.replace("epochs = 20", "epoch = 20").replace("seeds = [1, 2]", "seeds = [1, 1]")
        text = text.replace('"danceability"', '"dancability"').replace("hidden_size = 64", 'hidden_size = "wide"')
        (self.folder / "bad.toml").write_text(text)
        line_of = {word: number for number, line in enumerate(text.splitlines(), 1)
                   for word in ("epoch =", "seeds =", "dancability", '"wide"') if word in line}
        errors = self.run_program("run", "bad.toml", expect=2).stderr
        for word, line in line_of.items():
            self.assertRegex(errors, rf"bad\.toml:{line}:\d+: error: ", word)
        self.assertIn("epochs", errors)
        self.assertIn("danceability", errors)
        self.assertFalse(self.database.exists())
        self.assertFalse((self.folder / "results.db.d").exists())

    def test_a_study_is_explained_drawn_and_compared_before_it_runs(self):
        self.assertIn("from 1 to 100000", self.run_program("explain", "train.epochs").stdout)
        errors = self.run_program("explain", "train.epoch", expect=2).stderr
        self.assertIn("did you mean 'train.epochs'?", errors)
        tree = self.run_program("plan", QUICKSTART, "--tree").stdout
        self.assertIn("without popularity", tree)
        plan = self.run_program("plan", QUICKSTART, "--spread", "2", "--difference", "5").stdout
        self.assertIn("cost: unknown", plan)
        self.assertIn("for 5 points", plan)
        same = self.run_program("diff", QUICKSTART, QUICKSTART).stdout
        self.assertIn("nothing differs: 6 variants", same)
        text = QUICKSTART.read_text().replace('"sample-tracks.csv"', f'"{SOURCE}/experiments/sample-tracks.csv"')
        (self.folder / "edited.toml").write_text(text.replace('add = "duration_ms"', 'add = "explicit"'))
        edited = self.run_program("diff", QUICKSTART, "edited.toml").stdout
        self.assertIn("+ new       ablation: with explicit (2 new jobs)", edited)
        self.assertIn("- gone      ablation: with duration (2 jobs)", edited)
        self.assertIn("none.db", self.run_program("diff", "a", "b", "--db", "none.db", expect=2).stderr)
        self.assertFalse(self.database.exists())

    def test_a_row_that_cannot_be_parsed_is_named_by_its_line(self):
        rows = (SOURCE / "experiments/sample-tracks.csv").read_text().splitlines()
        header = rows[0].split(",")
        cells = rows[41].split(",")
        cells[header.index("energy")] = "loud"
        rows[41] = ",".join(cells)
        (self.folder / "bad.csv").write_text("\n".join(rows) + "\n")
        errors = self.run_program("run", QUICKSTART, "--set", "data.path=bad.csv", expect=2).stderr
        self.assertIn("42", errors)
        self.assertIn("'loud'", errors)
        self.assertIn("energy", errors)

    def test_a_missing_database_is_explained(self):
        for arguments in (("table",), ("query", "select 1"), ("status",), ("logs", "1"), ("jobs",), ("job", "1"),
                          ("why", "1"), ("cancel", "1"), ("pause", "a")):
            errors = self.run_program(*arguments, "--db", "none.db", expect=2).stderr
            self.assertIn("none.db", errors)
            self.assertIn("--db", errors)
        self.assertFalse((self.folder / "none.db").exists())

    def test_what_is_no_database_of_orchestrate_is_refused_and_left_alone(self):
        with contextlib.closing(sqlite3.connect(self.folder / "foreign.db")) as database:
            database.execute("create table studies (a)")
            database.commit()
        (self.folder / "data.csv").write_text("a,b\n1,2\n")
        (self.folder / "empty.db").touch()
        (self.folder / "study.toml").write_text('[command]\nrun = ["true"]\nmetrics = ["v"]\n')
        before = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        commands = (["table"], ["status"], ["jobs"], ["collect"], ["collect", "--remove"], ["why", "1"], ["pause", "s"],
                    ["resume"], ["run", "study.toml"], ["plan", "study.toml"], ["backup", "out.db"], ["query", "select 1"],
                    ["diff", "a", "b"], ["serve"])
        for name, words in (("foreign.db", "is no results database of orchestrate"), (".", "directory"),
                            ("data.csv", "no"), ("", "empty")):
            for command in commands:
                if (name, command[0]) in (("", "plan"), (".", "plan")):
                    continue
                done = self.run_program(*command, "--db", name, expect=2)
                self.assertIn(words, done.stderr, (name, command))
                self.assertNotIn("no such table", done.stderr)
        for command in (["table"], ["status"], ["jobs"], ["collect", "--remove"], ["backup", "out.db"]):
            self.assertIn("is empty", self.run_program(*command, "--db", "empty.db", expect=2).stderr)
        self.assertIn("name of the backup is empty", self.run_program("backup", "", expect=2).stderr)
        self.assertEqual({path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}, before)
        self.assertFalse([path for path in self.folder.iterdir() if path.is_dir()])

    def test_numbers_that_are_none_are_refused_in_short_words(self):
        (self.folder / "study.toml").write_text('[command]\nrun = ["true"]\nmetrics = ["v"]\n')
        for option in ("--spread", "--difference"):
            for value in ("nan", "inf", "-inf", "0", "-1", "1e999", "x"):
                error = self.run_program("plan", "study.toml", f"{option}={value}", expect=2).stderr
                self.assertIn("expected a number above 0", error)
                self.assertLess(len(error), 200)
        for value in ("nan", "inf", "0", "3601"):
            error = self.run_program("run", "study.toml", "--heartbeat", value, expect=2).stderr
            self.assertIn("expected seconds from 0.05 to 3600", error)
            error = self.run_program("--heartbeat", value, expect=105, program=WORKER).stderr
            self.assertIn("expected seconds from 0.05 to 3600", error)

    def test_a_database_in_a_directory_that_is_no_utf8_is_refused_before_it_is_made(self):
        (self.folder / "study.toml").write_text('[command]\nrun = ["true"]\nmetrics = ["a"]\n')
        directory = os.fsencode(self.folder) + b"/n\xff"
        os.mkdir(directory)
        errors = self.run_program("run", "study.toml", "--db", directory + b"/r.db", expect=2).stderr
        self.assertIn("is not UTF-8; expected --db FILE", errors)
        self.assertEqual(os.listdir(directory), [])

    def test_a_named_pipe_is_no_study_and_is_not_waited_for(self):
        os.mkfifo(self.folder / "pipe")
        for command in ("plan", "run"):
            self.assertIn("is a named pipe; expected the file of a study",
                          self.run_program(command, "pipe", expect=2, timeout=20).stderr)

    def test_sample_data_is_what_the_project_ships(self):
        self.assertEqual(self.run_program("sample-data", "--rows-per-genre", "200").stdout,
                         (SOURCE / "experiments/sample-tracks.csv").read_text())

    def test_worker_without_access_file_is_told(self):
        self.assertIn("--access", self.run_program(program=WORKER, expect=2).stderr)
        errors = self.run_program("--access", "none.json", program=WORKER, expect=1)
        self.assertIsNotNone(errors)

    def test_access_file_that_others_can_read_is_refused_with_the_cure(self):
        access = self.folder / "access.json"
        access.write_text("{}")
        access.chmod(0o644)
        self.run_program("--access", access, "--name", "w", program=WORKER, expect=1)
        self.assertIn("chmod 600", (self.folder / "w.log").read_text())


if __name__ == "__main__":
    main()
