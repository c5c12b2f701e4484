"""A checkpoint written anew, for TensorFlow or for Hugging Face: whole, and read back, before it is put in place."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from safetensors import SafetensorError

from common.errors import CheckpointError, DataError, one_line
from common.files import sync_folder, sync_tree, write_atomically, writing
from common.run_directory import BEST, RunDirectory
from export import hub
from modeling.checkpoints import export_assets, huggingface_files
from modeling.checkpoints.first_weights import check_weights
from modeling.checkpoints.huggingface import write_safetensors
from modeling.checkpoints.huggingface_files import HUB, HUGGING_FACE, TENSORFLOW, WEIGHTS
from modeling.checkpoints.locate import locate_checkpoint
from modeling.checkpoints.restore import checkpoint_variables, left_out, read_tensors, write_weights
from modeling.checkpoints.sources import Shapes, as_float32
from modeling.checkpoints.variable_names import GLOBAL_STEP, grouped, is_bookkeeping
from modeling.config import BertConfig
from modeling.families.bert import CLASSIFIER
from modeling.families.names import HeadNames
from modeling.reading import recorded_text
from processors.graph.tokenizer import why_not_in_graph
from processors.problem_types import PROBLEM_TYPES
from processors.tables.spec import parse_labels
from tokenization.base import Tokenizer
from tokenization.kinds import CASING, KINDS
from tokenization.stated_settings import ADDED_TOKENS, SPECIAL_TOKENS_MAP, stated_settings

_TITLES = {
    HUGGING_FACE: "Hugging Face weights ({classes})",
    TENSORFLOW: "TensorFlow 1 checkpoint",
    HUB: "SavedModels with TensorFlow Hub's API for text",
}


@dataclasses.dataclass(frozen=True)
class Description:
    """What a folder says of its model besides weights, architecture and vocabulary.

    Args:
      labels: of the classifier's outputs, in order; none where it does not say.
      problem_type: `single_label`, `multi_label`, `regression` or `multiple_choice`; None where it does not say.
      do_lower_case: casing of the tokenizer; None where it does not say.
      strip_accents: whether the tokenizer drops accents; None where it does not say.
      tokenize_chinese_chars: whether it sets Chinese characters apart; None where it does not say.
      users_head: name of a head of the user's that computes as none of Hugging Face's does; None where there is none.
      reading: what the head reads of the encoder other than upstream's, as flags; empty where nothing.
    """

    labels: tuple[str, ...] = ()
    problem_type: str | None = None
    do_lower_case: bool | None = None
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool | None = None
    users_head: str | None = None
    reading: str = ""


@dataclasses.dataclass(frozen=True)
class Model:
    """What is written beside the weights."""

    config: BertConfig
    vocabulary: Mapping[str, Path]
    description: Description
    tokenizer: Tokenizer


@dataclasses.dataclass(frozen=True)
class Conversion:
    """What became of a checkpoint's variables.

    Args:
      source: the checkpoint.
      target: the new folder.
      title: the format, and the classes of Hugging Face that fit.
      converted: variables by Google's names, each read back and found equal bit for bit.
      slots: number of the optimizer's variables that were left out.
      reasons: why other tensors were left out, by name.
      own_names: variables for which one of the two formats has no name; they keep theirs.
      cast: variables that were of another type than float32 and are float32 now.
      warnings: what else there is to know.
    """

    source: str
    target: Path
    title: str
    converted: tuple[str, ...]
    slots: int
    reasons: dict[str, str]
    own_names: tuple[str, ...]
    cast: tuple[str, ...]
    warnings: tuple[str, ...]

    def lines(self) -> list[str]:
        """The report, a line a group."""
        lines = [
            f"{self.target}: {self.title} of {self.source}, every variable read back and equal",
            f"converted: {len(self.converted)} variables: {grouped(self.converted, most=20)}",
        ]
        if self.slots:
            lines.append(f"left out: {self.slots} variables of the optimizer")
        lines += [f"left out: {name} ({reason})" for name, reason in sorted(self.reasons.items())]
        if self.cast:
            lines.append(f"converted to float32: {grouped(self.cast)}")
        if self.own_names:
            lines.append(
                f"warning: no counterpart, kept under their own names: {', '.join(self.own_names)}; no model reads them"
            )
        return lines + [f"warning: {warning}" for warning in self.warnings]


def describe(folder: Path) -> Description:
    """Reads what a run or an export of this project, or Hugging Face, left in the folder of a checkpoint.

    Args:
      folder: an output directory, its `best/`, an export, or any other that holds a checkpoint.

    Raises:
      BertError: a file that should say it cannot be read.
    """
    run = RunDirectory(folder)
    described = run.description() or (RunDirectory(folder.parent).description() if folder.name == BEST else None)
    described = described or _exported(folder)
    identity = described.get("identity", {})
    labels = identity.get("labels") or []
    if not labels and run.labels_file.is_file():
        labels = parse_labels(str(run.labels_file))
    lower = identity.get("do_lower_case")
    return Description(
        labels=tuple(map(str, labels or huggingface_files.stated_labels(folder))),
        problem_type=identity.get("problem_type") or huggingface_files.stated_problem_type(folder),
        do_lower_case=huggingface_files.stated_casing(folder) if lower is None else lower,
        strip_accents=identity.get("strip_accents"),
        tokenize_chinese_chars=identity.get("tokenize_chinese_chars"),
        users_head=None if identity.get("hugging_face_class") else identity.get("head"),
        reading=recorded_text(described.get("flags", {})),
    )


def _exported(folder: Path) -> dict[str, Any]:
    """What an export says in the terms of `run.json`; nothing where the folder holds none."""
    assets = export_assets.assets_of(str(folder))
    if assets is None:
        return {}
    stated = dict(export_assets.stated_settings(assets))
    if stated.get("problem_type") not in (*PROBLEM_TYPES, huggingface_files.MULTIPLE_CHOICE):
        stated.pop("problem_type", None)  # of a task that has no classifier of texts
    path = RunDirectory(assets).labels_file
    has_labels = path.is_file() and path.stat().st_size > 0  # a score has no label
    described = RunDirectory(assets).description() or {}
    labels = parse_labels(str(path)) if has_labels else []
    return {**described, "identity": {**stated, **described.get("identity", {}), "labels": labels}}


def convert(init_checkpoint: str, output_dir: Path, target: str, model: Model) -> Conversion:
    """Writes the weights of a checkpoint, with heads, and what belongs beside them, in one of the two formats.

    Args:
      init_checkpoint: prefix, file or directory of what to convert.
      output_dir: the new folder; absent, or empty.
      target: `HUGGING_FACE`, `TENSORFLOW` or `HUB`.
      model: what is written beside the weights.

    Returns:
      What was converted and what was not.

    Raises:
      CheckpointError: the checkpoint cannot be read or is not of this architecture, the labels are not as many as the
        classifier's outputs, or what was written reads differently.
      DataError: the folder cannot be written.
    """
    check_weights(model.config, init_checkpoint)
    shapes = checkpoint_variables(init_checkpoint)
    names = tuple(sorted(name for name in shapes if not is_bookkeeping(name, shapes)))
    naming = model.config.family.hugging_face
    of_heads = [name for name in names if target == HUB and not name.startswith("bert/")]
    names = tuple(name for name in names if name not in of_heads)
    source = locate_checkpoint(init_checkpoint).path
    users_head = model.description.users_head
    if users_head is not None and target == HUGGING_FACE:
        raise CheckpointError(
            f"{source}: trained with a head of your own ({users_head}), which no class of Hugging Face computes; serve "
            "its export instead, or state hugging_face_class in the class and train with it"
        )
    if model.description.reading and target != HUB:
        theirs = "no class of Hugging Face computes" if target == HUGGING_FACE else "no file of this format says"
        raise CheckpointError(
            f"{source}: trained with {model.description.reading}, which {theirs}; serve its export instead"
        )
    model = _with_outputs(model, shapes, naming.heads_of(names, model.description.problem_type), source)
    problem_type = model.description.problem_type
    heads = naming.heads_of(names, problem_type)
    further: list[str] = []
    with whole_folder(output_dir) as folder:
        if target == HUGGING_FACE:
            _write_hugging_face(init_checkpoint, names, folder, model)
        elif target == HUB:
            further = _write_hub(init_checkpoint, names, folder, model)
        else:
            _write_tensorflow(init_checkpoint, folder, model)
        written = str(folder / hub.ENCODER if target == HUB else folder)
        cast = _compare(init_checkpoint, written, names, output_dir)
        kept = checkpoint_variables(written)
    classes = ", ".join(huggingface_files.architectures(model.config.family, names, problem_type))
    lost = [name for name in shapes if name not in kept]
    reasons = {name: "the format has no step" for name in lost if name == GLOBAL_STEP} | left_out(init_checkpoint)
    reasons |= dict.fromkeys(of_heads, "the format has no heads")
    return Conversion(
        source=source,
        target=output_dir,
        title=_TITLES[target].format(classes=classes),
        converted=names,
        slots=sum(name not in reasons for name in lost),
        reasons=reasons,
        own_names=tuple(name for name in names if naming.theirs(name, heads) is None),
        cast=cast,
        warnings=(*_warnings(init_checkpoint, target, model.config, users_head), *further),
    )


def _warnings(init_checkpoint: str, target: str, config: BertConfig, users_head: str | None) -> Iterator[str]:
    best = Path(init_checkpoint) / BEST
    if best.is_dir():
        yield f"{best} holds the best checkpoint of this run; what was converted is the latest"
    if users_head is not None:
        yield f"trained with a head of your own ({users_head}); only that class computes what the output layer is for"
    if target == TENSORFLOW and config.hidden_act == "gelu_erf":
        yield (
            "hidden_act is gelu_erf, the exact form, which the scripts here compute and google-research/bert does not "
            "know; its gelu is the tanh form"
        )


def _with_outputs(model: Model, shapes: Shapes, heads: Sequence[HeadNames], source: str) -> Model:
    """The model with a label for each output of its classifier, of texts or of words, and with the problem type of that
    of texts; without them where it has none.
    """
    stated = model.description
    head = next((head for head in heads if head.scores_labels), None)
    if head is None:
        kind = next((head.problem_type for head in heads if head.problem_type), None)
        without = dataclasses.replace(stated, labels=(), problem_type=kind, users_head=None, reading="")
        return dataclasses.replace(model, description=without)
    outputs = shapes[head.variable][0]
    if stated.labels and len(stated.labels) != outputs:
        raise CheckpointError(
            f"{source}: its classifier has {outputs} outputs, but {len(stated.labels)} labels stand beside it "
            f"({one_line(', '.join(stated.labels), 80)}); correct or remove labels.txt (or id2label in config.json)"
        )
    labels = stated.labels or tuple(huggingface_files.unnamed_labels(outputs))
    problem_type = None
    if head.title == CLASSIFIER.title:
        # A classifier of one label would have nothing to tell apart: one output is a score.
        problem_type = stated.problem_type or ("regression" if outputs == 1 else None)
    description = dataclasses.replace(stated, labels=labels, problem_type=problem_type)
    return dataclasses.replace(model, description=description)


def _write_hugging_face(init_checkpoint: str, names: Sequence[str], folder: Path, model: Model) -> None:
    naming = model.config.family.hugging_face
    tensors = ((name, as_float32(value)) for name, value in read_tensors(init_checkpoint, names))
    stated = model.description
    heads = naming.heads_of(names, stated.problem_type)
    write_safetensors(tensors, folder / WEIGHTS[HUGGING_FACE], naming, heads)
    settings = huggingface_files.model_settings(model.config, names, stated.labels, stated.problem_type)
    write_atomically(folder / huggingface_files.CONFIG, huggingface_files.as_json(settings))
    _write_vocabulary(folder, model)


def _write_tensorflow(init_checkpoint: str, folder: Path, model: Model) -> None:
    write_weights(init_checkpoint, str(folder / WEIGHTS[TENSORFLOW]), model.config.family.google)
    write_atomically(folder / "bert_config.json", model.config.to_json_string())
    labels = model.description.labels
    if labels and list(labels) != huggingface_files.unnamed_labels(len(labels)):
        write_atomically(folder / "labels.txt", "".join(f"{label}\n" for label in labels))
    _write_vocabulary(folder, model)


def _write_hub(init_checkpoint: str, names: Sequence[str], folder: Path, model: Model) -> list[str]:
    """Writes the encoder, beside it what our scripts read, and the preprocessor; what there is to know of them."""
    (vocab_file, *_) = model.vocabulary.values()
    encoder = folder / hub.ENCODER
    told = []
    tensors = ((name, as_float32(value)) for name, value in read_tensors(init_checkpoint, names))
    if not hub.write_encoder(model.config, tensors, encoder, vocab_file, model.tokenizer.do_lower_case):
        told.append("the weights have no pooler: pooled_output is the vector of the first token")
    settings = huggingface_files.model_settings(model.config, names)
    write_atomically(encoder / huggingface_files.CONFIG, huggingface_files.as_json(settings))
    _write_vocabulary(encoder, model)
    reason = why_not_in_graph(model.tokenizer)
    if reason is None:
        hub.write_preprocessor(model.tokenizer, model.config.longest_sequence, folder / hub.PREPROCESSOR)
    else:
        told.append(f"no {hub.PREPROCESSOR}: {reason}")
    return told


def _write_vocabulary(folder: Path, model: Model) -> None:
    """The vocabulary, and in both formats the files that say how it is used: our scripts read them as well."""
    (vocab_file, *_) = model.vocabulary.values()
    further = {name: vocab_file.parent / name for name in (ADDED_TOKENS, SPECIAL_TOKENS_MAP)}
    for name, file in {**further, **model.vocabulary}.items():
        if file.is_file():
            shutil.copyfile(file, folder / name)
    settings = huggingface_files.tokenizer_settings(
        model.config,
        model.tokenizer,
        KINDS[model.tokenizer.kind].stated(model.tokenizer),
    )
    given = {key: settings[key] for key in CASING if settings.get(key) is not None}
    settings |= stated_settings(vocab_file.parent) | given
    write_atomically(folder / huggingface_files.TOKENIZER, huggingface_files.as_json(settings))


def _compare(init_checkpoint: str, written: str, names: Sequence[str], output_dir: Path) -> tuple[str, ...]:
    """Names of variables that have another type than they had.

    Raises:
      CheckpointError: a variable differs in a bit.
    """
    cast, different = [], []
    pairs = zip(read_tensors(init_checkpoint, names), read_tensors(written, names), strict=True)
    for (name, before), (_, after) in pairs:
        if before.dtype != after.dtype:
            cast.append(name)
        if before.shape != after.shape or before.astype(after.dtype).tobytes() != after.tobytes():
            different.append(name)
    if different:
        raise CheckpointError(
            f"{output_dir}: {grouped(different)} read back with other values than were written; nothing is kept; "
            "check the disk and run the same command again"
        )
    return tuple(cast)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Gives a folder to fill that becomes `path` only once the block has ended well.

    Raises:
      DataError: it cannot be written.
    """
    final = path.resolve()
    temporary = final.with_name(f".{final.name}.tmp-{os.getpid()}")
    try:
        with writing(path):
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            yield temporary
            sync_tree(temporary)
            temporary.replace(final)
            sync_folder(final.parent)
    except (SafetensorError, tf.errors.OpError) as error:
        raise DataError(
            f"{path}: cannot be written ({_reason(error)}); free disk space or check permissions"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _reason(error: Exception) -> str:
    """What failed: TensorFlow says it after a temporary file's name, in the line before the `[[node]]` that failed."""
    before = str(error).partition("[[")[0].strip()
    return one_line(before.splitlines()[-1].rpartition("; ")[2])
