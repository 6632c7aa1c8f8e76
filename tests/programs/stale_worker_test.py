"""Workers that are away for longer than their lease and come back: one whose process was stopped, one whose network was
cut. Their jobs have gone on elsewhere by then, from their checkpoints. What they bring is refused as stale, no file that
the successor reads is changed, and the study ends with the numbers of a run that was left in peace."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading

from programs import ORCHESTRATE, WORKER, ProgramTest, main, processes_with

STUDY = """
[study]
name = "away"
seeds = [1, 2]
checkpoint_interval_seconds = 0.3

[data]
path = "tracks.csv"
label = "track_genre"
features = ["energy", "tempo", "valence", "loudness"]

[tokenizer]
vocabulary_size = 400

[model]
hidden_size = 64
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 128

[train]
epochs = 200
batch_size = 32
"""


class Cable:
    """Forwards connections to a port of this host until it is cut: then nothing comes through and nothing is closed."""

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.whole = threading.Event()
        self.whole.set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            self.whole.wait()
            far = socket.create_connection(("127.0.0.1", self.port))
            for source, target in ((near, far), (far, near)):  # closed with this process
                threading.Thread(target=self.forward, args=(source, target), daemon=True).start()

    def forward(self, source, target):
        try:
            while data := source.recv(65536):
                self.whole.wait()
                target.sendall(data)
        except OSError:
            pass
        self.whole.wait()  # nor is an end heard of
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class StaleWorkerTest(ProgramTest):
    patience_seconds = 120
    in_peace = None  # the numbers of a run without disturbances

    def setUp(self):
        super().setUp()
        self.run_program("sample-data", "--out", "tracks.csv")
        (self.folder / "study.toml").write_text(STUDY)
        self.state = self.folder / "results.db.d"
        self.stranger = None
        if not StaleWorkerTest.in_peace:
            self.run_program(*self.arguments(), timeout=300)
            StaleWorkerTest.in_peace = self.numbers()
            for file in self.folder.glob("results.db*"):
                file.unlink() if file.is_file() else shutil.rmtree(file)

    def tearDown(self):
        if self.stranger and self.stranger.poll() is None:
            self.stranger.send_signal(signal.SIGCONT)
            self.stranger.kill()
            self.stranger.wait()
        super().tearDown()

    def arguments(self):
        return ["run", "study.toml", "--workers", "1", "--heartbeat", "1"]

    def rows(self, sql):
        try:
            return self.query(sql)
        except Exception:  # the database is not there yet
            return []

    def numbers(self):
        self.assertEqual(self.query("select count(*) from jobs where state = 'succeeded'"), [(2,)])
        self.assertEqual(self.query("select count(*) from results"), [(2,)])
        return self.query("select job, epoch, train_loss, validation_loss from learning_curve order by job, epoch") + \
            self.query("select job_id, part, name, value from job_metrics order by 1, 2, 3")

    def begin(self, access_file=None):
        """A study with its own worker, and a stranger that holds a job with a checkpoint. Gives that job."""
        run = subprocess.Popen([ORCHESTRATE, *self.arguments()], cwd=self.folder, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        access = self.state / "worker-access.json"
        self.wait_until(access.exists)
        self.stranger = subprocess.Popen(
            [WORKER, "--access", (access_file or (lambda path: path))(access), "--name", "stranger-1", "--log-folder",
             self.state / "logs", "--threads", str(os.cpu_count())], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        job = self.wait_until(lambda: self.rows(
            "select a.job_id from attempts a join checkpoints c using (job_id) where a.worker = 'stranger-1'"))[0][0]
        return run, job

    def end(self, run, job):
        self.assertEqual(run.wait(180), 0, run.stdout.read() + self.logs())
        run.stdout.close()
        self.assertEqual(self.query(f"select number, cause from attempts where job_id = {job} order by number"),
                         [(1, "node_lost"), (2, "succeeded")])
        self.assertEqual(self.query(f"select attempt from results where job_id = {job}"), [(2,)])
        self.assertGreater(self.query(f"select resumed_step from attempts where job_id = {job} and number = 2")[0][0], 0)
        self.assertEqual(self.numbers(), self.in_peace)
        self.stranger.wait(30)
        self.assertEqual(list((self.state / "logs/unacknowledged").glob("*/*.result")), [])
        self.assertEqual(processes_with(str(self.folder)), [])

    def stranger_log(self):
        return (self.state / "logs/stranger-1.log").read_text()

    def wait_for_successor(self, job):
        self.wait_until(lambda: self.rows(f"""select * from attempts where job_id = {job} and number = 2
            and resumed_attempt = 1 and worker <> 'stranger-1'"""))

    def test_a_stopped_worker_comes_back(self):
        run, job = self.begin()
        self.stranger.send_signal(signal.SIGSTOP)
        self.wait_for_successor(job)
        folder = self.state / f"checkpoints/job-{job}"
        before = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.glob("*/*.safetensors"))
                  if file.exists()}
        self.assertTrue(any("attempt-1" in str(file) for file in before), before)
        self.stranger.send_signal(signal.SIGCONT)
        self.wait_until(lambda: "was given to another worker" in self.stranger_log())
        for file, content in before.items():
            try:
                self.assertEqual(hashlib.sha256(file.read_bytes()).hexdigest(), content, file)
            except FileNotFoundError:
                pass  # the successor has written newer ones
        self.end(run, job)

    def test_a_worker_returns_from_behind_a_cut_network(self):
        cables = []

        def through_cable(path):
            access = json.loads(path.read_text())
            cables.append(Cable(access["port"]))
            access["port"] = cables[0].listener.getsockname()[1]
            folder = self.folder / "far"
            folder.mkdir(mode=0o700)
            with open(os.open(folder / "access.json", os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                json.dump(access, file)
            return folder / "access.json"

        run, job = self.begin(through_cable)
        checkpoints = len(self.rows(f"select * from checkpoints where job_id = {job}"))
        self.assertGreater(checkpoints, 0)
        cables[0].whole.clear()
        self.wait_until(lambda: "the coordinator is silent" in self.stranger_log())
        self.wait_for_successor(job)
        cables[0].whole.set()
        self.wait_until(lambda: "was given to another worker" in self.stranger_log()
                        or "came too late" in self.stranger_log())
        self.end(run, job)


if __name__ == "__main__":
    main()
