"""Tokens -> text as people write it: what stands between words, punctuation and Chinese characters.

A tokenizer that splits at punctuation does not keep where blanks were, so conventions decide. They are replacements
that Python's `re` (with `re.ASCII`) and RE2 read alike, so that an export writes the same text.
"""

import re

CHINESE = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002ebef"
_WIDE = CHINESE + "\u3040-\u30ff\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
"""Characters that are written without blanks beside them: Chinese, kana, punctuation of full width."""

RULES: tuple[tuple[str, str], ...] = (
    (r" ##", ""),
    (r"^##", ""),
    (rf" ?([{_WIDE}]) ?", r"\1"),
    (r" ([.,!?;:%)\]}»”…]+)", r"\1"),
    (r"([.,!?;:)\]}»”…]) ([.,!?;:%)\]}»”…])", r"\1\2"),
    (r"([(\[{«“$€£#]) ", r"\1"),
    (r'(^| )" ([^"]*[^" ]) "', r'\1"\2"'),
    (r"([A-Za-z]) ?(['’]) (s|t|d|m|re|ve|ll|S|T|D|M|RE|VE|LL)\b", r"\1\2\3"),
    (r"(\w) ([-/]) (\w)", r"\1\2\3"),
    *[(r"([0-9])([.,]) ([0-9]{3})\b", r"\1\2\3")] * 2,  # neighbours share digits
    (r"([0-9])\. ([0-9])", r"\1.\2"),
    *[(r"\b([A-Za-z])\. ([A-Za-z])\.", r"\1.\2.")] * 2,
    (r"([0-9]): ([0-9]{2})\b", r"\1:\2"),
    (r" +", " "),
)
"""Patterns and what takes their place, one after the other, on tokens joined by blanks."""
_COMPILED = [(re.compile(pattern, re.ASCII), replacement) for pattern, replacement in RULES]


def natural_text(tokens: list[str]) -> str:
    """Text of the tokens of a WordPiece tokenizer, special tokens left out.

    Args:
      tokens: as in the vocabulary.

    Example:
      >>> natural_text(["he", "didn", "'", "t", "pay", "$", "1", ",", "000", "(", "in", "cash", ")", "."])
      "he didn't pay $1,000 (in cash)."
    """
    text = " ".join(tokens)
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return text.strip(" ")
