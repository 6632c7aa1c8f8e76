"""Tokens stay in their files: nothing of a live system shows them, neither command lines, nor environments, nor logs, nor
the database; and files that others could read are refused."""

import json
import pathlib
import stat
import subprocess
import time

from programs import ORCHESTRATE, WORKER, ProgramTest, main, processes_with

STUDY = """
[study]
seeds = [1]
[command]
run = ["/bin/sh", "job.sh"]
files = ["job.sh"]
metrics = ["score"]
"""

# Runs until the test lets it end, and shows what it was given.
JOB = """
env
cat $ORCHESTRATE_CONFIG
echo '{"step": 1}' > $ORCHESTRATE_METRICS
until [ -e go ]; do sleep 0.05; done
echo '{"metrics": {"score": 1}}' > $ORCHESTRATE_METRICS
"""


class SecretsTest(ProgramTest):
    def setUp(self):
        super().setUp()
        (self.folder / "study.toml").write_text(STUDY)
        (self.folder / "job.sh").write_text(JOB)
        self.state = self.folder / "results.db.d"

    def secrets(self):
        tokens = [json.loads((self.state / name).read_text())["token"] for name in ("access.json", "worker-access.json")]
        key = (self.state / "key.pem").read_text().splitlines()[1]
        return [secret.encode() for secret in (*tokens, key)]

    def check_file(self, path, secrets):
        content = path.read_bytes()
        for secret in secrets:
            self.assertNotIn(secret, content, f"{path} tells a secret")

    def test_nothing_tells_tokens(self):
        run = subprocess.Popen([ORCHESTRATE, "run", "study.toml", "--workers", "1"], cwd=self.folder,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            logs = self.state / "logs"
            deadline = time.monotonic() + 60
            while not (logs.exists() and any("ORCHESTRATE_JOB" in log.read_text() for log in logs.glob("job-*.log"))):
                self.assertLess(time.monotonic(), deadline, "no job began" + self.logs())
                time.sleep(0.02)
            secrets = self.secrets()
            self.assertEqual(len({*secrets}), 3)
            # A stranger's failed attempts are logged too.
            other = self.folder / "other"
            other.mkdir(mode=0o700)
            for field, value in (("token", "0" * 64), ("certificate_fingerprint", "0" * 64)):
                access = json.loads((self.state / "worker-access.json").read_text()) | {field: value}
                (other / "access.json").write_text(json.dumps(access))
                (other / "access.json").chmod(0o600)
                subprocess.run([WORKER, "--access", other / "access.json", "--log-folder", other, "--orphan-limit", "0"],
                               capture_output=True, timeout=60)
            # The right token of the worker, and a name: what is said of it is logged as well.
            self.run_program("status")
            processes = processes_with(f"{self.folder}/") + processes_with("job.sh") + [run.pid]
            self.assertGreaterEqual(len(processes), 3)
            for process in processes:
                for name in ("cmdline", "environ"):
                    try:
                        self.check_file(pathlib.Path(f"/proc/{process}/{name}"), secrets)
                    except FileNotFoundError:
                        pass  # it has ended
        finally:
            (self.folder / "go").touch()
            output, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, output + self.logs())
        for secret in secrets:
            self.assertNotIn(secret.decode(), output)
        owners = {"access.json", "worker-access.json", "key.pem"}
        checked = 0
        for path in self.folder.rglob("*"):
            if path.is_file() and path.name not in owners:
                self.check_file(path, secrets)
                checked += 1
        self.assertGreater(checked, 5)
        for name in owners:
            self.assertEqual(stat.S_IMODE((self.state / name).stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.state.stat().st_mode), 0o700)

    def test_files_open_to_others_are_refused_with_the_cure(self):
        (self.folder / "go").touch()
        self.run_program("run", "study.toml")
        access = self.state / "worker-access.json"
        for path, mode, cure in ((access, 0o644, f"chmod 600 '{access}'"), (self.state, 0o755, f"chmod 700 '{self.state}'")):
            kept = stat.S_IMODE(path.stat().st_mode)
            path.chmod(mode)
            done = self.run_program("--access", access, "--log-folder", self.folder, expect=1, program=WORKER)
            self.assertIn(cure, done.stderr + "".join(log.read_text() for log in self.folder.glob("*.log")))
            path.chmod(kept)
        self.state.chmod(0o755)
        (self.folder / "job.sh").write_text(JOB + "# changed\n")
        done = self.run_program("run", "study.toml", expect=2)
        self.assertIn(f"chmod 700 '{self.state}'", done.stderr)


if __name__ == "__main__":
    main()
