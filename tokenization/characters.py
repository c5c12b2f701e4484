"""Characters and strings: what the specification calls white space, control, punctuation and CJK."""

import unicodedata

# The blocks of Chinese characters, first and last code point. Hangul, Hiragana and Katakana are written with blanks or
# are handled like any alphabet, and stay out.
CJK_RANGES = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
# ASCII symbols such as "$", "+" and "^" are no punctuation to Unicode, but split words all the same.
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def convert_to_unicode(text: str | bytes) -> str:
    """Turn text into `str`; bytes are read as UTF-8 and what is invalid there is dropped.

    Args:
      text: a string, or its UTF-8 bytes.

    Returns:
      The string.

    Raises:
      ValueError: neither `str` nor `bytes`.
    """
    if isinstance(text, str):
        return text
    if isinstance(text, bytes):
        return text.decode("utf-8", "ignore")
    raise ValueError(f"text is {type(text).__name__}, expected str or bytes: {text!r:.100}")


def printable_text(text: str | bytes) -> str:
    """Turn text into what `print` and logs take; the same as `convert_to_unicode` on Python 3.

    Args:
      text: a string, or its UTF-8 bytes.

    Returns:
      The string.

    Raises:
      ValueError: neither `str` nor `bytes`.
    """
    return convert_to_unicode(text)


def whitespace_tokenize(text: str) -> list[str]:
    """Cut text at every run of white space (`str.split`); blanks at the ends give no empty words."""
    return text.split()


def is_whitespace(char: str) -> bool:
    """Tell whether a character becomes a blank: tab, line feed, carriage return, or category Zs."""
    return char in " \t\n\r" or unicodedata.category(char) == "Zs"


def is_control(char: str) -> bool:
    """Tell whether a character is dropped: category Cc or Cf, but for tab, line feed and carriage return."""
    return char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cf")


def is_punctuation(char: str) -> bool:
    """Tell whether a character stands alone: an ASCII symbol, or a Unicode category that starts with P."""
    return char in _ASCII_PUNCTUATION or unicodedata.category(char).startswith("P")


def is_chinese_char(code_point: int) -> bool:
    """Tell whether a code point is in one of the eight CJK blocks, whose every character stands alone."""
    return any(first <= code_point <= last for first, last in CJK_RANGES)
