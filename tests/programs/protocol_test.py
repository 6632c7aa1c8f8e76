"""Peers of other releases, as bytes on the wire: a user's request that this coordinator does not know is answered in
words, and a worker of an older release is told why it cannot serve."""

import hashlib
import json
import socket
import ssl
import struct
import subprocess

from programs import ORCHESTRATE, ProgramTest, main

STUDY = """
[study]
name = "sleeping"
[command]
run = ["sh", "-c", "sleep 60"]
metrics = ["nothing"]
[parameters]
nothing = 0
"""


def packed(value):
    """MessagePack of what a hello needs."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, str):
        text = value.encode()
        return b"\xda" + struct.pack(">H", len(text)) + text
    if isinstance(value, list):
        return b"\xdc" + struct.pack(">H", len(value)) + b"".join(map(packed, value))
    return b"\xde" + struct.pack(">H", len(value)) + b"".join(packed(key) + packed(item) for key, item in value.items())


class ProtocolTest(ProgramTest):
    def setUp(self):
        super().setUp()
        (self.folder / "study.toml").write_text(STUDY)
        self.coordinator = subprocess.Popen([ORCHESTRATE, "run", "study.toml", "--workers", "1"], cwd=self.folder,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_until(self.is_running, "a running job", 30)

    def tearDown(self):
        self.coordinator.terminate()
        self.coordinator.wait(60)
        super().tearDown()

    def is_running(self):
        try:
            return self.query("select 1 from attempts")
        except Exception:  # the database is not there yet
            return False

    def connect(self, access_file, **hello):
        """A connection that has said hello."""
        access = json.loads((self.folder / "results.db.d" / access_file).read_text())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = context.wrap_socket(socket.create_connection(("127.0.0.1", access["port"]), timeout=20))
        self.addCleanup(connection.close)
        self.assertEqual(hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest(),
                         access["certificate_fingerprint"])
        self.assertEqual(connection.version(), "TLSv1.3")
        self.say(connection, "hello", {"protocol_version": 4, "program_version": "0.0.9", "token": access["token"], **hello})
        return connection

    @staticmethod
    def say(connection, kind, fields):
        body = packed([kind, fields])
        connection.sendall(struct.pack(">I", len(body)) + body)

    @staticmethod
    def hear(connection):
        """The bytes of the next message; nothing when the connection ends."""
        def exactly(count):
            data = b""
            while len(data) < count and (more := connection.recv(count - len(data))):
                data += more
            return data
        prefix = exactly(4)
        return exactly(struct.unpack(">I", prefix)[0]) if prefix else b""

    def test_an_unknown_request_is_answered_and_the_next_one_too(self):
        connection = self.connect("access.json", role="user", name="a newer release")
        self.assertIn(b"welcome", self.hear(connection))
        self.say(connection, "forecast_request", {"study": "sleeping"})
        answer = self.hear(connection)
        self.assertIn(b"refused", answer)
        self.assertIn(b"does not know the request 'forecast_request'", answer)
        self.say(connection, "jobs_request", {"study": "sleeping", "invented_later": True})
        self.assertIn(b"jobs_reply", self.hear(connection))

    def test_a_request_with_an_invalid_field_is_answered_and_the_next_one_too(self):
        connection = self.connect("access.json", role="user")
        self.assertIn(b"welcome", self.hear(connection))
        self.say(connection, "jobs_request", {"limit": -1})
        self.assertIn(b"the request 'jobs_request' is refused: limit is -1", self.hear(connection))
        self.say(connection, "jobs_request", {"study": "sleeping"})
        self.assertIn(b"jobs_reply", self.hear(connection))

    def test_a_worker_of_an_older_release_is_told_to_leave(self):
        connection = self.connect("worker-access.json", protocol_version=2, role="worker", name="old-1", host="elsewhere",
                                  process_id=1, device="cpu", log_folder=str(self.folder))
        answer = self.hear(connection)
        self.assertIn(b"refused", answer)
        self.assertIn(b"protocol version 2 (orchestrate 0.0.9) is not understood here, only version 4", answer)
        self.assertEqual(self.hear(connection), b"")
        self.assertEqual(self.query("select count(*) from workers where name = 'old-1'"), [(0,)])

    def test_a_workers_token_opens_nothing_for_a_person(self):
        connection = self.connect("worker-access.json", role="user", name="curious")
        self.assertIn(b"the token is wrong", self.hear(connection))
        self.assertEqual(self.hear(connection), b"")


if __name__ == "__main__":
    main()
