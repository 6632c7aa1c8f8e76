"""Loads saved models in transformers and compares: same_predictions.py FOLDER... Each folder holds a model and, in
expected.json, texts as token ids with the class that this project's program predicted and its probability. Prints the
largest difference; exit code 1 if there is one."""

import json
import pathlib
import sys

import torch
import transformers

LARGEST_DIFFERENCE = 2e-5


def check_classifier(folder, config):
    model, report = transformers.AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    problems = [f"{kind}: {names}" for kind, names in report.items() if names]
    labels = [config["id2label"][str(index)] for index in range(len(config["id2label"]))]
    if [model.config.id2label[index] for index in range(len(labels))] != labels:
        problems.append("id2label")
    model.eval()
    largest = 0.0
    for text in json.loads((folder / "expected.json").read_text()):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([text["ids"]])).logits[0]
        probability = torch.softmax(logits.double(), 0)
        largest = max(largest, abs(probability[text["class"]].item() - text["probability"]))
        if probability.argmax().item() != text["class"] and probability.max() - probability[text["class"]] > 1e-5:
            problems.append(f"predicts {probability.argmax().item()}, not {text['class']}")
    return largest, problems


def check_encoder(folder, config):
    """A head that transformers has no class for: the encoder must be whole."""
    model, report = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    missing = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    unexpected = [name for name in report["unexpected_keys"] if not name.startswith("orchestrate.")]
    return 0.0, [f"{names}" for names in (missing, unexpected) if names]


def main():
    transformers.logging.set_verbosity_error()
    failed = False
    for name in sys.argv[1:]:
        folder = pathlib.Path(name)
        config = json.loads((folder / "config.json").read_text())
        largest, problems = (check_encoder if "orchestrate" in config else check_classifier)(folder, config)
        failed = failed or bool(problems) or largest > LARGEST_DIFFERENCE
        print(f"{config['architectures'][0]}: largest difference of a probability {largest:.1e}", *problems, sep="; ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
