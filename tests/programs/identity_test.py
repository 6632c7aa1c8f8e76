"""A database is known by what it is, not by its name: links, copies and files that are replaced during a run; backups of a
database that a study fills; signals that must not end a run. Jobs wait for a file, so that a run lasts as long as the test
needs it."""

import os
import shutil
import signal
import sqlite3
import stat
import subprocess

from programs import ORCHESTRATE, ProgramTest, main

STUDY = """
[study]
name = "t"
[command]
run = ["sh", "job.sh", "{x}"]
files = ["job.sh"]
metrics = ["v"]
[parameters]
x = 1
[[ablation]]
sweep = { x = [2, 3, 4] }
"""
JOB = """echo "$ORCHESTRATE_JOB" >> "%s"
if [ "$1" -ge 3 ]; then while [ ! -e "%s" ]; do sleep 0.02; done; fi
echo "{\\"metrics\\": {\\"v\\": $1}}" > "$ORCHESTRATE_METRICS"
"""


class IdentityTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.home = self.folder / "a"
        self.home.mkdir()
        self.go = self.folder / "go"
        self.executed = self.folder / "executed"
        self.write_study(self.home)

    def write_study(self, folder):
        (folder / "t.toml").write_text(STUDY)
        (folder / "job.sh").write_text(JOB % (self.executed, self.go))

    def run_in(self, folder, *arguments, expect=0):
        done = subprocess.run([ORCHESTRATE, *arguments], cwd=folder, capture_output=True, text=True, timeout=100,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, expect, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done

    def count(self, database, state):
        try:
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                return connection.execute("select count(*) from jobs where state = ?", [state]).fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # it is being made

    def running(self, *before, name="results.db"):
        """A run of whose four jobs two have succeeded and the others wait for self.go."""
        return self.started("sh", "-c", f'cd "{self.home}" && exec "$0" "$@"', *before, ORCHESTRATE, "run", "t.toml",
                            "--workers", "1", "--db", name)

    def wait_for_results(self, database=None):
        database = database or self.home / "results.db"
        self.wait_until(lambda: self.count(database, "succeeded") == 2 and self.count(database, "running") >= 1,
                        "two results")

    def finish(self, run, expect=0):
        self.go.touch()
        output = run.communicate(timeout=100)[0]
        self.assertEqual(run.returncode, expect, output)
        return output

    def test_a_second_run_through_a_symbolic_link_joins_the_first(self):
        (self.home / "link.db").symlink_to("results.db")
        with self.running() as first:
            self.wait_for_results()
            with self.running(name="link.db") as second:
                self.wait_until(lambda: "submitted" in (line := second.stdout.readline()) or "following" in line)
                self.finish(first)
                self.finish(second)
        self.assertFalse((self.home / "link.db.d").exists())
        jobs = self.executed.read_text().split()
        self.assertEqual(sorted(jobs), sorted(set(jobs)), "a job was executed twice")

    def test_a_hard_link_is_refused(self):
        self.go.touch()
        self.run_in(self.home, "run", "t.toml")
        os.link(self.home / "results.db", self.home / "second.db")
        for name in ["results.db", "second.db"]:
            for command in [["run", "t.toml"], ["table"], ["cancel", "t"]]:
                self.assertIn("hard links", self.run_in(self.home, *command, "--db", name, expect=2).stderr)

    def test_a_command_in_a_copied_directory_leaves_the_original_alone(self):
        with self.running() as run:
            self.wait_for_results()
            copy = self.folder / "b"
            shutil.copytree(self.home, copy)
            done = self.run_in(copy, "cancel", "t")
            self.assertIn("copy", done.stderr)
            self.assertEqual(self.count(self.home / "results.db", "cancelled"), 0)
            output = self.finish(run)
        self.assertNotIn("cancelled", output)
        self.assertEqual(self.count(self.home / "results.db", "succeeded"), 4)
        self.assertGreater(self.count(copy / "results.db", "cancelled"), 0)
        # The copy is a database of its own from its first run on: with other keys, and another identity.
        self.run_in(copy, "run", "t.toml")
        identity = "select id, copied_from from database_identity"
        [original, _] = self.row(self.home / "results.db", identity)
        [own, copied_from] = self.row(copy / "results.db", identity)
        self.assertEqual(copied_from, original)
        self.assertNotEqual(own, original)
        for name in ["certificate.pem", "worker-access.json"]:
            self.assertNotEqual((copy / "results.db.d" / name).read_text(),
                                (self.home / "results.db.d" / name).read_text())

    def row(self, database, sql):
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return connection.execute(sql).fetchone()

    def test_a_moved_directory_resumes_with_its_logs(self):
        with self.running() as run:
            self.wait_for_results()
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=100)
        moved = self.folder / "moved"
        self.home.rename(moved)
        self.assertIn("moved/results.db.d/logs", self.run_in(moved, "logs", "1", "--paths").stdout)
        self.go.touch()
        self.run_in(moved, "run", "t.toml")
        self.assertEqual(self.count(moved / "results.db", "succeeded"), 4)
        [paths] = self.row(moved / "results.db", f"select count(*) from attempts where log_file like '{self.home}/%'")
        self.assertEqual(paths, 0)

    def lose(self, how, expected):
        with self.running() as run:
            self.wait_for_results()
            how()
            output = run.communicate(timeout=60)[0]
            self.assertEqual(run.returncode, 2, output)
            self.assertIn(expected, output)
            self.assertIn("stops", output)

    def test_a_removed_database_ends_the_run_at_once(self):
        self.lose((self.home / "results.db").unlink, "was removed or moved")

    def test_a_moved_directory_ends_the_run_at_once(self):
        self.lose(lambda: self.home.rename(self.folder / "moved"), "was removed or moved")

    def test_a_replaced_database_ends_the_run_at_once(self):
        (self.folder / "other.db").write_bytes(b"something else")
        self.lose(lambda: (self.folder / "other.db").rename(self.home / "results.db"), "was replaced")
        self.assertEqual((self.home / "results.db").read_bytes(), b"something else")

    def test_a_truncated_database_ends_the_run_at_once(self):
        self.lose(lambda: os.truncate(self.home / "results.db", 0), "was truncated")

    def test_a_removed_state_directory_ends_the_run_at_once(self):
        self.lose(lambda: (self.home / "results.db.d").rename(self.home / "aside"), "results.db.d' was re")

    def test_a_removed_log_of_transactions_ends_the_run_and_loses_nothing(self):
        # Noticed at the next commit: when a job ends, or at the next heartbeat.
        with self.running() as run:
            self.wait_for_results()
            (self.home / "results.db-wal").unlink()
            output = self.finish(run, expect=2)
            self.assertIn("results.db-wal", output)
        self.assertGreaterEqual(self.count(self.home / "results.db", "succeeded"), 2)  # what had been stored

    def test_a_backup_during_a_run_is_whole(self):
        backup = self.folder / "backup.db"
        with self.running() as run:
            self.wait_for_results()
            done = self.run_in(self.home, "backup", backup)
            self.assertIn("2 succeeded jobs", done.stdout)
            self.assertEqual(self.count(backup, "succeeded"), 2)
            self.assertIn("exists already", self.run_in(self.home, "backup", backup, expect=2).stderr)
            self.finish(run)
        self.assertEqual([file.name for file in self.folder.glob("backup.db*")], ["backup.db"])
        with sqlite3.connect(backup) as connection:
            self.assertEqual(connection.execute("pragma integrity_check").fetchone(), ("ok",))
            self.assertEqual(connection.execute("select count(*) from database_owner").fetchone(), (0,))
        [own] = self.row(backup, "select id from database_identity")
        self.assertNotEqual([own], list(self.row(self.home / "results.db", "select id from database_identity")))
        # It is resumed as any database is.
        restored = self.folder / "restored"
        restored.mkdir()
        self.write_study(restored)
        shutil.copy(backup, restored / "results.db")
        before = len(self.executed.read_text().split())
        self.run_in(restored, "run", "t.toml")
        self.assertEqual(len(self.executed.read_text().split()), before + 2, "only what it had no result of")

    def test_a_backup_is_refused_in_words(self):
        self.go.touch()
        self.run_in(self.home, "run", "t.toml")
        self.assertIn("is a directory", self.run_in(self.home, "backup", ".", expect=2).stderr)
        self.assertIn("no directory", self.run_in(self.home, "backup", "nowhere/b.db", expect=2).stderr)
        self.assertIn("no database", self.run_in(self.home, "backup", "b.db", "--db", "x.db", expect=2).stderr)
        (self.home / "text.db").write_text("no database" * 100)
        self.assertIn("text.db", self.run_in(self.home, "backup", "b.db", "--db", "text.db", expect=2).stderr)
        self.assertFalse((self.home / "b.db").exists())

    def test_reading_where_nothing_can_be_written(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.go.touch()
        self.run_in(self.home, "run", "t.toml")
        tables = {}
        for case in ["clean", "with newest results in the log"]:
            place = self.folder / case
            place.mkdir()
            shutil.copy(self.home / "results.db", place)
            if "log" in case:
                with sqlite3.connect(place / "results.db") as connection:
                    connection.execute("update studies set name = 'renamed'")
                    connection.commit()
                    for suffix in ["", "-wal"]:
                        shutil.copy(place / f"results.db{suffix}", place / f"copy.db{suffix}")
                connection.close()
                for suffix in ["", "-wal"]:
                    (place / f"copy.db{suffix}").rename(place / f"results.db{suffix}")
            for file in place.iterdir():
                file.chmod(0o444)
            place.chmod(0o555)
            self.folder.chmod(self.folder.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
            for command in [["table"], ["status"], ["jobs"], ["query", "select name from studies"]]:
                done = subprocess.run([ORCHESTRATE, *command], cwd=place, capture_output=True, text=True, timeout=100,
                                      user=65534, group=65534, extra_groups=[])
                self.assertEqual(done.returncode, 0, f"{case} {command}: {done.stdout}{done.stderr}")
                tables[case, command[0]] = done.stdout
        self.assertIn("renamed", tables["with newest results in the log", "query"])
        self.assertNotIn("renamed", tables["clean", "query"])
        (self.home / "results.db").chmod(0o600)
        done = subprocess.run([ORCHESTRATE, "table"], cwd=self.home, capture_output=True, text=True, timeout=100,
                              user=65534, group=65534, extra_groups=[])
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("cannot read the database", done.stderr)

    def test_signals_that_must_not_end_a_run(self):
        with self.running("nohup") as run:
            self.wait_for_results()
            for number in [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE, signal.SIGXFSZ]:
                run.send_signal(number)
            self.finish(run)
        self.assertEqual(self.count(self.home / "results.db", "succeeded"), 4)

    def test_a_hangup_that_is_not_ignored_interrupts(self):
        with self.running() as run:
            self.wait_for_results()
            run.send_signal(signal.SIGHUP)
            run.communicate(timeout=100)
            self.assertEqual(run.returncode, 130)


if __name__ == "__main__":
    main()
