"""Flags -> frozen settings, for every script alike."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from common.errors import FlagError, RunDirectoryError
from estimator.config import DeviceSettings, ExperimentSettings, TrainingSettings
from modeling.config import BertConfig
from modeling.settings import FP16, ModelSettings
from modeling.training.freezing import parse_frozen_parts

log = logging.getLogger(__name__)


def experiment_settings(flags: SimpleNamespace, config: BertConfig) -> ExperimentSettings:
    """The settings of a run, from flags that are checked by their definitions."""
    frozen = parse_frozen_parts(flags.freeze, config.num_hidden_layers)
    return ExperimentSettings(
        output_dir=Path(flags.output_dir),
        model=ModelSettings(config, flags.init_checkpoint or None, flags.use_one_hot_embeddings),
        training=dataclasses.replace(training_settings(flags), frozen=frozen),
        devices=device_settings(flags),
        num_workers=flags.num_workers,
    )


def training_settings(flags: SimpleNamespace) -> TrainingSettings:
    """The training settings that a script has flags for, under the same names; defaults for the others."""
    return TrainingSettings(**_of_the_same_name(flags, TrainingSettings))


def device_settings(flags: SimpleNamespace) -> DeviceSettings:
    """The device settings that a script has flags for; defaults for the others."""
    padded = getattr(flags, "pad_to_max_length", False)
    return DeviceSettings(**_of_the_same_name(flags, DeviceSettings), static_shapes=padded)


def _of_the_same_name(flags: SimpleNamespace, settings: type) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(settings)} & vars(flags).keys()
    return {name: getattr(flags, name) for name in names}


def check_batches(flags: SimpleNamespace) -> None:
    """Checks that a training batch can be cut into the parts asked for.

    Raises:
      FlagError: it cannot.
    """
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


def check_periodic_evaluation(flags: SimpleNamespace) -> None:
    """Checks the flags about evaluation while training goes on.

    Raises:
      FlagError: one of them without --eval_every_n_steps, or that where it cannot be.
    """
    every = flags.eval_every_n_steps
    if every is None:
        for name in {"early_stopping_patience", "best_metric", "keep_best_checkpoint"} & flags.given:
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


def settle_freeze(flags: SimpleNamespace, earlier: Mapping[str, Any], config: BertConfig) -> SimpleNamespace:
    """Flags with `freeze` in one spelling, which `run.json` keeps as what the checkpoints were trained with.

    Args:
      earlier: flags that runs in the same output directory were given; its `freeze` is that of the last training.
      config: says how many layers there are.

    Returns:
      The flags; without `freeze` where nothing is trained, so that such a run neither needs nor changes it.

    Raises:
      FlagError: `--freeze` cannot be read, or names a layer that is not there.
      RunDirectoryError: training would go on with other parts frozen, so that the optimizer's state does not fit.
    """
    frozen = parse_frozen_parts(flags.freeze, config.num_hidden_layers)
    if not flags.do_train:
        return SimpleNamespace(**{**vars(flags), "freeze": None, "given": flags.given - {"freeze"}})
    now, there = str(frozen), earlier.get("freeze") or ""
    is_trained = bool(flags.output_dir) and (Path(flags.output_dir) / "checkpoint").is_file()
    if is_trained and now != there:
        raise RunDirectoryError(
            f"--output_dir={flags.output_dir} was trained {_with_freeze(there)}, now {_with_freeze(now)}: its "
            f"checkpoints hold the optimizer's state for other variables; train {_with_freeze(there)}, or into "
            f"another --output_dir with --init_checkpoint={flags.output_dir}"
        )
    if frozen and not is_trained and not flags.init_checkpoint:
        log.warning("--freeze=%s without --init_checkpoint: these parts keep random weights", frozen)
    recorded = {"freeze"} if now or there else set()
    return SimpleNamespace(**{**vars(flags), "freeze": now, "given": flags.given | recorded})


def _with_freeze(text: str) -> str:
    return f"with --freeze={text}" if text else "without --freeze"


def require(flags: SimpleNamespace, *names: str) -> None:
    """Asks for flags that have no default.

    Raises:
      FlagError: one of them is missing.
    """
    for name in names:
        if not getattr(flags, name):
            raise FlagError(f"--{name} is missing; give it (run with --help for what it means)")


def require_an_action(flags: SimpleNamespace, *names: str) -> None:
    """Asks for at least one of the `do_...` flags.

    Raises:
      FlagError: there is nothing to do.
    """
    if not any(getattr(flags, name) for name in names):
        raise FlagError(f"nothing to do: give at least one of {', '.join('--' + name for name in names)}")


def settle(flags: SimpleNamespace, earlier: Mapping[str, Any], names: Sequence[str]) -> SimpleNamespace:
    """Flags as given, else as an earlier run in the same output directory was given them, else their defaults.

    So `--do_predict --output_dir=runs/mine` is enough to use what an earlier command trained.
    """
    held = {name: earlier[name] for name in names if name in earlier and name not in flags.given}
    return SimpleNamespace(**{**vars(flags), **held, "given": flags.given | held.keys()})
