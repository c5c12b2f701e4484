"""Batches, learning rate, length of training, evaluation while training, and what else decides an update."""

from typing import Any

from command_line.flags.declaration import Flag, Group, Scope, default_of
from common.errors import BertError
from estimator.config import ADAMW, LAMB, SKIP, STOP, TrainingSettings
from modeling.training.freezing import parse_frozen_parts


def _default(field: str) -> Any:
    return default_of(TrainingSettings, field)


def same_parts(given: Any, recorded: Any, identity: Any) -> bool:
    """Whether two values of `--freeze` name the same parts of the run's architecture."""
    layers = identity.get("architecture", {}).get("num_hidden_layers", 0)
    try:
        return parse_frozen_parts(given, layers) == parse_frozen_parts(recorded, layers)
    except BertError:  # reported where the flag is read
        return bool(given == recorded)


UPDATES = Group(
    "Training",
    (
        Flag(
            "train_batch_size",
            int,
            _default("train_batch_size"),
            "Rows of one optimizer update, over all devices.",
            Scope.REMEMBERED,
            minimum=1,
            is_main=True,
        ),
        Flag(
            "learning_rate",
            float,
            _default("learning_rate"),
            "Peak learning rate.",
            Scope.REMEMBERED,
            minimum=0.0,
            is_main=True,
        ),
        Flag(
            "head_learning_rate",
            float,
            None,
            "Peak learning rate of what stands on the encoder and starts from random values; default --learning_rate.",
            Scope.REMEMBERED,
            minimum=0.0,
        ),
        Flag(
            "layerwise_lr_decay",
            float,
            None,
            "Factor between the learning rates of neighbouring layers, as in ELECTRA: the head has --learning_rate, "
            "the pooler one factor less, the top layer two, the embeddings the most.",
            Scope.REMEMBERED,
            minimum=0.0,
            maximum=1.0,
        ),
        Flag(
            "weight_decay",
            float,
            _default("weight_decay"),
            "Fraction of a weight that each update takes off, times the learning rate; biases and normalizations have "
            "none.",
            Scope.REMEMBERED,
            minimum=0.0,
        ),
        Flag(
            "adam_beta1",
            float,
            _default("adam_beta1"),
            "Decay of Adam's mean of the gradients.",
            Scope.REMEMBERED,
            minimum=0.0,
            maximum=1.0,
        ),
        Flag(
            "adam_beta2",
            float,
            _default("adam_beta2"),
            "Decay of Adam's mean of the squared gradients.",
            Scope.REMEMBERED,
            minimum=0.0,
            maximum=1.0,
        ),
        Flag(
            "adam_epsilon",
            float,
            _default("adam_epsilon"),
            "Added to the root of the latter.",
            Scope.REMEMBERED,
            minimum=0.0,
        ),
        Flag(
            "adam_bias_correction",
            bool,
            _default("adam_bias_correction"),
            "Correct Adam's means for their start at zero, which upstream's AdamW does not; LAMB always does.",
            Scope.REMEMBERED,
        ),
        Flag(
            "clip_norm",
            float,
            _default("clip_norm"),
            "Global norm that gradients are scaled down to.",
            Scope.REMEMBERED,
            minimum=0.0,
        ),
        Flag(
            "decay_after_warmup",
            bool,
            _default("decay_after_warmup"),
            "Let the learning rate fall from its peak at the end of warm-up; upstream counts the fall from the first "
            "update.",
            Scope.REMEMBERED,
        ),
        Flag(
            "hidden_dropout",
            float,
            None,
            "Probability of dropping a hidden value in training. Without it, as the configuration says.",
            Scope.REMEMBERED,
            minimum=0.0,
            maximum=0.99,
        ),
        Flag(
            "attention_dropout",
            float,
            None,
            "Probability of dropping an attention weight in training. Without it, as the configuration says.",
            Scope.REMEMBERED,
            minimum=0.0,
            maximum=0.99,
        ),
        Flag(
            "num_train_epochs",
            float,
            _default("num_train_epochs"),
            "Passes over the training rows.",
            Scope.REMEMBERED,
            minimum=0.0,
            is_main=True,
        ),
        Flag(
            "warmup_proportion",
            float,
            _default("warmup_proportion"),
            "Fraction of the updates in which the learning rate rises from 0 to its peak.",
            Scope.REMEMBERED,
            minimum=0.0,
            maximum=1.0,
        ),
        Flag("num_train_steps", int, 100_000, "Updates to train for.", Scope.REMEMBERED, minimum=1, is_main=True),
        Flag(
            "num_warmup_steps",
            int,
            10_000,
            "Updates in which the learning rate rises from 0 to its peak.",
            Scope.REMEMBERED,
            minimum=0,
            is_main=True,
        ),
        Flag(
            "optimizer",
            (ADAMW, LAMB),
            _default("optimizer"),
            "AdamW as google-research/bert has it, or LAMB, for batches of thousands of rows.",
            Scope.FIXED,
        ),
        Flag(
            "freeze",
            str,
            None,
            "Parts of the model that are not trained: embeddings, layers from 0 (3, 0-5), pooler, or encoder for the "
            "embeddings and all layers; comma-separated, as in embeddings,0-5.",
            Scope.FIXED,
            same=same_parts,
        ),
        Flag(
            "gradient_accumulation_steps",
            int,
            _default("gradient_accumulation_steps"),
            "Micro-batches that --train_batch_size is computed in, to save memory.",
            Scope.REMEMBERED,
            minimum=1,
        ),
        Flag(
            "recompute",
            bool,
            _default("recompute"),
            "Recompute activations in the backward pass (gradient checkpointing): less memory, a third more work.",
            Scope.REMEMBERED,
        ),
        Flag(
            "shuffle_buffer", int, 100_000, "Records that are shuffled together at most.", Scope.REMEMBERED, minimum=1
        ),
        Flag(
            "seed",
            int,
            _default("seed"),
            "Seed of the held-out dev rows, the shuffle, new weights and dropout.",
            Scope.FIXED,
        ),
        Flag(
            "num_seeds",
            int,
            1,
            "With --do_train --do_eval: train with so many seeds, from --seed on, each in OUTPUT_DIR/seed-N, and sum "
            "up their scores in OUTPUT_DIR/seeds.json. A command that was stopped goes on where it was.",
            Scope.FREE,
            minimum=1,
        ),
        Flag(
            "on_nan",
            (STOP, SKIP),
            _default("on_nan"),
            "At an update whose loss or gradients are NaN or infinite: stop, or skip it, name its rows and count it. A "
            "skipped update is a step: rows and learning rate go on.",
            Scope.REMEMBERED,
        ),
        Flag(
            "deterministic",
            bool,
            _default("deterministic"),
            "Give equal commands equal bits on equal machines, also where a run was stopped and started again: dropout "
            "by step and place instead of in a stream, and no operation whose order of additions varies.",
            Scope.REMEMBERED,
        ),
        Flag(
            "log_every_n_steps",
            int,
            _default("log_every_n_steps"),
            "Updates between two lines of progress.",
            Scope.FREE,
            minimum=1,
        ),
    ),
)

EVALUATION = Group(
    "Evaluation and checkpoints",
    (
        Flag(
            "eval_batch_size",
            int,
            _default("eval_batch_size"),
            "Rows of a batch in evaluation.",
            Scope.FREE,
            minimum=1,
        ),
        Flag(
            "predict_batch_size",
            int,
            _default("predict_batch_size"),
            "Rows of a batch in prediction.",
            Scope.FREE,
            minimum=1,
        ),
        Flag("max_eval_steps", int, 100, "Batches of an evaluation at most.", Scope.REMEMBERED, minimum=1),
        Flag(
            "save_checkpoints_steps",
            int,
            _default("save_checkpoints_steps"),
            "Updates between two checkpoints.",
            Scope.REMEMBERED,
            minimum=1,
        ),
        Flag(
            "keep_checkpoint_max",
            int,
            _default("keep_checkpoint_max"),
            "Checkpoints to keep; 0 keeps all.",
            Scope.REMEMBERED,
            minimum=0,
        ),
        Flag(
            "eval_every_n_steps",
            int,
            _default("eval_every_n_steps"),
            "With --do_train: save a checkpoint and evaluate it every N updates, and draw learning_curve.png.",
            Scope.FREE,
            minimum=1,
            is_main=True,
        ),
        Flag(
            "best_metric",
            str,
            _default("best_metric"),
            "Score that decides which checkpoint is best, such as loss or f1. Without it, f1 for SQuAD, else loss.",
            Scope.FIXED,
        ),
        Flag(
            "early_stopping_patience",
            int,
            _default("early_stopping_patience"),
            "Stop training after N evaluations of --eval_every_n_steps without a better score.",
            Scope.FREE,
            minimum=1,
            is_main=True,
        ),
        Flag(
            "keep_best_checkpoint",
            bool,
            _default("keep_best_checkpoint"),
            "Keep the best checkpoint of --eval_every_n_steps in OUTPUT_DIR/best, and evaluate, predict and export "
            "with it.",
            Scope.REMEMBERED,
            is_main=True,
        ),
    ),
)

STEPS_FLAGS = ("num_train_steps", "num_warmup_steps", "shuffle_buffer")
"""Length of training in updates, for pretraining."""
EPOCHS_FLAGS = ("num_train_epochs", "warmup_proportion")
"""Length of training in passes over the rows, for fine-tuning."""
