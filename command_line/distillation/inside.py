"""`--distill_hidden` and `--distill_attention`: learning the inside of a teacher."""

from types import SimpleNamespace

from command_line.distillation.run_teacher import RunTeacher
from command_line.model_files import ModelFiles
from common.errors import FlagError
from modeling.inside import Inside, layers_of
from modeling.layer_lists import parse_parts
from processors.records.document_windows import WINDOWS
from tasks.distillation import Teacher

WEIGHTS = ("distill_hidden", "distill_attention")


def inside_of(flags: SimpleNamespace, files: ModelFiles, teacher: Teacher) -> Inside | None:
    """What flags ask to learn of the inside of a teacher; None for nothing.

    Args:
      flags: of the student.
      files: of the student's model.
      teacher: of the student.

    Raises:
      FlagError: the two models cannot be compared, or flags contradict each other.
    """
    asked = [name for name in WEIGHTS if getattr(flags, name)]
    if not asked:
        return None
    where = f"--{asked[0]}={getattr(flags, asked[0]):g}"
    if not isinstance(teacher, RunTeacher):
        raise FlagError(f"{where} computes the teacher beside the student; give the output directory of its run")
    _check(flags, where)
    side, config, theirs = teacher.side, files.config, teacher.side.files.config
    if side.experiment().settings.model.needs_base:
        raise FlagError(f"{where}: the teacher stands on a base (adapters, LoRA); merge it first, or leave it out")
    if side.files.text_tokenizer.fingerprint() != files.text_tokenizer.fingerprint():
        raise FlagError(f"{where}: the teacher has another vocabulary than the student, whose tokens it would read")
    if theirs.longest_sequence < flags.max_seq_length:
        raise FlagError(
            f"{where}: the teacher has {theirs.longest_sequence} positions, --max_seq_length is "
            f"{flags.max_seq_length}; give at most that"
        )
    if flags.distill_attention and theirs.num_attention_heads != config.num_attention_heads:
        raise FlagError(
            f"{where}: the teacher has {theirs.num_attention_heads} attention heads, the student "
            f"{config.num_attention_heads}; leave it out"
        )
    if config.num_hidden_layers > theirs.num_hidden_layers:
        raise FlagError(
            f"{where}: the student has {config.num_hidden_layers} layers, the teacher {theirs.num_hidden_layers}; "
            "expected no more than those"
        )
    given = (
        parse_parts(flags.student_layers, "student_layers", theirs.num_hidden_layers) if flags.student_layers else []
    )
    layers = layers_of([int(layer) for layer in given], config, theirs)
    return Inside(theirs, side.checkpoint(), layers, flags.distill_hidden, flags.distill_attention)


def _check(flags: SimpleNamespace, where: str) -> None:
    """Refuses what the losses inside do not go together with.

    Raises:
      FlagError: naming it.
    """
    for name in ("adapter_size", "lora_rank"):
        if getattr(flags, name, None):
            raise FlagError(f"{where} and --{name} do not go together; remove one of them")
    if flags.gradient_accumulation_steps > 1:
        raise FlagError(f"{where} and --gradient_accumulation_steps do not go together; remove one of them")
    if getattr(flags, "truncation", None) == WINDOWS:
        raise FlagError(f"{where} and --truncation={WINDOWS} do not go together; remove one of them")
