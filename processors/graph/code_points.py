"""The specification's treatment of every code point, as small arrays that a graph can hold.

Arrays over all of Unicode would have 1.1 million entries. They are cut into blocks of 256, and blocks that are alike
are stored once: most scripts are left as they are, so that a few hundred blocks remain. Making them takes seconds; each
is made once in a process.
"""

import functools
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tokenization import CONTEXT_MARK, CodePointTable, is_context_dependent
from tokenization.characters import CJK_RANGES, is_control

BLOCK_SIZE = 256
# One past Unicode, so that a code point can be replaced by it.
BARRIER_CODE = 0x110000
_NUM_CODES = BARRIER_CODE + BLOCK_SIZE

# In an expansion: the code point itself, and a place where the reordering of marks stops.
SELF = -1
BARRIER = -2
_BLANK = ord(" ")
_IDENTITY_ROW, _BARRIER_ROW, _ISOLATE_ROW = (SELF,), (BARRIER,), (_BLANK, SELF, _BLANK)
_CAPITAL_SIGMA, _FINAL_SIGMA = "\u03a3", "\u03c2"

# Properties: what `str.lower` asks of the neighbours of a sigma, in two bits; a bit for marks that are dropped but stop
# reordering; a bit for what may have to be reordered; the canonical combining class of marks that are kept.
PLAIN, CASED, CASE_IGNORABLE, DROPPED = range(4)
SIGMA_CLASS_MASK = 3
BARRIER_BIT = 4
REORDERED_BIT = 8
COMBINING_CLASS_SHIFT = 4


@dataclass(frozen=True)
class BlockArray:
    """An array over all code points: `values[block_of[code // 256] * 256 + code % 256]`."""

    block_of: np.ndarray
    values: np.ndarray

    @classmethod
    def compress(cls, dense: np.ndarray) -> "BlockArray":
        """Store equal blocks of `dense` [code points] once."""
        blocks: dict[bytes, int] = {}
        rows = dense.reshape(-1, BLOCK_SIZE)
        block_of = [blocks.setdefault(row.tobytes(), len(blocks)) for row in rows]
        values = np.frombuffer(b"".join(blocks), dtype=dense.dtype)
        return cls(np.array(block_of, np.int32), values)


@dataclass(frozen=True)
class Expansions:
    """What code points become.

    Attributes:
      row_of: code point to row.
      values: the rows one after the other: code points, `SELF` or `BARRIER`.
      row_splits: where in `values` each row starts, and where the last one ends.
    """

    row_of: BlockArray
    values: np.ndarray
    row_splits: np.ndarray


@functools.cache
def expansions(
    do_lower_case: bool, strip_accents: bool | None = None, tokenize_chinese_chars: bool = True
) -> Expansions:
    """Tabulate `CodePointTable`.

    Args:
      do_lower_case: lower-case.
      strip_accents: as of the table; default None.
      tokenize_chinese_chars: as of the table; default True.

    Returns:
      For each code point the code points that it becomes, out of context.
    """
    table = CodePointTable(do_lower_case, strip_accents, tokenize_chinese_chars)
    isolated = CJK_RANGES if tokenize_chinese_chars else ()
    return tabulated(lambda code: table[code].removeprefix(CONTEXT_MARK), "NFD", isolated)


def tabulated(
    becomes: Callable[[int], str], form: Literal["NFD", "NFKD"], isolated: Sequence[tuple[int, int]] = ()
) -> Expansions:
    """Tabulate what code points become.

    Args:
      becomes: code point to text; letters without case and decomposition stay what they are, without being asked for.
      form: of decomposition, `"NFD"` or `"NFKD"`.
      isolated: ranges of such letters around which blanks are put, first and last.
    """
    rows = {_IDENTITY_ROW: 0, _BARRIER_ROW: 1, _ISOLATE_ROW: 2}
    row_of = np.zeros(_NUM_CODES, np.int32)
    row_of[BARRIER_CODE] = rows[_BARRIER_ROW]
    for first, last in isolated:
        row_of[first : last + 1] = rows[_ISOLATE_ROW]
    for code in _changing_codes(form):
        row = tuple(SELF if ord(char) == code != _BLANK else ord(char) for char in becomes(code))
        row_of[code] = rows.setdefault(row, len(rows))
    lengths = [len(row) for row in rows]
    return Expansions(
        row_of=BlockArray.compress(row_of),
        values=np.array([value for row in rows for value in row], np.int32),
        row_splits=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
    )


@functools.cache
def neighbour_properties(do_lower_case: bool = True, strip_accents: bool = True) -> BlockArray:
    """Tabulate what the two rules that look at neighbours need to know of each code point.

    Args:
      do_lower_case: whether text is lower-cased, which the rule of final sigmas is for; default True.
      strip_accents: whether it is decomposed, which the rule of the order of marks is for; default True.

    Returns:
      The bits described above. The combining class is that of code points of the decomposed text, the rest speaks of
      code points of the original text.
    """
    dense = _properties_of_any_text().copy()
    for code in _changing_codes("NFD"):
        if chr(code) != _CAPITAL_SIGMA and is_context_dependent(code, do_lower_case, strip_accents):
            dense[code] |= REORDERED_BIT
    return BlockArray.compress(dense)


@functools.cache
def _properties_of_any_text() -> np.ndarray:
    """The properties that do not depend on what becomes of the text: all but `REORDERED_BIT`."""
    dense = _sigma_classes().copy()
    for code in _assigned_codes():
        char = chr(code)
        if char == CONTEXT_MARK or is_control(char):
            dense[code] = DROPPED
        if unicodedata.category(char) != "Mn":
            dense[code] |= unicodedata.combining(char) << COMBINING_CLASS_SHIFT
        elif not all(unicodedata.combining(mark) for mark in unicodedata.normalize("NFD", char)):
            dense[code] |= BARRIER_BIT
    return dense


@functools.cache
def sigma_classes() -> BlockArray:
    """Tabulate what each code point of a text that loses none is to a sigma near it: `CASED`, `PLAIN` or neither."""
    return BlockArray.compress(_sigma_classes())


@functools.cache
def _sigma_classes() -> np.ndarray:
    dense = np.zeros(_NUM_CODES, np.int32)
    for code in _assigned_codes():
        dense[code] = _sigma_class(chr(code))
    return dense


@functools.cache
def _assigned_codes() -> tuple[int, ...]:
    """Code points that are characters; of the others (and the private ones) the specification changes none."""
    return tuple(code for code in range(BARRIER_CODE) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs"))


@functools.cache
def _changing_codes(form: Literal["NFD", "NFKD"]) -> tuple[int, ...]:
    """Those of them that are not letters without case and decomposition, of which there are 120,000."""
    return tuple(
        code
        for code in _assigned_codes()
        if unicodedata.category(chr(code)) != "Lo" or not unicodedata.is_normalized(form, chr(code))
    )


def _sigma_class(char: str) -> int:
    """What a character is to a sigma near it, by asking `str.lower`.

    A sigma is final if the last character before it that is not case-ignorable is cased (and the next such one after it
    is not): after a letter all ignorable and cased characters let it be final, after a blank the cased ones alone.
    """
    if f" {char}{_CAPITAL_SIGMA}".lower().endswith(_FINAL_SIGMA):
        return CASED
    return CASE_IGNORABLE if f"A{char}{_CAPITAL_SIGMA}".lower().endswith(_FINAL_SIGMA) else PLAIN
