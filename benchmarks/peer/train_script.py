"""A training as a script of the peer's users: tables in, `Trainer`, one step; prints when that step had ended.

python -m benchmarks.peer.train_script WEIGHTS TRAIN_TSV FOLDER
"""

import sys
import time
from pathlib import Path
from typing import Any


def main(weights: str, table: str, folder: str) -> None:
    """Converts the table, then trains one step; prints seconds since the epoch."""
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from benchmarks.peer.records import FILES, read_table, tokenized
    from benchmarks.protocol import TRAIN_BATCH_SIZE

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            print(time.time(), flush=True)

    tokenizer = AutoTokenizer.from_pretrained(weights)
    columns = FILES["MRPC"]
    data = tokenized(read_table(Path(table), folder), tokenizer, columns, processes=None)
    model = AutoModelForSequenceClassification.from_pretrained(weights, num_labels=2)
    arguments = TrainingArguments(
        folder,
        per_device_train_batch_size=TRAIN_BATCH_SIZE,
        max_steps=1,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    data = data.rename_column("Quality", "labels").select_columns(
        ["input_ids", "token_type_ids", "attention_mask", "labels"]
    )
    torch.manual_seed(arguments.seed)
    collator = DataCollatorWithPadding(tokenizer)
    Trainer(model, arguments, data_collator=collator, train_dataset=data, callbacks=[Clock()]).train()


if __name__ == "__main__":
    main(*sys.argv[1:4])
