"""`--extra_tokens`: a tokenizer with further tokens, and the file of its vocabulary."""

import atexit
import logging
import shutil
import tempfile
from pathlib import Path

from tokenization.base import Tokenizer
from tokenization.kinds import Kind

log = logging.getLogger(__name__)


def with_extra_tokens(kind: Kind, tokenizer: Tokenizer, extra_tokens: str) -> tuple[Tokenizer, Path]:
    """The tokenizer with the tokens of a file, and its vocabulary as a file, which is removed when the process ends.

    Args:
      kind: of the tokenizer.
      tokenizer: without them.
      extra_tokens: the value of the flag.

    Raises:
      BertError: the file cannot be used, or texts never have one of its tokens.
    """
    vocabulary = kind.extended(tokenizer, Path(extra_tokens))
    log.info("--extra_tokens=%s: %s", extra_tokens, vocabulary)
    folder = tempfile.mkdtemp(prefix="bert_vocabulary_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    paths = [Path(folder) / name for name in vocabulary.files]
    for path, content in zip(paths, vocabulary.files.values(), strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return vocabulary.tokenizer, paths[0]
