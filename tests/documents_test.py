"""The documents name what exists: every path and every identifier in back-ticks, every relative link.

A back-ticked word is taken for a path if it has a slash or a suffix of a source file, and for an identifier of the code if it
is in CamelCase, has an underscore, or ends with "()". Words in capitals (DATABASE, NAME) stand for what a user chooses."""

import pathlib
import re
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[1]
DESIGN_NOTES = ["ARCHITECTURE.md", "CONTRIBUTING.md", "coordinator/README.md", "worker/README.md",
                "worker/training/README.md"]
USER_PAGES = ["README.md", "experiments/README.md", "results/README.md", "tests/benchmarks/RESULTS.md"]
SUFFIXES = r"\.(?:h|cpp|cu|py|sql|md|toml|cmake|sh)"
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*(?:\(\))?")


def words_of_the_code():
    files = subprocess.run(["git", "-C", SOURCE, "ls-files"], capture_output=True, text=True, check=True).stdout.split("\n")
    words = set()
    for name in files:
        if re.search(SUFFIXES + "$|CMakeLists.txt$|\\.in$|^\\.ci/|^setup$", name) and not name.endswith(".md"):
            words.update(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", (SOURCE / name).read_text(encoding="utf-8", errors="replace")))
    return words


class DocumentsTest(unittest.TestCase):
    def test_paths_exist(self):
        for document in DESIGN_NOTES:
            text = (SOURCE / document).read_text(encoding="utf-8")
            for path in re.findall(r"(?<![\w./-])((?:common|experiments|results|cluster|coordinator|worker|tests)/[\w./-]*\w/?)", text):
                self.assertTrue((SOURCE / path).exists(), f"{document} names {path}")
            for path in re.findall(r"`([\w-]+" + SUFFIXES + ")`", text):
                self.assertTrue(list(SOURCE.glob(f"*/**/{path}")) or (SOURCE / path).exists(), f"{document} names {path}")

    def test_links_lead_somewhere(self):
        for document in DESIGN_NOTES + USER_PAGES:
            text = (SOURCE / document).read_text(encoding="utf-8")
            for link in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", text):
                self.assertTrue(((SOURCE / document).parent / link).exists(), f"{document} links to {link}")

    def test_identifiers_exist(self):
        words = words_of_the_code()
        for document in DESIGN_NOTES:
            text = (SOURCE / document).read_text(encoding="utf-8")
            for quoted in re.findall(r"`([^`\n]+)`", text):
                if not IDENTIFIER.fullmatch(quoted) or quoted.isupper():
                    continue
                is_of_code = "_" in quoted or "::" in quoted or quoted.endswith("()") or re.search("[a-z][A-Z]", quoted)
                for part in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", quoted) if is_of_code else []:
                    self.assertTrue(part in words, f"{document} names `{quoted}`")


if __name__ == "__main__":
    sys.exit(not unittest.main(exit=False, verbosity=1).result.wasSuccessful())
