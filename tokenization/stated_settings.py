"""What the files of Hugging Face beside a vocabulary ask of its tokenizer, and whether it is computed here."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from common.errors import VocabularyError, one_line
from common.files import json_object
from tokenization.base import SpecialTokens

log = logging.getLogger(__name__)

TOKENIZER_CONFIG = "tokenizer_config.json"
ADDED_TOKENS = "added_tokens.json"
SPECIAL_TOKENS_MAP = "special_tokens_map.json"

_WORDPIECE_CLASSES = re.compile(r"(Bert|MobileBert|ConvBert|LayoutLM|Lxmert|SqueezeBert)Tokenizer(Fast)?")
"""Classes of Hugging Face whose tokens are those of BERT's."""
_ANY_CLASS = re.compile("PreTrainedTokenizer(Fast)?|TokenizersBackend")
"""Those that say nothing of the tokens."""
_SETS_APART = "tokenize_chinese_chars"
_SPECIAL_TOKENS = ("unk", "sep", "pad", "cls", "mask")
_ADVICE = (
    "the ids of some texts would differ; use another checkpoint, or remove this from the file to go on all the same"
)


def stated_settings(folder: Path) -> dict[str, Any]:
    """The content of a folder's `tokenizer_config.json`; empty where there is none.

    Raises:
      VocabularyError: the file cannot be read.
    """
    return _read(folder / TOKENIZER_CONFIG)


def check_stated_settings(vocab: Mapping[str, int], vocab_file: str | Path, classes: Collection[str] = ()) -> None:
    """Refuses what the files beside a vocabulary ask for and no tokenizer here computes; warns of added tokens.

    Args:
      vocab: token -> id.
      vocab_file: where it was read from.
      classes: of Hugging Face that give the same tokens, besides BERT's and those alike; default none.

    Raises:
      VocabularyError: a file cannot be read, or asks for something else than the tokenizer of BERT.
    """
    folder = Path(vocab_file).parent
    settings = stated_settings(folder)
    _refuse(_contradictions(settings), folder)
    _refuse(_other_class(settings, ("BertTokenizer", *classes), _WORDPIECE_CLASSES), folder)
    for name, tokens in ((ADDED_TOKENS, _read(folder / ADDED_TOKENS)), (TOKENIZER_CONFIG, _added(settings))):
        unknown = [token for token, index in tokens.items() if vocab.get(token) != index]
        if unknown:
            log.warning(
                "%s: adds %d tokens that the vocabulary does not have (%s); they are read as any other text",
                folder / name, len(unknown), one_line(", ".join(unknown), 80),
            )  # fmt: skip


def _contradictions(settings: Mapping[str, Any]) -> Iterator[str]:
    fixed = {
        "do_basic_tokenize": (True, "punctuation always ends a word here"),
        "wordpieces_prefix": ("##", "the rest of a word always begins with ## here"),
        "clean_text": (True, "control characters are always removed here"),
    }
    yield from _other_values(settings, fixed)
    if not isinstance(settings.get(_SETS_APART, True), bool):
        yield f"{_SETS_APART} is {_shown(settings[_SETS_APART])}, expected true or false"
    if settings.get("never_split"):
        yield f"never_split is {_shown(settings['never_split'])}, but every word is split here"
    yield from _other_special_tokens(settings, SpecialTokens())


def check_class(classes: Sequence[str], folder: Path) -> None:
    """Refuses a folder whose `tokenizer_config.json` names a class that gives other tokens.

    Args:
      classes: of Hugging Face that give the same tokens, without the ending "Fast".
      folder: of the vocabulary.

    Raises:
      VocabularyError: it does, or cannot be read.
    """
    _refuse(_other_class(stated_settings(folder), classes), folder)


def _other_class(
    settings: Mapping[str, Any], classes: Sequence[str], alike: re.Pattern[str] = _ANY_CLASS
) -> Iterator[str]:
    title = settings.get("tokenizer_class")
    if not isinstance(title, str) or title.removesuffix("Fast") in classes:
        return
    if not (alike.fullmatch(title) or _ANY_CLASS.fullmatch(title)):
        yield f"tokenizer_class is {one_line(title, 60)}, expected {classes[0]} or one that gives the same tokens"


def check_fixed(fixed: Mapping[str, tuple[Any, str]], folder: Path) -> None:
    """Refuses a folder whose `tokenizer_config.json` asks for what is not computed.

    Args:
      fixed: by the name of a setting, the only value that is computed, and the reason to give.
      folder: of the vocabulary.

    Raises:
      VocabularyError: it does, or cannot be read.
    """
    _refuse(_other_values(stated_settings(folder), fixed), folder)


def _other_values(settings: Mapping[str, Any], fixed: Mapping[str, tuple[Any, str]]) -> Iterator[str]:
    for name, (computed, reason) in fixed.items():
        if settings.get(name, computed) != computed:
            yield f"{name} is {_shown(settings[name])}, but {reason}"


def _refuse(problems: Iterator[str], folder: Path) -> None:
    problem = next(problems, None)
    if problem is not None:
        raise VocabularyError(f"{folder / TOKENIZER_CONFIG}: {problem}; {_ADVICE}")


def check_special_tokens(special_tokens: SpecialTokens, folder: Path) -> None:
    """Refuses a folder whose `tokenizer_config.json` names other special tokens.

    Raises:
      VocabularyError: it does, or cannot be read.
    """
    _refuse(_other_special_tokens(stated_settings(folder), special_tokens), folder)


def _other_special_tokens(settings: Mapping[str, Any], special_tokens: SpecialTokens) -> Iterator[str]:
    for name in _SPECIAL_TOKENS:
        stated, token = settings.get(f"{name}_token"), getattr(special_tokens, name)
        content = stated.get("content") if isinstance(stated, dict) else stated
        if isinstance(content, str) and content != token:
            yield f"{name}_token is {one_line(content, 60)}, expected {token}"


def _added(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens of `added_tokens_decoder` with their ids."""
    decoder = settings.get("added_tokens_decoder")
    found = decoder.items() if isinstance(decoder, dict) else ()
    return {
        str(token["content"]): int(index)
        for index, token in found
        if isinstance(token, dict) and "content" in token and index.isdecimal()
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        return json_object(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise VocabularyError(f"{path}: {error}; correct it or move it away") from None
    except OSError as error:
        raise VocabularyError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else one_line(repr(value), 60)
