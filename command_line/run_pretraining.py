"""run_pretraining.py: its flags, and how they become a task; filling masks and scoring text."""

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from command_line.execution import STANDARD_INPUT, Results, begin, check_actions, quantizes, write_export
from command_line.flags.actions import ACTIONS
from command_line.flags.declaration import FlagSet
from command_line.flags.devices import DEVICES
from command_line.flags.model import MODEL
from command_line.flags.pretraining import PRETRAINING
from command_line.flags.training import EPOCHS_FLAGS, EVALUATION, UPDATES
from command_line.frame import TaskScript
from command_line.model_files import ModelFiles
from command_line.settings import require
from common.checkpoints import latest_checkpoint
from common.errors import CheckpointError, FlagError
from common.files import atomic_writer
from common.run_directory import RunDirectory
from modeling.config import BertConfig
from processors.pretraining import checks
from processors.pretraining.instance_records import record_files
from processors.records import record_sets
from processors.records.featurizer import Featurizer, chunked
from processors.records.length_order import BATCHES_SORTED_AT_ONCE
from processors.text_lines import TextLine, decoded_lines, read_text_lines
from tasks.base import DEV, TRAIN
from tasks.pretraining.task import PREDICTIONS_FILE, SCORES_FILE, PretrainingSettings, PretrainingTask

log = logging.getLogger(__name__)

MASKED_LM_WEIGHTS = "cls/predictions/transform/dense/kernel"
NEXT_SENTENCE_WEIGHTS = "cls/seq_relationship/output_weights"

Answer = Callable[[Any, Any, Any], dict[str, Any]]


class PretrainingScript(TaskScript[PretrainingTask]):
    """run_pretraining.py."""

    flags = FlagSet((ACTIONS, MODEL, PRETRAINING, UPDATES.without(*EPOCHS_FLAGS), EVALUATION, DEVICES))

    def check(self, flags: SimpleNamespace) -> None:
        """Checks the flags against each other."""
        check_actions(flags, "do_score")
        if quantizes(flags):
            raise FlagError(
                f"--quantize={flags.quantize}: masked-language models have no accuracy of answers on a dev split to "
                "compare by; leave it out, or quantize a model that is fine-tuned"
            )
        if flags.do_train or flags.validate_only or (flags.do_eval and not flags.eval_input_file):
            require(flags, "input_file")
        if flags.do_predict or flags.do_score:
            require(flags, "predict_file")
        elif flags.predict_file:
            raise FlagError("--predict_file needs --do_predict or --do_score; add one of them")
        if flags.do_predict and flags.do_score and flags.predict_file == STANDARD_INPUT:
            raise FlagError("--predict_file=- can be read only once; give --do_predict or --do_score, not both")

    def is_answered(self, flags: SimpleNamespace, directory: RunDirectory) -> bool:
        """Never: text is filled and scored with the checkpoint."""
        return False

    def settled(self, flags: SimpleNamespace) -> SimpleNamespace:
        """Finds the record files, and warns of a warm-up that lasts to the end."""
        if flags.do_train and flags.num_warmup_steps >= flags.num_train_steps:
            log.warning(
                "--num_warmup_steps=%d is not below --num_train_steps=%d: the learning rate rises to the end and "
                "reaches %.0f%% of --learning_rate; a tenth of the steps is usual",
                flags.num_warmup_steps, flags.num_train_steps, 100 * flags.num_train_steps / flags.num_warmup_steps,
            )  # fmt: skip
        paths = {split: record_files(*given) for split, given in _inputs(flags).items()}
        return SimpleNamespace(**vars(flags), record_paths=paths)

    def reads_text(self, flags: SimpleNamespace) -> bool:
        """Training and evaluation read records alone."""
        return _answers(flags) or bool(flags.do_export)

    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> PretrainingTask:
        """The records that the flags name, looked into."""
        identity = (directory.description() or {}).get("identity", {})
        if flags.record_paths:
            kind = _check_records(flags.record_paths, flags, files.config)
        else:
            kind = checks.RecordKind(identity.get("next_sentence", _brings_next_sentence(flags.init_checkpoint)))
        _check_family(files.config, kind.next_sentence)
        shape = (flags.max_seq_length, flags.max_predictions_per_seq, kind.next_sentence)
        settings = PretrainingSettings(*shape, flags.top_k, kind.packed)
        return PretrainingTask(files.config, settings, flags.record_paths, files.tokenizer)

    def report(self, flags: SimpleNamespace, task: PretrainingTask) -> None:
        """Prints files and records of each split, and of which kind they are."""
        for split in flags.record_paths:
            paths = task.record_files(split)
            print(f"{split}: {record_sets.given(paths).num_records} records in {len(paths)} files")
        labels = "in every record looked at" if task.settings.next_sentence else "none; masked tokens only"
        print(f"next-sentence labels: {labels}")
        if task.settings.packed:
            print("rows: several instances in each (--pack_sequences)")

    def execute(
        self, flags: SimpleNamespace, task: PretrainingTask, directory: RunDirectory, files: ModelFiles
    ) -> Results:
        """Trains, evaluates, exports, fills masks, scores: what the command asks for, in this order."""
        evaluates = flags.do_eval or flags.eval_every_n_steps
        splits = [split for split, is_read in ((TRAIN, flags.do_train), (DEV, evaluates)) if is_read]
        if _answers(flags) and not flags.do_train:
            _check_head(directory, flags.init_checkpoint)
        experiment = begin(flags, self.flags, task, directory, files, splits, needs_trained=flags.do_export)
        results = Results()
        if flags.do_train:
            experiment.train()
        if flags.do_eval:
            results.scores = experiment.evaluate()
        if flags.do_export:
            results.export = write_export(flags, experiment)
        _answer(flags, task, experiment, directory)
        return results


def _brings_next_sentence(init_checkpoint: str | None) -> bool:
    """Whether weights have a head for next sentences; so they may where there are none to look into."""
    from modeling.checkpoints.restore import checkpoint_variables

    return not init_checkpoint or NEXT_SENTENCE_WEIGHTS in checkpoint_variables(init_checkpoint)


def _check_family(config: BertConfig, next_sentence: bool) -> None:
    """Refuses to pretrain heads that models of the family do not have.

    Raises:
      FlagError: it has none for masked tokens, or none for next sentences, which the records hold.
    """
    family = config.family
    reason = family.lacks.get("cls/predictions/output_bias")
    if reason is not None:
        raise FlagError(f"--bert_config_file: {family.title} has no masked-language head: {reason}; use another model")
    reason = family.lacks.get(NEXT_SENTENCE_WEIGHTS)
    if next_sentence and reason is not None:
        raise FlagError(
            f"--input_file: records with next sentences, but {family.title} has no head for them: {reason}; make them "
            "with create_pretraining_data.py --no_nsp"
        )


def _answer(flags: SimpleNamespace, task: PretrainingTask, experiment: Any, directory: RunDirectory) -> None:
    # Scoring makes many rows of a line, all of one length: more lines at once would gain nothing.
    jobs: tuple[tuple[bool, Featurizer, Answer, str, int], ...] = (
        (flags.do_predict, task.featurizer, task.guesses, PREDICTIONS_FILE, BATCHES_SORTED_AT_ONCE),
        (flags.do_score, task.scoring, task.text_score, SCORES_FILE, 1),
    )
    for is_wanted, featurizer, answer, name, batches in jobs:
        if is_wanted:
            with _sink(flags.predict_file, directory.path / name) as write:
                for line, windows, outputs in experiment.stream(featurizer, _lines(flags, batches)):
                    write(json.dumps(answer(line, windows, outputs), ensure_ascii=False) + "\n")


def _inputs(flags: SimpleNamespace) -> dict[str, tuple[str, str]]:
    """Patterns of the record files that the run will read by split, and the flag of each."""
    inputs = {}
    if flags.do_train or flags.validate_only:
        inputs[TRAIN] = (flags.input_file, "--input_file")
    if flags.do_eval or flags.eval_every_n_steps or (flags.validate_only and flags.eval_input_file):
        own = (flags.eval_input_file, "--eval_input_file")
        inputs[DEV] = own if flags.eval_input_file else (flags.input_file, "--input_file")
    return inputs


def _check_records(
    files: Mapping[str, Sequence[Path]], flags: SimpleNamespace, config: BertConfig
) -> checks.RecordKind:
    from estimator import devices

    devices.quiet_tensorflow()
    paths = list(dict.fromkeys(path for split in files.values() for path in split))
    shape = (flags.max_seq_length, flags.max_predictions_per_seq)
    return checks.kind_of_records(paths, *shape, config.vocab_size, config.type_vocab_size)


def _answers(flags: SimpleNamespace) -> bool:
    return bool(flags.do_predict or flags.do_score)


def _check_head(directory: RunDirectory, init_checkpoint: str | None) -> None:
    """Refuses to answer from weights that have never learnt to.

    Raises:
      CheckpointError: the checkpoint has no masked-language-model head.
    """
    from modeling.checkpoints.restore import checkpoint_variables

    trained = latest_checkpoint(directory.path)
    checkpoint = trained.prefix if trained else init_checkpoint
    if checkpoint and MASKED_LM_WEIGHTS not in checkpoint_variables(checkpoint):
        raise CheckpointError(
            f"{checkpoint}: has no masked-language-model head ({MASKED_LM_WEIGHTS}), so its guesses would be random; "
            "train one with --do_train, or give a checkpoint of pretraining"
        )


def _lines(flags: SimpleNamespace, batches: int) -> Iterator[list[TextLine]]:
    """Lines of `--predict_file` in lists: some batches each, or what has arrived."""
    size = flags.predict_batch_size * batches
    if flags.predict_file != STANDARD_INPUT:
        return chunked(read_text_lines(Path(flags.predict_file), flags.encoding), size)
    from serving.lines import arriving_lines

    return decoded_lines(arriving_lines(sys.stdin.buffer, size), encoding=flags.encoding)


@contextlib.contextmanager
def _sink(predict_file: str, path: Path) -> Iterator[Callable[[str], Any]]:
    """Where answers go: to `path`, or at once to standard output if the text comes from standard input."""
    if predict_file != STANDARD_INPUT:
        with atomic_writer(path) as stream:
            yield stream.write
        log.info("wrote %s", path)
        return
    yield lambda text: print(text, end="", flush=True)


SCRIPT = PretrainingScript()
