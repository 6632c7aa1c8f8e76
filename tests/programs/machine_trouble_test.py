"""What a host lacks is no fault of a job: full file systems are passed over where there is another place, and counted against
nobody where there is none. Needs the right to mount (unshare -m)."""

import sqlite3
import subprocess

from programs import PROGRAMS, ProgramTest, main, skip

STUDY = """
[command]
run = ["sh", "t.sh", "{x}"]
files = ["t.sh"]
metrics = ["v"]
[parameters]
x = 1
[[ablation]]
sweep = { x = [2, 3, 4] }
"""

if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
    skip("unshare -m is not allowed here")


class MachineTroubleTest(ProgramTest):
    def setUp(self):
        super().setUp()
        (self.folder / "study.toml").write_text(STUDY)
        (self.folder / "t.sh").write_text('echo "{\\"metrics\\": {\\"v\\": $1}}" > $ORCHESTRATE_METRICS\n')

    def command(self, script, *arguments):
        """`orchestrate run` in this test's directory, which is /mnt there, where `script` has mounted file systems."""
        # Both are reached from there, wherever they are: /tmp may be hidden by what is mounted.
        script = (f"mkdir -p bin && mount --bind {PROGRAMS} bin && mount --rbind . /mnt && cd /mnt\n{script}\n"
                  f"exec bin/orchestrate run study.toml --workers 1 {' '.join(arguments)}")
        return ["unshare", "-m", "sh", "-c", script]

    def test_a_full_dev_shm_is_passed_over(self):
        limits = ["size=64k,nr_inodes=1", "size=64k,nr_inodes=2", "size=64k,nr_inodes=3", "size=4k"]
        for number, limit in enumerate(limits):
            fill = "head -c 100000 /dev/zero > /dev/shm/full 2>/dev/null"
            script = f"mount -t tmpfs -o {limit} tmpfs /dev/shm; {fill}"
            self.run_program(*self.command(script, "--db", f"{number}.db")[1:], program="unshare")

    def test_without_any_place_no_job_is_to_blame(self):
        places = ["/dev/shm", "/tmp", "/var/tmp"]
        script = "".join(f"mount -t tmpfs -o size=64k,nr_inodes=1 tmpfs {place}\n" for place in places)
        script += "(while [ ! -e room ]; do sleep 0.1; done; mount -o remount,size=10m,nr_inodes=1000 /tmp) &\n"
        with self.started(*self.command(script)) as run:
            self.wait_until(lambda: self.database.exists() and self.lost() > 0, "an attempt that the host could not run")
            [message] = self.query("select message from attempts where cause = 'node_lost' limit 1")[0]
            self.assertIn("no place for the files of a command", message)
            (self.folder / "room").touch()
            output, _ = run.communicate(timeout=120)
            self.assertEqual(run.returncode, 0, output)
        self.assertEqual(self.query("select distinct state, failures from jobs"), [("succeeded", 0)])

    def lost(self):
        try:
            return self.query("select count(*) from attempts where cause = 'node_lost'")[0][0]
        except sqlite3.OperationalError:  # it is just being made
            return 0


if __name__ == "__main__":
    main()
