"""How well the written texts fit their references."""

import logging
import math
import re
from collections.abc import Sequence

import numpy as np

from tokenization.natural_text import CHINESE

log = logging.getLogger(__name__)

_CHINESE = re.compile(f"[{CHINESE}]")
_UNIT = re.compile(rf"[{CHINESE}]|[^\W{CHINESE}]+")
ROUGE = ("rouge1", "rouge2", "rougeL")


def exact_match(written: Sequence[Sequence[int]], references: Sequence[Sequence[int]]) -> float:
    """Fraction of texts whose tokens are those of the reference; 0 of none."""
    hits = [list(one) == list(other) for one, other in zip(written, references, strict=True)]
    return sum(hits) / max(len(hits), 1)


def perplexity(losses: np.ndarray, tokens: np.ndarray) -> float:
    """Of the references, each token predicted from the true ones before it.

    Args:
      losses: float `[rows]`, sum of the cross-entropy of the tokens of each.
      tokens: float `[rows]`, how many there are.
    """
    mean = float(losses.astype(np.float64).sum() / max(float(tokens.astype(np.float64).sum()), 1.0))
    return math.exp(min(mean, 700.0))


def text_scores(written: Sequence[str], references: Sequence[str], lower_case: bool) -> dict[str, float]:
    """BLEU, chrF and ROUGE of whole texts, each from 0 to 100.

    Args:
      written: at least one text.
      references: one for each.
      lower_case: whether case is left out of account, as where the model writes in lower case alone.

    Returns:
      `bleu`, `chrf` over the corpus; `rouge1`, `rouge2`, `rougeL`, means of F1. Chinese characters are words of their
      own.

    Source: sacrebleu (arXiv:1804.08771) and rouge-score.
    """
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    is_chinese = _is_chinese(references)
    if is_chinese:
        log.info("BLEU takes each Chinese character as a word")
    bleu = BLEU(tokenize="zh" if is_chinese else "13a", lowercase=lower_case, force=True)
    scorer = RougeScorer(ROUGE, tokenizer=_Units())
    found = [scorer.score(reference, text) for text, reference in zip(written, references, strict=True)]
    rouge = {name: 100.0 * float(np.mean([one[name].fmeasure for one in found])) for name in ROUGE}
    return {
        "bleu": bleu.corpus_score(written, [references]).score,
        "chrf": CHRF(lowercase=lower_case).corpus_score(written, [references]).score,
        **rouge,
    }


class _Units:
    """The words of a text in lower case, as ROUGE counts them, and Chinese characters one by one."""

    def tokenize(self, text: str) -> list[str]:
        """The words."""
        return _UNIT.findall(text.lower())


def _is_chinese(texts: Sequence[str]) -> bool:
    """Whether most letters of the texts are Chinese characters."""
    letters = [char for text in texts for char in text if char.isalpha()]
    return 2 * sum(bool(_CHINESE.match(char)) for char in letters) > len(letters)
