#!/usr/bin/env python3
"""One run of a study as labs do it: a process that trains and evaluates one variant with Hugging Face's Trainer.

Run by study_speed.py. Reads a job's configuration (as the database has it) and the texts that `orchestrate-worker texts`
wrote; evaluates on the validation part after each epoch and predicts the test part at the end. Prints the macro F1 of
the test part.
"""

import argparse
import csv
import json
import os
import tempfile


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--vocabulary", required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    import torch
    from sklearn.metrics import f1_score
    from tokenizers import ByteLevelBPETokenizer
    from torch.utils.data import Dataset
    from transformers import RobertaConfig, RobertaForSequenceClassification, Trainer, TrainingArguments

    torch.set_num_threads(arguments.threads)
    with open(arguments.config, encoding="utf-8") as file:
        job = json.load(file)
    model, train = job["model"], job["train"]
    tokenizer = ByteLevelBPETokenizer(f"{arguments.vocabulary}/vocab.json", f"{arguments.vocabulary}/merges.txt")
    with open(arguments.texts, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    index = {name: i for i, name in enumerate(classes)}

    class Part(Dataset):
        def __init__(self, name):
            chosen = [row for row in rows if row["part"] == name]
            encoded = tokenizer.encode_batch([row["text"] for row in chosen])
            longest = job["tokenizer"]["max_length"] - 2
            self.ids = [[0, *one.ids[:longest], 2] for one in encoded]
            self.labels = [index[row["label"]] for row in chosen]

        def __len__(self):
            return len(self.ids)

        def __getitem__(self, row):
            return {"input_ids": self.ids[row], "labels": self.labels[row]}

    def collate(batch):
        longest = max(len(row["input_ids"]) for row in batch)
        ids = torch.full((len(batch), longest), 1)
        mask = torch.zeros((len(batch), longest), dtype=torch.long)
        for i, row in enumerate(batch):
            ids[i, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
            mask[i, : len(row["input_ids"])] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in batch])}

    def macro_f1(prediction):
        return {"macro_f1": f1_score(prediction.label_ids, prediction.predictions.argmax(1), average="macro")}

    config = RobertaConfig(
        vocab_size=50265,
        hidden_size=model["hidden_size"],
        num_hidden_layers=model["num_hidden_layers"],
        num_attention_heads=model["num_attention_heads"],
        intermediate_size=model["intermediate_size"],
        max_position_embeddings=model["max_position_embeddings"],
        hidden_dropout_prob=model["hidden_dropout_prob"],
        attention_probs_dropout_prob=model["attention_probs_dropout_prob"],
        initializer_range=model["initializer_range"],
        type_vocab_size=1,
        num_labels=len(classes),
        attn_implementation="sdpa",
    )
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(job["seed"]["initialization"])
        trainer = Trainer(
            model=RobertaForSequenceClassification(config),
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=train["epochs"],
                per_device_train_batch_size=train["batch_size"],
                per_device_eval_batch_size=64,
                learning_rate=train["learning_rate"],
                adam_beta2=train["adam_beta2"],
                weight_decay=train["weight_decay"],
                warmup_steps=train["warmup_ratio"],
                optim="adamw_torch_fused",
                train_sampling_strategy="group_by_length",
                use_cpu=True,
                dataloader_pin_memory=False,
                eval_strategy="epoch",
                logging_steps=1000000,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=job["seed"]["data_order"],
            ),
            train_dataset=Part("train"),
            eval_dataset=Part("validation"),
            data_collator=collate,
            compute_metrics=macro_f1,
        )
        trainer.train()
        print(json.dumps({"macro_f1": trainer.predict(Part("test")).metrics["test_macro_f1"]}))


if __name__ == "__main__":
    main()
