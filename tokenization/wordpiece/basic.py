"""Text to words: clean, set CJK apart, lower-case, strip accents, split at punctuation.

This is the specification. It is written to be read, a character at a time; `BulkTokenizer` and the in-graph tokenizer
are written to be fast and are tested to give the same.
"""

import unicodedata

from tokenization.characters import (
    convert_to_unicode,
    is_chinese_char,
    is_control,
    is_punctuation,
    is_whitespace,
    whitespace_tokenize,
)


class BasicTokenizer:
    """Cuts text into words and punctuation marks.

    Args:
      do_lower_case: lower-case the words; default True.
      strip_accents: drop their accents; default None, which does so where they are lower-cased.
      tokenize_chinese_chars: make each CJK character a word; default True. Otherwise they are letters as any other.

    Example:
      `BasicTokenizer().tokenize("Où est-il?")` gives `["ou", "est", "-", "il", "?"]`.
    """

    def __init__(
        self, do_lower_case: bool = True, strip_accents: bool | None = None, tokenize_chinese_chars: bool = True
    ) -> None:
        self.do_lower_case = do_lower_case
        self.tokenize_chinese_chars = tokenize_chinese_chars
        self.strip_accents = do_lower_case if strip_accents is None else strip_accents

    def tokenize(self, text: str | bytes) -> list[str]:
        """Cut text into words.

        Args:
          text: a string, or its UTF-8 bytes.

        Returns:
          The words in order, none of them empty or with white space inside.
        """
        text = self._clean_text(convert_to_unicode(text))
        # Also for English models: their vocabularies have CJK characters, which the corpora they come from contain.
        if self.tokenize_chinese_chars:
            text = self._tokenize_chinese_chars(text)
        pieces: list[str] = []
        for word in whitespace_tokenize(text):
            # Lower-casing word by word matters: whether a sigma is final depends on what stands around it.
            pieces.extend(self._run_split_on_punc(self.normal(word)))
        # Decomposition may leave nothing of a word.
        return whitespace_tokenize(" ".join(pieces))

    def normal(self, word: str) -> str:
        """A word in lower case and without accents, as the tokenizer is set."""
        word = word.lower() if self.do_lower_case else word
        return self._run_strip_accents(word) if self.strip_accents else word

    def _run_strip_accents(self, text: str) -> str:
        """Decompose (NFD) and drop the non-spacing marks."""
        return "".join(char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char) != "Mn")

    def _run_split_on_punc(self, text: str) -> list[str]:
        """Cut a word so that each punctuation mark is a piece: `"a--b"` to `["a", "-", "-", "b"]`."""
        pieces: list[str] = []
        in_word = False
        for char in text:
            if is_punctuation(char):
                pieces.append(char)
                in_word = False
            elif in_word:
                pieces[-1] += char
            else:
                pieces.append(char)
                in_word = True
        return pieces

    def _tokenize_chinese_chars(self, text: str) -> str:
        """Put blanks around each CJK character."""
        return "".join(f" {char} " if is_chinese_char(ord(char)) else char for char in text)

    def _is_chinese_char(self, cp: int) -> bool:
        """Tell whether a code point is a CJK character."""
        return is_chinese_char(cp)

    def _clean_text(self, text: str) -> str:
        """Drop NUL, U+FFFD and control characters; turn every kind of white space into a blank."""
        kept = (char for char in text if char != "\ufffd" and not is_control(char))
        return "".join(" " if is_whitespace(char) else char for char in kept)
