#!/usr/bin/env python3
"""Times the optimiser steps of Hugging Face's Trainer on token ids that step_speed --ids wrote; prints a line of JSON.

Run by training_speed.py (on the CPU) and gpu_speed.py. The model has the shape that step_speed gives ours: a RoBERTa
classifier with dropout 0.1, intermediate size 4 x hidden, hidden / 64 heads. ROWS are what its documentation advises for
speed; all of them use the fused AdamW and scaled_dot_product_attention.
"""

import argparse
import json
import os
import sys
import tempfile
import time

ROWS = {
    "default": {},
    "grouped": {"train_sampling_strategy": "group_by_length"},
    "grouped, 2 loaders": {
        "train_sampling_strategy": "group_by_length",
        "dataloader_num_workers": 2,
        "dataloader_persistent_workers": True,
        "dataloader_prefetch_factor": 4,
    },
    "grouped, compiled": {"train_sampling_strategy": "group_by_length", "torch_compile": True},
}


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ids", required=True)
    parser.add_argument("--row", choices=ROWS, default="default")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20, help="timed")
    parser.add_argument("--warm-up", type=int, default=5, help="steps before those")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--attention-dropout", type=float, default=0.1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    import torch
    from torch.utils.data import Dataset
    from transformers import RobertaConfig, RobertaForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    with open(arguments.ids, encoding="utf-8") as file:
        data = json.load(file)
    on_gpu = arguments.device == "cuda"

    class Texts(Dataset):
        def __len__(self):
            return len(data["ids"])

        def __getitem__(self, row):
            return {"input_ids": data["ids"][row], "labels": data["labels"][row]}

    def collate(rows):
        longest = max(len(row["input_ids"]) for row in rows)
        ids = torch.full((len(rows), longest), 1)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
            mask[i, : len(row["input_ids"])] = 1
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in rows])}

    class Clock(TrainerCallback):
        """Begins after the warm-up and ends with the last step; on a GPU both wait for it."""

        def read(self):
            if on_gpu:
                torch.cuda.synchronize()
            return time.perf_counter(), time.process_time()

        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == arguments.warm_up:
                if on_gpu:
                    torch.cuda.reset_peak_memory_stats()
                self.begin = self.read()
            if state.global_step == arguments.warm_up + arguments.steps:
                self.end = self.read()

    config = RobertaConfig(
        vocab_size=50265,
        hidden_size=arguments.hidden,
        num_hidden_layers=arguments.layers,
        num_attention_heads=max(1, arguments.hidden // 64),
        intermediate_size=4 * arguments.hidden,
        max_position_embeddings=514,
        type_vocab_size=1,
        attention_probs_dropout_prob=arguments.attention_dropout,
        num_labels=data["classes"],
        attn_implementation="sdpa",
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=RobertaForSequenceClassification(config),
            args=TrainingArguments(
                output_dir=folder,
                per_device_train_batch_size=arguments.batch,
                max_steps=arguments.warm_up + arguments.steps,
                learning_rate=1e-4,
                optim="adamw_torch_fused",
                bf16=arguments.precision == "bf16",
                use_cpu=not on_gpu,
                dataloader_pin_memory=on_gpu,
                logging_steps=1000000,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=1,
                **ROWS[arguments.row],
            ),
            train_dataset=Texts(),
            data_collator=collate,
            callbacks=[clock],
        )
        trainer.train()
    result = {
        "row": arguments.row,
        "seconds": (clock.end[0] - clock.begin[0]) / arguments.steps,
        "processor_seconds": (clock.end[1] - clock.begin[1]) / arguments.steps,
    }
    if on_gpu:
        result["peak_bytes"] = torch.cuda.max_memory_reserved()
        result["device"] = torch.cuda.get_device_name()
    print(json.dumps(result))


if __name__ == "__main__":
    sys.exit(main())
