"""How many tokens of context, question and choice stay where they are too long together.

The arithmetic is written for arrays of NumPy and for tensors of TensorFlow, so that records and exports share it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

CONTEXT, LONGEST = "context", "longest"
CUTS = (CONTEXT, LONGEST)
"""Which part loses tokens: the context, or one at a time whichever is the longest."""


class Lengths(NamedTuple):
    """Tokens of each part; integers `[M]`, one for each choice.

    Where question and choice are one text, that text is the `choice`, and the `question` has no token.
    """

    context: Any
    question: Any
    choice: Any


def kept_lengths(
    lengths: Lengths, budget: Any, cut: str, max_choice_length: int | None, separate: Any, xp: Any
) -> Lengths:
    """How many tokens of each part are kept.

    Args:
      lengths: all tokens.
      budget: tokens that there is room for `[M]`.
      cut: one of `CUTS`. With `CONTEXT`, question and choice are cut only where they alone are too long.
      max_choice_length: with `CONTEXT`, most tokens of question and choice together; None for as many as fit.
      separate: bool `[M]`, whether question and choice are texts of their own.
      xp: `numpy` or `tensorflow`: what the arrays are of.

    Returns:
      At most as many as in `lengths`, at most `budget` together.
    """
    context, question, choice = lengths
    if cut == CONTEXT:
        room = budget if max_choice_length is None else xp.minimum(budget, max_choice_length)
        question, choice = trimmed((question, choice), room, xp)
        return Lengths(xp.minimum(context, budget - question - choice), question, choice)
    first = trimmed((context, question, choice), budget, xp)
    pair = trimmed((choice, context), budget, xp)
    return Lengths(
        xp.where(separate, first[0], pair[1]), xp.where(separate, first[1], 0), xp.where(separate, first[2], pair[0])
    )


def trimmed(lengths: Sequence[Any], budget: Any, xp: Any) -> tuple[Any, ...]:
    """Lengths of two or three texts after the longest has lost one token at a time; of equal ones the first does.

    Closed form: all texts above some level are cut to it, and the last of them keep the rest that is left over.

    Example:
      >>> trimmed((np.array([5]), np.array([9])), 8, np)
      (array([4]), array([4]))
    """
    parts = [*lengths, *[xp.zeros_like(lengths[0])] * (3 - len(lengths))]
    total = sum(parts)
    shortest = xp.minimum(xp.minimum(parts[0], parts[1]), parts[2])
    longest = xp.maximum(xp.maximum(parts[0], parts[1]), parts[2])
    middle = total - shortest - longest
    level = xp.maximum(xp.maximum(budget // 3, (budget - shortest) // 2), budget - shortest - middle)
    kept = [xp.minimum(part, level) for part in parts]
    rest = budget - sum(kept)
    found = []
    for place, part in enumerate(parts):
        behind = sum((_as_number(other > level, part, xp) for other in parts[place + 1 :]), xp.zeros_like(part))
        extra = _as_number((part > level) & (behind < rest), part, xp)
        found.append(xp.where(total <= budget, part, kept[place] + extra))
    return tuple(found[: len(lengths)])


def _as_number(condition: Any, like: Any, xp: Any) -> Any:
    return xp.where(condition, xp.ones_like(like), xp.zeros_like(like))
