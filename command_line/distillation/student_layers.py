"""`--student_layers`: a student that begins as some layers of a trained model."""

import atexit
import logging
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

from common.errors import CheckpointError, FlagError
from common.run_directory import RunDirectory
from modeling.checkpoints.locate import find_beside, locate_checkpoint
from modeling.config import BertConfig
from modeling.layer_lists import parse_parts
from tokenization.kinds import vocabulary_files

log = logging.getLogger(__name__)

FLAG = "student_layers"
BESIDE = ("tokenizer_config.json", "special_tokens_map.json")
"""Files beside a vocabulary that say how text is tokenized."""
_NEEDS_BASE = ("adapter_size", "lora_rank", "cache_features")


def with_first_layers(flags: SimpleNamespace, directory: RunDirectory) -> SimpleNamespace:
    """The flags, where `--init_checkpoint` is a model of the layers that `--student_layers` names.

    It is written to a temporary folder, and only where the run has no checkpoint yet.

    Args:
      flags: after `scopes.settle`.
      directory: of the student.

    Raises:
      BertError: there is no such layer, or nothing to take it from.
    """
    if not getattr(flags, FLAG, None) or directory.is_trained():
        return flags
    source, checkpoint = _source(flags)
    folder = Path(tempfile.mkdtemp(prefix="bert_student_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    layers = _write(flags, source, checkpoint, folder)
    log.info("--%s: begins as layers %s of %s", FLAG, ", ".join(map(str, layers)), checkpoint)
    return SimpleNamespace(**{**vars(flags), "init_checkpoint": str(folder)})


def _source(flags: SimpleNamespace) -> tuple[str, str]:
    """The model that layers are taken from: where its files are, and its checkpoint.

    Raises:
      FlagError: flags name none, or one that has to stay as it is.
    """
    for name in (*_NEEDS_BASE, "bert_config_file", "num_layers_used"):
        if getattr(flags, name, None):
            what = "say how many layers there are" if name.startswith(("bert", "num")) else "do not go together"
            raise FlagError(f"--{FLAG} and --{name} {what}; remove one of them")
    if flags.init_checkpoint:
        return flags.init_checkpoint, locate_checkpoint(flags.init_checkpoint).path
    if not flags.teacher or (Path(flags.teacher) / "saved_model.pb").is_file():
        raise FlagError(
            f"--{FLAG}={flags.student_layers} has no checkpoint to take layers from; give the teacher's run as "
            "--teacher, or --init_checkpoint"
        )
    from estimator.weights import RunCheckpoints

    described = RunDirectory(Path(flags.teacher)).description() or {}
    keeps_best = bool(described.get("flags", {}).get("keep_best_checkpoint"))
    checkpoint = RunCheckpoints(Path(flags.teacher), keeps_best).answering()
    if checkpoint is None:
        raise FlagError(f"--{FLAG}: --teacher={flags.teacher} has no trained checkpoint; train it first")
    return flags.teacher, checkpoint


def _write(flags: SimpleNamespace, source: str, checkpoint: str, folder: Path) -> list[int]:
    """Writes weights, configuration, vocabulary and labels of the student's beginning; gives its layers.

    Raises:
      BertError: there is no such layer, or the model's layers cannot be told apart.
    """
    from modeling.checkpoints.label_order import labels_beside
    from modeling.checkpoints.layer_choice import write_layers

    beside = find_beside(source, list(vocabulary_files()))
    if beside.config_file is None:
        raise CheckpointError(f"{source}: no configuration beside it, which --{FLAG} cuts; put bert_config.json there")
    config = BertConfig.from_json_file(beside.config_file)
    if config.num_hidden_groups:
        raise FlagError(f"--{FLAG}: layers of {config.family.title} share their weights; leave it out")
    layers = [int(part) for part in parse_parts(flags.student_layers, FLAG, config.num_hidden_layers)]
    twice = next((layer for layer in layers if layers.count(layer) > 1), None)
    if twice is not None:
        raise FlagError(f"--{FLAG}={flags.student_layers}: layer {twice} is named twice; name each layer once")
    write_layers(checkpoint, layers, str(folder / "model.ckpt"))
    config.num_hidden_layers = len(layers)
    (folder / "bert_config.json").write_text(config.to_json_string(), encoding="utf-8")
    if beside.vocab_file is not None:
        beside_vocabulary = Path(beside.vocab_file).parent
        for name in dict.fromkeys((*vocabulary_files(), *BESIDE)):
            if (beside_vocabulary / name).is_file():
                shutil.copyfile(beside_vocabulary / name, folder / name)
    labels = labels_beside(source)
    if labels:
        (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    return layers
