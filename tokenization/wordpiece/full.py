"""Text to pieces to ids: the specification from end to end."""

from collections.abc import Iterable
from pathlib import Path

from tokenization.vocabulary import convert_by_vocab, load_vocab
from tokenization.wordpiece.basic import BasicTokenizer
from tokenization.wordpiece.longest_match import WordpieceTokenizer, longest_word


class FullTokenizer:
    """Cuts text into WordPieces of a vocabulary, and maps those to ids and back.

    Args:
      vocab_file: path of the vocabulary, see `load_vocab`.
      do_lower_case: lower-case, as the vocabulary's model was trained; default True.
      strip_accents: drop accents; default None, which does so where text is lower-cased.
      tokenize_chinese_chars: make each CJK character a word; default True.

    Raises:
      VocabularyError: the vocabulary is unusable.

    Source: google-research/bert `tokenization.FullTokenizer`; the same pieces for the same text.
    """

    def __init__(
        self,
        vocab_file: str | Path,
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        tokenize_chinese_chars: bool = True,
    ) -> None:
        self.vocab = load_vocab(vocab_file)
        self.inv_vocab = {index: token for token, index in self.vocab.items()}
        self.basic_tokenizer = BasicTokenizer(do_lower_case, strip_accents, tokenize_chinese_chars)
        self.wordpiece_tokenizer = WordpieceTokenizer(
            self.vocab, max_input_chars_per_word=longest_word(tokenize_chinese_chars)
        )

    def tokenize(self, text: str | bytes) -> list[str]:
        """Cut text into pieces; what cannot be cut is "[UNK]".

        Args:
          text: a string, or its UTF-8 bytes.

        Returns:
          The pieces in order, without "[CLS]" and "[SEP]".
        """
        words = self.basic_tokenizer.tokenize(text)
        return [piece for word in words for piece in self.wordpiece_tokenizer.tokenize(word)]

    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int]:
        """Turn pieces into ids; a piece outside the vocabulary is a KeyError."""
        return convert_by_vocab(self.vocab, tokens)

    def convert_ids_to_tokens(self, ids: Iterable[int]) -> list[str]:
        """Turn ids into pieces; an id outside the vocabulary is a KeyError."""
        return convert_by_vocab(self.inv_vocab, ids)
