"""`--extra_tokens`: a tokenizer with further tokens, and the file of its vocabulary."""

import atexit
import logging
import shutil
import tempfile
from pathlib import Path

from common.errors import FlagError
from tokenization.base import Tokenizer
from tokenization.extra_tokens import vocabulary_text
from tokenization.kinds import Kind
from tokenization.wordpiece.bulk import BulkTokenizer

log = logging.getLogger(__name__)


def with_extra_tokens(kind: Kind, tokenizer: Tokenizer, extra_tokens: str) -> tuple[Tokenizer, Path]:
    """The tokenizer with the tokens of a file, and its vocabulary as a file, which is removed when the process ends.

    Args:
      kind: of the tokenizer.
      tokenizer: without them.
      extra_tokens: the value of the flag.

    Raises:
      BertError: a tokenizer of this kind cannot have further tokens, or the file cannot be used.
    """
    if kind.extended is None or not isinstance(tokenizer, BulkTokenizer):
        raise FlagError(
            f"--extra_tokens={extra_tokens}: a {tokenizer.kind} vocabulary is one with the model that cuts text, and "
            "takes no further tokens; expected a WordPiece vocabulary, as BERT has"
        )
    vocabulary = kind.extended(tokenizer, Path(extra_tokens))
    log.info("--extra_tokens=%s: %s", extra_tokens, vocabulary)
    folder = tempfile.mkdtemp(prefix="bert_vocabulary_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "vocab.txt"
    path.write_text(vocabulary_text(vocabulary.tokens), encoding="utf-8")
    return tokenizer.with_tokens(vocabulary.tokens), path
