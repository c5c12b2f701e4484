"""Does the flag about case agree with the checkpoint's name, its settings and its vocabulary?"""

import re
from collections.abc import Mapping
from pathlib import Path

from common.errors import FlagError
from tokenization.stated_settings import TOKENIZER_CONFIG, stated_settings

# The folder that a published checkpoint unpacks to, e.g. uncased_L-12_H-768_A-12/bert_model.ckpt.
_PUBLISHED = re.compile(r"(?:.*/)?(?P<kind>[a-z_]+)_L-\d+_H-\d+_A-\d+/bert_model\.ckpt", re.DOTALL)
_FEWEST_WORDS_TO_TELL = 1000
_TRAINED_ON_LOWER_CASE = {
    "uncased": True,
    "wwm_uncased": True,
    "multilingual": True,
    "chinese": True,
    "cased": False,
    "wwm_cased": False,
    "multi_cased": False,
}


def validate_case_matches_checkpoint(do_lower_case: bool, init_checkpoint: str | None) -> None:
    """Check the casing flag against the name of a published checkpoint; unknown names pass.

    Args:
      do_lower_case: the value of --do_lower_case.
      init_checkpoint: path of the checkpoint, or None or "" for none.

    Raises:
      FlagError: the name says that the model was trained the other way.
    """
    match = _PUBLISHED.match(init_checkpoint or "")
    expected = _TRAINED_ON_LOWER_CASE.get(match["kind"]) if match else None
    if expected is None or expected == do_lower_case:
        return
    raise FlagError(
        f"--do_lower_case={str(do_lower_case).lower()} contradicts --init_checkpoint={init_checkpoint}, whose folder "
        f"names a model trained on {'lower-cased' if expected else 'cased'} text; set "
        f"--do_lower_case={str(expected).lower()}, or rename the folder if its name is wrong"
    )


def check_vocabulary_casing(do_lower_case: bool, vocab: Mapping[str, int], vocab_file: str | Path) -> None:
    """Check the casing flag against a vocabulary and the `tokenizer_config.json` beside it, if there is one.

    Lower-casing text for a cased vocabulary loses its words; the reverse turns every capitalised word into [UNK].

    Args:
      do_lower_case: the value of --do_lower_case.
      vocab: token -> id.
      vocab_file: where it was read from.

    Raises:
      FlagError: they contradict each other.
      VocabularyError: that file cannot be read.
    """
    folder = Path(vocab_file).parent
    expected, evidence = _casing_of(vocab), f"the tokens of {vocab_file} are"
    stated = stated_settings(folder).get("do_lower_case")
    if isinstance(stated, bool):
        expected, evidence = stated, f"{folder / TOKENIZER_CONFIG} says that the model is"
    if expected is None or expected == do_lower_case:
        return
    raise FlagError(
        f"--do_lower_case={str(do_lower_case).lower()}, but {evidence} {'lower-cased' if expected else 'cased'}; "
        f"set --do_lower_case={str(expected).lower()}, or give the vocabulary of the checkpoint"
    )


def _casing_of(vocab: Mapping[str, int]) -> bool | None:
    """Whether a vocabulary was learnt from lower-cased text; None where it has too few Latin words to tell."""
    words = [token for token in vocab if token.isascii() and token.isalpha()]
    if len(words) < _FEWEST_WORDS_TO_TELL:
        return None
    capitalised = sum(not word.islower() for word in words)
    if 0 < capitalised < len(words) // 100:
        return None
    return capitalised == 0
