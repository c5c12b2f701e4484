"""WordPiece in a `tokenizer.json`."""

from dataclasses import dataclass
from pathlib import Path

from common.errors import VocabularyError, one_line
from tokenization.tokenizer_json import checked_vocab, model_of, part, read
from tokenization.wordpiece.longest_match import longest_word


@dataclass(frozen=True)
class WordPieceOfJson:
    """A WordPiece tokenizer as a file has it.

    Attributes:
      tokens: in the order of their ids.
      do_lower_case: whether text is lower-cased.
      strip_accents: whether accents are dropped.
      tokenize_chinese_chars: whether each Chinese character is set apart.
    """

    tokens: list[str]
    do_lower_case: bool
    strip_accents: bool
    tokenize_chinese_chars: bool


def wordpiece_of_json(path: Path) -> WordPieceOfJson:
    """The WordPiece tokenizer of a file.

    Raises:
      VocabularyError: it cannot be read, or cuts texts in another way than BERT's tokenizer.
    """
    content = read(path)
    model = model_of(content, "WordPiece", path, _ADVICE)
    vocab = checked_vocab(model.get("vocab"), path)
    tokens = sorted(vocab, key=vocab.__getitem__)
    if sorted(vocab.values()) != list(range(len(tokens))):
        raise VocabularyError(f"{path}: the ids of its {len(tokens)} tokens are not 0, 1, 2, ...; download it again")
    normalizer, steps = part(content, "normalizer", path), part(content, "pre_tokenizer", path)
    lower, sets_apart = bool(normalizer.get("lowercase")), normalizer.get("handle_chinese_chars")
    found = {
        "normalizer.type": normalizer.get("type"),
        "normalizer.clean_text": normalizer.get("clean_text"),
        "normalizer.handle_chinese_chars": sets_apart,
        "pre_tokenizer.type": steps.get("type"),
        "model.continuing_subword_prefix": model.get("continuing_subword_prefix"),
        _LONGEST: model.get("max_input_chars_per_word", _UNBROKEN[_LONGEST]),
    }
    for name, expected in (_BERT | _UNBROKEN if sets_apart is False else _BERT).items():
        if found[name] != expected:
            raise VocabularyError(
                f"{path}: {name} is {one_line(repr(found[name]), 60)}, expected {expected!r} as of BERT's tokenizer; "
                f"{_ADVICE}"
            )
    strips = normalizer.get("strip_accents")
    return WordPieceOfJson(tokens, lower, bool(lower if strips is None else strips), sets_apart is not False)


_BERT = {
    "normalizer.type": "BertNormalizer",
    "normalizer.clean_text": True,
    "normalizer.handle_chinese_chars": True,
    "pre_tokenizer.type": "BertPreTokenizer",
    "model.continuing_subword_prefix": "##",
}
_LONGEST = "model.max_input_chars_per_word"
_UNBROKEN = {"normalizer.handle_chinese_chars": False, _LONGEST: longest_word(tokenize_chinese_chars=False)}
"""What differs where Chinese characters are not set apart: sentences may be words, so that the limit counts."""
_ADVICE = "the ids of some texts would differ; give the vocabulary of the checkpoint as vocab.txt"
