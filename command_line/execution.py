"""What every script does once its task is assembled: check the directory, then train, evaluate, predict, export."""

import dataclasses
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line import commands, first_adapter, scopes
from command_line.flags.declaration import FlagSet
from command_line.model_files import ModelFiles
from command_line.settings import (
    check_batches,
    check_merging,
    check_periodic_evaluation,
    check_precision,
    experiment_settings,
    require,
    require_an_action,
)
from common import onednn
from common.cluster.base import Cluster
from common.cluster.member import VARIABLE
from common.errors import FlagError, RunDirectoryError
from common.files import file_digest
from common.paths import path_of
from common.run_directory import RunDirectory
from export.onnx_packages import check_packages
from export.signatures import INT8, NOT_QUANTIZED, ExportSettings, Quantization
from tasks.base import DEV, TEST, TRAIN, Task

log = logging.getLogger(__name__)

STANDARD_INPUT = "-"
ACTIONS = ("do_train", "do_eval", "do_predict", "do_export")


@dataclasses.dataclass
class Results:
    """What a command has done.

    Args:
      scores: of the evaluation, by name; empty where there was none.
      export: folder of the export; None where there was none.
      main_metric: the score that says which of several runs is best.
    """

    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    export: Path | None = None
    main_metric: str = "loss"


def check_actions(flags: SimpleNamespace, *further: str) -> None:
    """Checks what every script asks for, before anything is read.

    Args:
      further: actions of the script besides `ACTIONS`.

    Raises:
      FlagError: nothing to do, nowhere to do it, or a flag without the one it belongs to.
      RunDirectoryError: the output directory is a file.
    """
    if not (flags.validate_only or flags.only_check_args):
        require_an_action(flags, *ACTIONS, *further, "validate_only")
        require(flags, "output_dir")
        directory = RunDirectory(path_of(flags.output_dir))
        if directory.path.is_file():
            directory.check({})
    check_batches(flags)
    check_periodic_evaluation(flags)
    check_precision(flags)
    if hasattr(flags, "runner"):  # a task of a user's file may have no such flag
        check_runner(flags)
    for name in ("export_frozen_graph", "export_onnx"):
        if getattr(flags, name) and not flags.do_export:
            raise FlagError(f"--{name} needs --do_export; add it")
    check_quantization(flags)
    if flags.export_onnx:
        check_packages()


def quantizes(flags: SimpleNamespace) -> bool:
    """Whether the export is to have weights of 8 bits."""
    return bool(flags.quantize != NOT_QUANTIZED)


def check_quantization(flags: SimpleNamespace) -> None:
    """Checks the flags about weights of 8 bits.

    Raises:
      FlagError: one without that which it belongs to.
    """
    if quantizes(flags) and not flags.export_onnx:
        raise FlagError(f"--quantize={flags.quantize} needs --export_onnx; add it")
    if "max_accuracy_loss" in flags.given and not quantizes(flags):
        raise FlagError(f"--max_accuracy_loss needs --quantize; add --quantize={INT8}")


def export_settings(flags: SimpleNamespace, experiment: Any) -> ExportSettings:
    """What --do_export writes."""
    quantization = Quantization(flags.max_accuracy_loss, experiment.accuracy) if quantizes(flags) else None
    return ExportSettings(flags.export_signatures, flags.export_frozen_graph, flags.export_onnx, quantization)


def write_export(flags: SimpleNamespace, experiment: Any) -> Path:
    """Exports the trained checkpoint; where several engines can answer from it, chooses one."""
    export: Path = experiment.export(export_settings(flags, experiment), getattr(flags, "merge_adapters", False))
    RunDirectory(experiment.output_dir).note_export(export)
    if flags.export_onnx:
        from serving.engine_choice import choose_engine

        choose_engine(export)
    return export


def check_cluster(flags: SimpleNamespace, machines: int) -> None:
    """Refuses what several machines cannot do together.

    Raises:
      FlagError: naming it.
    """
    refused = [*(name for name in ACTIONS if name != "do_train"), "do_score", "use_tpu", "use_xla", "cache_features"]
    refused += ["teacher", "teacher_predictions"]
    alone = [f"--{name}" for name in refused if getattr(flags, name, None)]
    if alone:
        raise FlagError(
            f"{VARIABLE} names a cluster of {machines} machines, which train together and do nothing else; run "
            f"{', '.join(alone)} as a command of its own without {VARIABLE}"
        )
    if flags.train_batch_size % machines:
        raise FlagError(
            f"--train_batch_size={flags.train_batch_size} cannot be shared by {machines} machines; give a multiple of "
            f"{machines}"
        )


def answered_from_export(flags: SimpleNamespace, declared: FlagSet, directory: RunDirectory) -> bool:
    """Answers standard input from the newest export where that is all there is to do; says whether it did.

    Args:
      flags: before those of earlier commands are known.
      declared: the flags of the script.
      directory: the output directory.

    Raises:
      BertError: there is neither an export nor a checkpoint to make one of, or the export answers in another way than
        the flags say.
    """
    export = directory.latest_export()
    reads = flags.do_predict and flags.predict_file == STANDARD_INPUT
    if reads and export is not None and not (flags.do_train or flags.do_export):
        scopes.check_export(flags, declared, directory, export)
    if not (reads and asks_only_standard_input(flags)) or flags.validate_only or flags.only_check_args:
        return False
    if export is not None and not _is_of_other_weights(flags, directory):
        # A task of a user's file may have no such flag.
        answer_standard_input(directory, flags, getattr(flags, "encoding", None))
        return True
    if not directory.is_trained() and not flags.init_checkpoint:
        raise FlagError(
            f"--predict_file=-: --output_dir={directory.path} holds no export and no checkpoint to answer from; "
            "run with --do_train --do_export first, or give an --init_checkpoint that has a trained head"
        )
    return False


def _is_of_other_weights(flags: SimpleNamespace, directory: RunDirectory) -> bool:
    """Whether an export may have been made of another `--init_checkpoint` than that of the command."""
    return bool(flags.init_checkpoint) and not directory.is_trained()


def asks_only_standard_input(flags: SimpleNamespace) -> bool:
    """Whether nothing is left to do but to answer what comes in."""
    return flags.predict_file == STANDARD_INPUT and not (flags.do_train or flags.do_eval or flags.do_export)


def execute(
    flags: SimpleNamespace, declared: FlagSet, task: Task, directory: RunDirectory, files: ModelFiles
) -> Results:
    """Trains, evaluates, predicts, exports: whichever were asked for, in this order.

    Raises:
      BertError: an error that the user can fix; `RunDirectoryError` before anything is written, if the directory
        belongs to a run that differs.
    """
    answers_test = flags.do_predict and flags.predict_file != STANDARD_INPUT
    evaluates = flags.do_eval or flags.eval_every_n_steps or quantizes(flags)
    asked = {TRAIN: flags.do_train, DEV: evaluates, TEST: answers_test}
    needs_trained = flags.do_export or flags.predict_file == STANDARD_INPUT
    experiment = begin(
        flags, declared, task, directory, files, [split for split in asked if asked[split]], needs_trained
    )
    results = Results(main_metric=task.main_metric)
    if flags.do_train:
        experiment.train()
    if flags.do_eval:
        results.scores = experiment.evaluate()
    if answers_test:
        experiment.predict(runner=_runner(flags))
    if flags.do_export:
        results.export = write_export(flags, experiment)
    if flags.do_predict and flags.predict_file == STANDARD_INPUT:
        export = directory.latest_export()
        is_other = results.export is None and _is_of_other_weights(flags, directory)
        if export is None or is_other or directory.outdated(export):
            directory.note_export(experiment.export())
        # A recorded encoding is that of files.
        encoding = flags.encoding if "encoding" in flags.typed else None
        answer_standard_input(directory, flags, encoding)
    return results


def _runner(flags: SimpleNamespace) -> Any:
    """Where a Beam pipeline predicts; None where this process does."""
    if not getattr(flags, "runner", None):
        return None
    from estimator.bulk import Runner

    return Runner(flags.runner, flags.beam_options)


def check_runner(flags: SimpleNamespace) -> None:
    """Checks the flags of a Beam pipeline against the others.

    Raises:
      FlagError: two flags do not go together.
    """
    if flags.beam_options and not flags.runner:
        raise FlagError("--beam_options are for Apache Beam; name a --runner, as in --runner=DirectRunner")
    if flags.runner and not (flags.do_predict and flags.predict_file != STANDARD_INPUT):
        raise FlagError(f"--runner={flags.runner} predicts files; add --do_predict, or leave it out")


def begin(
    flags: SimpleNamespace,
    declared: FlagSet,
    task: Task,
    directory: RunDirectory,
    files: ModelFiles,
    splits: Sequence[str],
    needs_trained: bool = False,
) -> Any:
    """Validates input, then writes run.json.

    Args:
      declared: the flags of the script.
      splits: what the run will read: every row of them is looked at first.
      needs_trained: whether it ends with what only a trained checkpoint can do.

    Returns:
      The `estimator.experiment.Experiment`, ready to run.

    Raises:
      BertError: as `execute`.
    """
    identity = {**task.identity(), **files.identity()}
    directory.check(identity)
    check_merging(flags)
    from estimator import devices
    from estimator.experiment import Experiment

    devices.quiet_tensorflow()
    adapter = first_adapter.taken_over(flags, files.config, directory, task)
    settings = experiment_settings(flags, files.config, files.added_rows)
    settings, base = on_base(settings, directory, adapter)
    devices.check_gpus(settings.devices)
    flags.onednn = _onednn_state(flags.onednn)
    log.info(devices.banner(settings.devices))
    cluster = directory.cluster
    experiment = Experiment(task, settings, cluster)
    if not cluster.is_chief:
        return _following(experiment, cluster)
    # What the user can fix shows before the directory is this run's: weights first, then every row of every split.
    experiment.check_weights(is_training=flags.do_train)
    if settings.training.frozen and flags.do_train and not flags.init_checkpoint and not directory.is_trained():
        log.warning("--freeze=%s without --init_checkpoint: these parts keep random weights", settings.training.frozen)
    if needs_trained and not flags.do_train:
        experiment.check_export()
    held_out = _held_out(flags, task, directory)
    experiment.prepare(splits)
    _compare_code(identity, task, directory)
    record = scopes.to_record(flags, declared, directory)
    command = commands.begun(flags, declared, task, files, directory, splits)
    commands.warn_of_other_inputs(flags, command, task, directory, base is not None)
    command["device"] = devices.description(settings.devices, cluster)
    directory.write(identity, record, files.vocabulary, files.config.to_json_string(), held_out, base, command)
    if cluster.member is not None:
        cluster.tell(experiment.common_state())
    return experiment


def _onednn_state(asked: str) -> str:
    """What TensorFlow computes with; a warning where that is not what was asked for."""
    state = onednn.state()
    if asked not in (onednn.AUTO, state):
        log.warning(
            "--onednn=%s: TensorFlow was imported before, with oneDNN %s; results differ in their last bits",
            asked, state,
        )  # fmt: skip
    return state


def _following(experiment: Any, cluster: Cluster) -> Any:
    """The experiment, once the chief has converted the records and found what this machine finds."""
    from estimator import machines

    found = cluster.tell()
    experiment.check_weights(is_training=True)
    machines.check_same(cluster.member.name if cluster.member else "", experiment.common_state(), found)
    return experiment


def on_base(settings: Any, directory: RunDirectory, adapter: str | None) -> tuple[Any, dict[str, str] | None]:
    """The settings with the base that the run stands on, and what to record of it; None where it needs none.

    Raises:
      BertError: it is not there, or is another one than the run was trained on.
    """
    if not settings.model.needs_base:
        return settings, None
    from modeling.checkpoints.bases import settled_base

    recorded = (directory.description() or {}).get("base") if directory.is_trained() else None
    base = settled_base(settings.model.init_checkpoint, recorded, directory.path)
    first = {"init_checkpoint": base["path"], "base_fingerprint": base["fingerprint"], "init_adapter": adapter}
    model = dataclasses.replace(settings.model, **first)
    return dataclasses.replace(settings, model=model), base


def _compare_code(identity: dict[str, Any], task: Task, directory: RunDirectory) -> None:
    """Notes the code that the examples come from, and says where it has changed since the last command."""
    now = task.code_digest()
    there = (directory.description() or {}).get("identity", {}).get("code")
    if now and there and there != now:
        log.warning("the code of task %s has changed since the last command in %s", task.name, directory.path)
    if now:
        identity["code"] = now


def _held_out(flags: SimpleNamespace, task: Task, directory: RunDirectory) -> dict[str, str] | None:
    """Name and content of the training file that dev rows are held out from, compared with those of the training.

    Raises:
      RunDirectoryError: dev rows would be others than those of the training, some of which may have been trained on.
    """
    recorded = (directory.description() or {}).get("held_out")
    if not (flags.do_train or flags.do_eval or quantizes(flags)):
        return recorded
    path = task.held_out_file()
    found = None if path is None else {"file": path.name, "digest": file_digest(path)}
    if not directory.is_trained():
        return found
    _compare_held_out(recorded, found, task, directory.path)
    return found if flags.do_train else recorded


def _compare_held_out(
    recorded: Mapping[str, str] | None, found: Mapping[str, str] | None, task: Task, output_dir: Path
) -> None:
    """Refuses a trained run whose dev rows come from elsewhere now."""
    elsewhere = f"in another --output_dir with --init_checkpoint={output_dir}"
    if found and not recorded:
        raise RunDirectoryError(
            f"{task.held_out_file()}: the dev file that --output_dir={output_dir} was trained beside is not there, and "
            "rows held out from this file now are rows that were trained on; put the dev file back, or evaluate "
            f"another {elsewhere}"
        )
    if recorded and found and found["digest"] != recorded["digest"]:
        raise RunDirectoryError(
            f"{task.held_out_file()}: has changed since --output_dir={output_dir} was trained on it; other rows "
            "would be held out from it now, some of which were trained on; restore the file, or train into "
            "another --output_dir, or keep dev rows in a file of their own (--dev_file)"
        )
    if recorded and not found:
        files = ", ".join(map(str, task.data_files(DEV)))  # a MissingDataError where there is nothing to hold out from
        raise RunDirectoryError(
            f"{files}: was not there when --output_dir={output_dir} was trained, whose dev rows were held out from "
            f"{recorded['file']}; move it away, or evaluate it {elsewhere}"
        )


def answer_standard_input(directory: RunDirectory, flags: SimpleNamespace, encoding: str | None = None) -> None:
    """Answers lines of standard input from the newest export, as JSON lines on standard output.

    Raises:
      FlagError: there is no export.
    """
    export = directory.latest_export()
    if export is None:
        raise FlagError(f"--predict_file=-: {directory.path} holds no export; add --do_export")
    from estimator import devices
    from serving.lines import answer_lines
    from serving.predictor import Predictor

    devices.quiet_tensorflow()
    if made := directory.outdated(export):
        log.warning(
            "%s was made of %s, and %s has been trained further since; --do_export makes an export of what it is now",
            export, made, directory.path,
        )  # fmt: skip
    with Predictor(export, flags.engine) as predictor:
        log.info("answering standard input from %s, a line at a time: text columns parted by tabs, or JSON", export)
        answer_lines(predictor, sys.stdin.buffer, sys.stdout, flags.predict_batch_size, encoding)
