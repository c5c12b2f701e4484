"""Flags -> frozen settings, for every script alike."""

import copy
import dataclasses
from types import SimpleNamespace
from typing import Any

from common.errors import FlagError
from common.paths import path_of
from estimator.config import SKIP, STOP, DeviceSettings, ExperimentSettings, TrainingSettings
from modeling.config import BertConfig
from modeling.insertions import parse_insertions
from modeling.reading import parse_reading
from modeling.settings import FP16, ModelSettings
from modeling.training.freezing import FrozenParts, parse_frozen_parts
from processors.records.document_windows import WINDOWS
from tasks.base import DEV, TEST, TRAIN


def experiment_settings(flags: SimpleNamespace, config: BertConfig, added_rows: int = 0) -> ExperimentSettings:
    """The settings of a run, from flags that are checked by their definitions.

    Args:
      flags: of the command.
      config: of the encoder.
      added_rows: as of `ModelSettings`.
    """
    frozen = parse_frozen_parts(flags.freeze, config.num_hidden_layers)
    check_cache(flags, frozen, config)
    if flags.layerwise_lr_decay is not None and config.num_hidden_groups:
        raise FlagError(
            f"--layerwise_lr_decay={flags.layerwise_lr_decay:g}: layers of {config.family.title} share their weights, "
            "so that they have one rate; leave it out"
        )
    return ExperimentSettings(
        output_dir=path_of(flags.output_dir),
        model=dataclasses.replace(model_settings(flags, config), added_rows=added_rows),
        training=dataclasses.replace(training_settings(flags), frozen=frozen),
        devices=device_settings(flags),
        num_workers=flags.num_workers,
    )


def model_settings(flags: SimpleNamespace, config: BertConfig) -> ModelSettings:
    """The encoder, with the dropout that the flags ask for, and what is read of it.

    Raises:
      FlagError: a layer that is not there, or flags that contradict each other.
    """
    given = {"hidden_dropout_prob": flags.hidden_dropout, "attention_probs_dropout_prob": flags.attention_dropout}
    config = copy.deepcopy(config)
    for name, value in given.items():
        if value is not None:
            setattr(config, name, value)
    model = ModelSettings(config, flags.init_checkpoint or None, flags.use_one_hot_embeddings)
    if not hasattr(flags, "pooling"):  # a script that trains whole encoders
        return model
    return dataclasses.replace(
        model,
        reading=parse_reading(flags, config),
        insertions=parse_insertions(flags),
        cached_as=flags.cache_features or None,
        is_cut=flags.num_layers_used is not None,
    )


def check_cache(flags: SimpleNamespace, frozen: FrozenParts, config: BertConfig) -> None:
    """Checks that the encoder's outputs stay what they are, where they are to be kept.

    Raises:
      FlagError: a part of it is trained, or the input cannot be of kept outputs.
    """
    dtype = getattr(flags, "cache_features", None)
    if not dtype:
        return
    where = f"--cache_features={dtype}"
    if frozen != FrozenParts(True, tuple(range(config.num_hidden_layers)), True):
        raise FlagError(f"{where} needs a wholly frozen encoder; add --freeze=encoder,pooler")
    if flags.layer_mix:
        raise FlagError(f"{where} keeps what the head reads, but --layer_mix is still learned; remove one of them")
    for name in ("adapter_size", "lora_rank", "pad_to_max_length", "use_xla", "use_tpu"):
        if getattr(flags, name, None):
            raise FlagError(f"{where} and --{name} do not go together; remove one of them")
    if getattr(flags, "truncation", None) == WINDOWS:
        raise FlagError(f"{where} keeps the outputs of one sequence a row; remove it, or --truncation={WINDOWS}")
    if flags.gradient_accumulation_steps > 1:
        raise FlagError(f"{where} trains the head alone, which needs no --gradient_accumulation_steps; leave it out")


def check_merging(flags: SimpleNamespace) -> None:
    """Checks that what is to be merged at export can be.

    Raises:
      FlagError: there is no export, or nothing that is linear.
    """
    if not getattr(flags, "merge_adapters", False):
        return
    if not flags.do_export:
        raise FlagError("--merge_adapters needs --do_export; add it")
    if not flags.lora_rank:
        what = "bottlenecks are not linear, and stay" if flags.adapter_size else "there are none"
        raise FlagError(f"--merge_adapters folds low-rank deltas (--lora_rank) into layers: {what}; leave it out")


def training_settings(flags: SimpleNamespace) -> TrainingSettings:
    """The training settings that a script has flags for, under the same names; defaults for the others."""
    return TrainingSettings(**_of_the_same_name(flags, TrainingSettings))


def device_settings(flags: SimpleNamespace) -> DeviceSettings:
    """The device settings that a script has flags for; defaults for the others."""
    return DeviceSettings(**_of_the_same_name(flags, DeviceSettings))


def _of_the_same_name(flags: SimpleNamespace, settings: type) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(settings)} & vars(flags).keys()
    return {name: getattr(flags, name) for name in names}


def check_batches(flags: SimpleNamespace) -> None:
    """Checks that there is something to train, and that a batch of it can be cut into the parts asked for.

    Raises:
      FlagError: there is not, or it cannot.
    """
    for name in ("num_train_epochs", "num_train_steps"):
        if flags.do_train and getattr(flags, name, None) == 0:
            raise FlagError(f"--{name}=0 trains nothing; give a larger number, or leave --do_train out")
    rows, steps = flags.train_batch_size, flags.gradient_accumulation_steps
    if rows % steps:
        raise FlagError(
            f"--train_batch_size={rows} cannot be cut into --gradient_accumulation_steps={steps} equal parts; "
            f"give a batch size that is a multiple of {steps}, such as {rows - rows % steps + steps}"
        )


def check_precision(flags: SimpleNamespace) -> None:
    """Checks that the device has the type to compute in.

    Raises:
      FlagError: it does not.
    """
    if flags.use_tpu and flags.precision == FP16:
        raise FlagError("--precision=fp16: a TPU has no float16; use --precision=bf16")
    if getattr(flags, "on_nan", STOP) == SKIP and (flags.use_tpu or flags.precision == FP16):
        other = "--use_tpu cannot leave updates out" if flags.use_tpu else "--precision=fp16 skips by its loss scale"
        raise FlagError(f"--on_nan=skip: {other}; remove one of them")


def check_periodic_evaluation(flags: SimpleNamespace) -> None:
    """Checks the flags about evaluation while training goes on.

    Raises:
      FlagError: one of them without --eval_every_n_steps, or that where it cannot be.
    """
    every = flags.eval_every_n_steps
    if every is None:
        needing = {"early_stopping_patience", "best_metric", "keep_best_checkpoint"}
        for name in (needing - ({"best_metric"} if flags.num_seeds > 1 else set())) & flags.given:
            if flags.do_train and getattr(flags, name):
                raise FlagError(f"--{name} needs --eval_every_n_steps; add it")
        return
    if not flags.do_train:
        raise FlagError("--eval_every_n_steps needs --do_train; add it, or evaluate once with --do_eval")
    if flags.use_tpu:
        raise FlagError("--eval_every_n_steps cannot run beside training on a TPU; evaluate after it with --do_eval")
    if "save_checkpoints_steps" in flags.given and flags.save_checkpoints_steps != every:
        raise FlagError(
            f"--save_checkpoints_steps={flags.save_checkpoints_steps} contradicts --eval_every_n_steps={every}, which "
            "saves what it evaluates; remove one of them"
        )


def require(flags: SimpleNamespace, *names: str) -> None:
    """Asks for flags that have no default.

    Raises:
      FlagError: one of them is missing.
    """
    for name in names:
        if not getattr(flags, name):
            raise FlagError(f"--{name} is missing; give it (--help says what it means)")


def require_an_action(flags: SimpleNamespace, *names: str) -> None:
    """Asks for at least one of the `do_...` flags.

    Raises:
      FlagError: there is nothing to do.
    """
    if not any(getattr(flags, name) for name in names):
        raise FlagError(f"nothing to do: give at least one of {', '.join('--' + name for name in names)}")


def limits(flags: SimpleNamespace) -> dict[str, int | None]:
    """Examples to take from the start of each split at most; None for all."""
    return {
        TRAIN: flags.max_train_examples or None,
        DEV: flags.max_eval_examples or None,
        TEST: flags.max_predict_examples or None,
    }
