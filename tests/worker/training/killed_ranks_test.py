"""A training over several ranks of which one is killed by SIGKILL, twice: it goes on from its checkpoint to the bits of one
that was left in peace.

    killed_ranks_test.py CHECKPOINT_RANKS SHARED_OBJECT RANKS LAUNCHER [ARGUMENTS...]
"""

import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

STEPS = 18  # of checkpoint_ranks


def newest_tensors(folder):
    """What follows the header of the newest checkpoint, without its checksum: weights, moments, kept weights."""
    content = max(folder.glob("step-*.safetensors")).read_bytes()
    (header,) = struct.unpack("<Q", content[:8])
    return content[8 + header : -64]


def main():
    program, library, ranks, launch = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]

    def run(folder, *strike):
        return subprocess.run([*launch, "-n", str(ranks), program, library, folder, *map(str, strike)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)

    def finish(folder):
        done = run(folder)
        assert done.returncode == 0, done.stdout
        return json.loads((folder / "result.json").read_text())

    with tempfile.TemporaryDirectory(prefix="orchestrate-killed-ranks-") as temporary:
        peace = pathlib.Path(temporary) / "peace"
        peace.mkdir()
        expected = finish(peace)
        assert expected["resumed_at"] == 0
        choose = random.Random(ranks)
        for struck in sorted({0, ranks - 1}):
            first = choose.randint(2, STEPS - 3)
            second = choose.randint(first + 1, STEPS - 1)
            folder = pathlib.Path(temporary) / f"struck-{struck}"
            folder.mkdir()
            for step in (first, second):
                assert run(folder, step, struck).returncode != 0, "the launcher took no notice"
                assert not (folder / "result.json").exists()
            found = finish(folder)
            # The checkpoint of the step before may still have been being written when rank 0 was killed; if another
            # rank was, rank 0 may have written that of the same step before its launcher ended it.
            latest = second if struck > 0 else second - 1
            assert second - 2 <= found["resumed_at"] <= latest, (found["resumed_at"], second)
            assert found["outcome"] == expected["outcome"], "other numbers"
            assert newest_tensors(folder) == newest_tensors(peace), "other weights or moments"
            print(f"{os.path.basename(launch[0])}, {ranks} ranks: rank {struck} killed after steps {first} and {second}, "
                  f"went on at {found['resumed_at']}: the same bits", flush=True)


if __name__ == "__main__":
    main()
