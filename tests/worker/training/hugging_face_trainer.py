"""Trains what hugging_face_trainer_test has written into a folder with Hugging Face's Trainer: the same initial
weights, the same batches in the same order.

    hugging_face_trainer.py FOLDER

reads FOLDER/job.json (model, training arguments, examples in the order of training) and FOLDER/weights.bin (the
parameters one after another), and writes FOLDER/losses.json: the loss of each optimiser step.
"""
import json
import os
import pathlib
import sys

import numpy
import torch
from transformers import RobertaConfig, RobertaForSequenceClassification, Trainer, TrainingArguments

PAD = 1


def load_model(job, folder):
    model = RobertaForSequenceClassification(RobertaConfig(**job["model"]))
    values = numpy.fromfile(folder / "weights.bin", dtype="<f4")
    state = model.state_dict()
    wanted = set(state) - {"roberta.embeddings.position_ids", "roberta.embeddings.token_type_ids"}
    assert wanted == {parameter["name"] for parameter in job["parameters"]}, "other parameters than the model has"
    at = 0
    for parameter in job["parameters"]:
        count = int(numpy.prod(parameter["shape"]))
        value = torch.from_numpy(values[at : at + count].copy()).view(parameter["shape"])
        state[parameter["name"]].copy_(value)
        at += count
    assert at == len(values), "values left over"
    return model


def collate(examples):
    longest = max(len(example["ids"]) for example in examples)
    ids = torch.full((len(examples), longest), PAD)
    for row, example in enumerate(examples):
        ids[row, : len(example["ids"])] = torch.tensor(example["ids"])
    labels = torch.tensor([example["label"] for example in examples])
    return {"input_ids": ids, "attention_mask": (ids != PAD).long(), "labels": labels}


class RecordingTrainer(Trainer):
    """Takes the examples as they come, and keeps the loss of every forward pass."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.pass_losses = []

    def _get_train_sampler(self, train_dataset=None):
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def training_step(self, *arguments, **keywords):
        loss = super().training_step(*arguments, **keywords)
        self.pass_losses.append(loss.item())
        return loss


def main():
    folder = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    job = json.loads((folder / "job.json").read_text())
    model = load_model(job, folder)
    accumulation = job["arguments"].get("gradient_accumulation_steps", 1)
    choices = {}
    if job["optimizer"] == "adam":
        optimizer = torch.optim.Adam(
            model.parameters(), lr=job["arguments"]["learning_rate"], weight_decay=job["arguments"]["weight_decay"]
        )
        choices["optimizers"] = (optimizer, None)
    if job["class_weights"]:
        weights = torch.tensor(job["class_weights"])
        choices["compute_loss_func"] = lambda outputs, labels, **_: torch.nn.functional.cross_entropy(
            outputs.logits, labels, weight=weights
        )
    trainer = RecordingTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder / "output"),
            use_cpu=True,
            num_train_epochs=1,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
            **job["arguments"],
        ),
        train_dataset=job["examples"],
        data_collator=collate,
        **choices,
    )
    trainer.train()
    passes = trainer.pass_losses
    losses = [sum(passes[i : i + accumulation]) for i in range(0, len(passes), accumulation)]
    (folder / "losses.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
