"""Names of variables in the files of other libraries, and those of the graph here, which are Google's for BERT.

A row pairs two templates: theirs and ours. Fields in braces stand for numbers and roles, equal on both sides.
"""

import dataclasses
import functools
import re
from collections.abc import Collection, Iterable, Sequence

Row = tuple[str, str]

_FIELDS = {
    "table": "word|position|token_type", "layer": r"\d+", "role": "query|key|value", "block": "intermediate|output",
    "part": "dense|LayerNorm", "rest": ".+", "leaf": ".+",
}  # fmt: skip

_LINEAR = (("weight", "kernel"), ("bias", "bias"))
# The first of two names for the same is the one to write; the others are those of older files.
_NORM = (("weight", "gamma"), ("bias", "beta"), ("gamma", "gamma"), ("beta", "beta"))


def linear(*modules: Row) -> tuple[Row, ...]:
    """Rows of the tensors of linear layers, which PyTorch keeps as [out, in] and this project as [in, out]."""
    return tuple((f"{theirs}.{a}", f"{ours}/{b}") for theirs, ours in modules for a, b in _LINEAR)


def norm(*modules: Row) -> tuple[Row, ...]:
    """Rows of the tensors of layer normalizations."""
    return tuple((f"{theirs}.{a}", f"{ours}/{b}") for theirs, ours in modules for a, b in _NORM)


@dataclasses.dataclass(frozen=True)
class HeadNames:
    """An output head in files of Hugging Face.

    Args:
      title: what its class is called after the name of the family: `ForQuestionAnswering`.
      variable: a variable that only models with this head have.
      rows: names of its tensors.
      copies: tensors of a file that repeat another of our variables: name there, and that variable.
      includes: title of a head that is a part of this one.
      problem_type: the one problem type that the head is for, where others have a head of the same variables; None for
        all others.
      scores_labels: whether each row of `variable` belongs to one label.
    """

    title: str
    variable: str
    rows: tuple[Row, ...]
    copies: tuple[Row, ...] = ()
    includes: str | None = None
    problem_type: str | None = None
    scores_labels: bool = False


@dataclasses.dataclass(frozen=True)
class HuggingFaceNames:
    """Names in files of Hugging Face.

    Args:
      prefix: what stands before the names of the encoder where the model has a head: `bert.`.
      encoder: rows of the encoder.
      heads: those of fine-tuned models first. Several may call their tensors the same (`classifier.weight`): a name is
        of the first that has it, see `of_class`.
      counters: names, without the prefix, of tensors that are no weights.
      left_out: beginnings of names of weights that no model here has, each with the reason.
      refused: beginnings of names that make a file unusable, each with the reason.
    """

    prefix: str
    encoder: tuple[Row, ...]
    heads: tuple[HeadNames, ...]
    counters: tuple[str, ...] = ("embeddings.position_ids", "embeddings.token_type_ids")
    left_out: tuple[tuple[str, str], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    def of_class(self, title: str) -> "HuggingFaceNames":
        """The names as a class uses them: those of its head come before those of other heads.

        Args:
          title: as in `HeadNames`; any other leaves the order as it is.
        """
        return dataclasses.replace(self, heads=tuple(sorted(self.heads, key=lambda head: head.title != title)))

    def ours(self, name: str) -> str | None:
        """Our name of a tensor; None where it has none."""
        bare = name.removeprefix(self.prefix)
        return _translated(bare, self.encoder) or _translated(name, self._head_rows)

    def all_ours(self, names: Iterable[str]) -> dict[str, str]:
        """Our names of the tensors of a file, each with the name there; those without one keep theirs.

        Copies and counters are left out; of two tensors for one variable the one of the head counts.
        """
        found: dict[str, str] = {}
        for name in sorted(names, key=lambda name: (self._is_of_encoder(name), name)):
            if not self.is_no_weight(name) and _reason(name, self.left_out) is None:
                found.setdefault(self.ours(name) or name, name)
        return found

    def theirs(self, name: str, heads: Sequence[HeadNames]) -> str | None:
        """Name of one of our variables in a model with these heads; None where there is none."""
        of_head = _translated(name, tuple(row for head in heads for row in head.rows), backwards=True)
        if of_head is not None:
            return of_head
        bare = _translated(name, self.encoder, backwards=True)
        return bare if bare is None or not heads else self.prefix + bare

    def heads_of(self, names: Collection[str], problem_type: str | None = None) -> tuple[HeadNames, ...]:
        """The heads of a model with variables of these names, ours; of heads with the same one, that of the type."""
        found = [head for head in self.heads if head.variable in names and head.problem_type in (None, problem_type)]
        special = {head.variable for head in found if head.problem_type is not None}
        return tuple(head for head in found if head.variable not in special or head.problem_type is not None)

    def original(self, name: str) -> str | None:
        """Our name of what a tensor repeats; None where it repeats nothing."""
        copies = dict(row for head in self.heads for row in head.copies)
        return copies.get(name)

    def is_no_weight(self, name: str) -> bool:
        """Whether a tensor is a counter or a copy."""
        return name.removeprefix(self.prefix) in self.counters or self.original(name) is not None

    def reason(self, name: str) -> str | None:
        """Why a weight of a file is left out; None where it is not, or has a name of ours."""
        return _reason(name, self.left_out)

    def refusal(self, names: Iterable[str]) -> str | None:
        """Why a file with tensors of these names cannot be used; None where it can."""
        return next(filter(None, (_reason(name, self.refused) for name in names)), None)

    def known(self, names: Iterable[str]) -> int:
        """How many of the names are of this family."""
        return sum(self.ours(name) is not None or self.refusal([name]) is not None for name in names)

    @property
    def _head_rows(self) -> tuple[Row, ...]:
        return tuple(row for head in self.heads for row in head.rows)

    def _is_of_encoder(self, name: str) -> bool:
        return _translated(name.removeprefix(self.prefix), self.encoder) is not None


@dataclasses.dataclass(frozen=True)
class GoogleNames:
    """Names in a TensorFlow 1 checkpoint of the owner.

    Args:
      mark: what names of such a checkpoint, and of no other, begin with.
      rows: names that differ from ours.
      left_out: beginnings of names that no model here has, each with the reason.
    """

    mark: str
    rows: tuple[Row, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def ours(self, name: str) -> str:
        """Our name of a variable; what has none keeps its own."""
        return _translated(name, self.rows) or name

    def theirs(self, name: str) -> str:
        """Name of one of our variables in such a checkpoint."""
        return _translated(name, self.rows, backwards=True) or name

    def reason(self, name: str) -> str | None:
        """Why a variable of a checkpoint is left out; None where it is not."""
        return _reason(name, self.left_out)


@dataclasses.dataclass(frozen=True)
class ObjectNames:
    """Names of variables in the TensorFlow 2 checkpoints of the Model Garden, whatever model the encoder is a part of.

    Args:
      rows: names there and ours; of two for one of ours the first counts.
    """

    rows: tuple[Row, ...]

    def ours(self, full_name: str) -> tuple[str | None, int]:
        """Our name of a variable, None where it has none, and the place of its row."""
        for place, (theirs, ours) in enumerate(self.rows):
            match = _behind_scopes(theirs).fullmatch(full_name)
            if match:
                return ours.format(**match.groupdict()), place
        return None, 0

    def known(self, full_names: Iterable[str]) -> int:
        """How many of the names are of this family; none without its table of words, as heads have the same names."""
        found = [self.ours(name)[0] for name in full_names]
        return sum(name is not None for name in found) if "bert/embeddings/word_embeddings" in found else 0


def _reason(name: str, reasons: Sequence[tuple[str, str]]) -> str | None:
    return next((reason for start, reason in reasons if name.startswith(start)), None)


def _translated(name: str, rows: Sequence[Row], backwards: bool = False) -> str | None:
    """The other side of the first row that a name is in: ours, or backwards, theirs."""
    for row in rows:
        left, right = row[::-1] if backwards else row
        match = _pattern(left).fullmatch(name)
        if match:
            return right.format(**match.groupdict())
    return None


@functools.cache
def _behind_scopes(template: str) -> re.Pattern[str]:
    return re.compile(f"(?:.+/)?(?:{_pattern(template).pattern})")


@functools.cache
def _pattern(template: str) -> re.Pattern[str]:
    escaped = re.escape(template)
    return re.compile(re.sub(r"\\{(\w+)\\}", lambda field: f"(?P<{field[1]}>{_FIELDS[field[1]]})", escaped))
