"""How many tokens texts and pairs have: of an export whose answers do not say so, as those of a classifier."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from processors.records.document_windows import DocumentWindows, stated_truncation
from processors.records.featurizer import HEAD
from processors.records.pair_layout import PairLayout
from serving.rows import Description, Row
from tokenization.base import Tokenizer
from tokenization.kinds import of_assets


class Lengths:
    """Counts tokens in a thread of this process; the tokenizer is made at the first call.

    Args:
      export_dir: an export of `text_a` and `text_b`.
      description: what it says of itself.
    """

    def __init__(self, export_dir: Path, description: Description) -> None:
        self._assets = export_dir / "assets"
        self._length = description.max_seq_length
        self._settings = {"truncation": HEAD, **description.settings}
        self._tokenizer: Tokenizer | None = None
        self._turn = asyncio.Lock()

    async def of(self, rows: Sequence[Row]) -> list[dict[str, int]]:
        """Of each row `all_tokens`, special ones too, and `num_tokens`, those of them that the model reads."""
        async with self._turn:
            return await asyncio.to_thread(self._counted, rows)

    def _counted(self, rows: Sequence[Row]) -> list[dict[str, int]]:
        tokenizer = self._tokenizer = self._tokenizer or of_assets(self._assets, self._settings)
        layout, truncation = PairLayout.of(tokenizer), stated_truncation(self._settings)
        pieces = tokenizer.encode([row.get(name) or "" for name in ("text_a", "text_b") for row in rows])
        found = []
        for a, b in zip(map(len, pieces[: len(rows)]), map(len, pieces[len(rows) :]), strict=True):
            specials = layout.specials_of_pair if b else layout.specials_alone
            whole = specials + a + b
            lost = max(whole - self._length, 0)
            if isinstance(truncation, DocumentWindows):
                lost = truncation.plan(a, b, self._length - specials).lost
            found.append({"num_tokens": whole - lost, "all_tokens": whole})
        return found
