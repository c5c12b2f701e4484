"""What one code point becomes on its way into words, as a table for `str.translate`.

Nearly all of the specification looks at one character at a time, so that a table made from it does the same work at the
speed of C. Where a character's fate hangs on its neighbours, the table sets a mark and `normalize` asks the
specification.
"""

import unicodedata

from tokenization.characters import is_chinese_char, is_control, is_punctuation, is_whitespace
from tokenization.wordpiece.basic import BasicTokenizer

# The specification drops U+FFFD from every text, so that in a translated text it can only be our mark.
CONTEXT_MARK = "\ufffd"
_CAPITAL_SIGMA = 0x3A3
# No piece of a vocabulary has a lone surrogate, nor this non-character; but this one can be written in UTF-8.
_NON_CHARACTER = "\uffff"


def is_context_dependent(code_point: int, do_lower_case: bool = True, strip_accents: bool = True) -> bool:
    """Tell whether lower-casing and decomposing a code point alone may differ from doing so within its word.

    These are capital sigma, whose lower case is another letter at the end of a word, and combining characters that are
    kept (not category Mn) but that decomposition may put into another order.

    Args:
      code_point: of the original text.
      do_lower_case: whether text is lower-cased; default True.
      strip_accents: whether it is decomposed; default True.

    Returns:
      True where a table cannot know.
    """
    if code_point == _CAPITAL_SIGMA:
        return do_lower_case
    char = chr(code_point)
    decomposed = unicodedata.normalize("NFD", char.lower() if do_lower_case else char)
    return strip_accents and any(
        unicodedata.combining(char) and unicodedata.category(char) != "Mn" for char in decomposed
    )


class CodePointTable(dict[int, str]):
    """Code point to the text that it becomes, filled as code points are met.

    A value is "" for what is dropped, " " for white space, and has blanks around what is a word by itself. Values that
    depend on context start with `CONTEXT_MARK`; the rest is what the code point becomes out of context.

    Args:
      do_lower_case: lower-case; default True.
      strip_accents: as of `BasicTokenizer`; default None.
      tokenize_chinese_chars: as of `BasicTokenizer`; default True.
    """

    def __init__(
        self, do_lower_case: bool = True, strip_accents: bool | None = None, tokenize_chinese_chars: bool = True
    ) -> None:
        super().__init__()
        self._basic = BasicTokenizer(do_lower_case, strip_accents, tokenize_chinese_chars)

    def __missing__(self, code_point: int) -> str:
        value = self._compute(code_point)
        self[code_point] = value
        return value

    def __reduce__(self) -> tuple[type["CodePointTable"], tuple[bool, bool, bool]]:
        basic = self._basic
        return CodePointTable, (basic.do_lower_case, basic.strip_accents, basic.tokenize_chinese_chars)

    def normalize(self, text: str) -> str:
        """Turn text into words with white space between them.

        Args:
          text: any string.

        Returns:
          A string whose `split()` is what `BasicTokenizer.tokenize(text)` gives (a lone surrogate excepted, in whose
          place stands a non-character).
        """
        normal = text.translate(self)
        if CONTEXT_MARK in normal:
            return " ".join(self._basic.tokenize(text)).translate(_SURROGATES)
        return normal

    def _compute(self, code_point: int) -> str:
        char = chr(code_point)
        if char == CONTEXT_MARK or is_control(char):
            return ""
        # Line and paragraph separators are not among the white space that is replaced, but words are cut there too.
        if is_whitespace(char) or char.isspace():
            return " "
        if 0xD800 <= code_point <= 0xDFFF:
            return _NON_CHARACTER
        letters = self._basic.normal(char)
        value = "".join(f" {letter} " if is_punctuation(letter) else letter for letter in letters)
        if self._basic.tokenize_chinese_chars and is_chinese_char(code_point):
            value = f" {value} "
        if is_context_dependent(code_point, self._basic.do_lower_case, self._basic.strip_accents):
            value = CONTEXT_MARK + value
        return value


_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), _NON_CHARACTER)
