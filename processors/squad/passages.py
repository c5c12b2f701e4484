"""A context as reading comprehension sees it: words with their place in the original text.

Shared by all questions of a paragraph, so that it is cut into words once and pickled once.
"""

import bisect
import functools
import re

from tokenization.characters import CJK_RANGES

_SPACES = " \t\r\n\u202f"
"""What separates the words of a context, upstream's set: other Unicode blanks are left to the tokenizer."""


@functools.cache
def _word_pattern() -> re.Pattern[str]:
    cjk = "".join(f"{chr(first)}-{chr(last)}" for first, last in CJK_RANGES)
    return re.compile(f"[{cjk}]|[^{_SPACES}{cjk}]+")


class Passage:
    """A context and its words. A CJK character is a word of its own, since no blank sets it apart.

    Args:
      text: the context as it stands in the data file.

    Attributes:
      words: in order.
      starts: character of `text` that each word starts with; words are unbroken, so their ends follow.
      joined: the words with a single blank wherever whitespace stands between two.
      joined_starts: character of `joined` that each word starts with.

    Source: `read_squad_examples` of google-research/bert; the same words for text without CJK characters.
    """

    __slots__ = ("joined", "joined_starts", "starts", "text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[str] = []
        self.starts: list[int] = []
        self.joined_starts: list[int] = []
        parts: list[str] = []
        length = end = 0
        for match in _word_pattern().finditer(text):
            if parts and match.start() > end:
                parts.append(" ")
                length += 1
            self.words.append(match.group())
            self.starts.append(match.start())
            self.joined_starts.append(length)
            parts.append(match.group())
            end = match.end()
            length += end - match.start()
        self.joined = "".join(parts)

    def __reduce__(self) -> tuple[type["Passage"], tuple[str]]:
        return Passage, (self.text,)

    def word_at(self, char: int) -> int:
        """Index of the word at, or before, a character of `text`; -1 in blanks before the first word."""
        return bisect.bisect_right(self.starts, char) - 1

    def joined_span(self, first: int, last: int) -> tuple[int, int]:
        """Where words `first` to `last` stand in `joined`, end exclusive."""
        return self.joined_starts[first], self.joined_starts[last] + len(self.words[last])

    def words_text(self, first: int, last: int) -> str:
        """Words `first` to `last` as text, single blanks between them."""
        start, end = self.joined_span(first, last)
        return self.joined[start:end]

    def original_offset(self, joined: int) -> int:
        """Character of `text` for a character of a word in `joined`."""
        word = bisect.bisect_right(self.joined_starts, joined) - 1
        return self.starts[word] + joined - self.joined_starts[word]
