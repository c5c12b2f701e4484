"""Words to pieces: greedy longest match against a vocabulary."""

from collections.abc import Container

from tokenization.characters import convert_to_unicode, whitespace_tokenize

# Longer words are a single unknown piece; in characters, not bytes.
MAX_INPUT_CHARS_PER_WORD = 200
# The same in Hugging Face's library, whose setting it is to leave Chinese sentences unbroken: these are its long words.
_MAX_UNBROKEN_CHARS = 100
# Pieces that do not start a word carry this in the vocabulary.
SUFFIX_INDICATOR = "##"


def longest_word(tokenize_chinese_chars: bool) -> int:
    """Characters of the longest word that is looked up, by whether Chinese characters are words of their own."""
    return MAX_INPUT_CHARS_PER_WORD if tokenize_chinese_chars else _MAX_UNBROKEN_CHARS


class WordpieceTokenizer:
    """Cuts words into the longest pieces that the vocabulary has, from the left.

    Args:
      vocab: the known pieces, a mapping or a set.
      unk_token: what a word becomes that cannot be cut; default "[UNK]".
      max_input_chars_per_word: characters; longer words become `unk_token`; default 200.

    Example:
      with `un`, `##aff` and `##able` known, `tokenize("unaffable")` gives `["un", "##aff", "##able"]`.
    """

    def __init__(
        self,
        vocab: Container[str],
        unk_token: str = "[UNK]",
        max_input_chars_per_word: int = MAX_INPUT_CHARS_PER_WORD,
    ) -> None:
        self.vocab = vocab
        self.unk_token = unk_token
        self.max_input_chars_per_word = max_input_chars_per_word

    def tokenize(self, text: str | bytes) -> list[str]:
        """Cut text that `BasicTokenizer` has been over into pieces.

        Args:
          text: words with blanks between them.

        Returns:
          The pieces in order.
        """
        return [piece for word in whitespace_tokenize(convert_to_unicode(text)) for piece in self._pieces(word)]

    def _pieces(self, word: str) -> list[str]:
        """Pieces of one word; one unknown piece where any part of it is not in the vocabulary."""
        if len(word) > self.max_input_chars_per_word:
            return [self.unk_token]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            prefix = SUFFIX_INDICATOR if start else ""
            end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in self.vocab), None)
            if end is None:
                return [self.unk_token]
            pieces.append(prefix + word[start:end])
            start = end
        return pieces
