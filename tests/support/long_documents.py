"""Long documents made of WikiText: what decides their label is behind their first 128 words.

python -m tests.support.long_documents ../shared/data/wikitext-2 OUTPUT_FOLDER [--pairs]
"""

import itertools
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

BEFORE = 128
"""Words, and so at least as many tokens, before the passage that decides."""
TOPICS = {
    "music": "song|album|band|guitar|vocals|singer|lyrics|melody|music|musical|recorded|chart|track",
    "war": "troops|battle|army|fleet|regiment|infantry|squadron|artillery|navy|soldiers|war|destroyer|battalion",
}
SPLITS = {"train": ("test.txt", 120), "dev": ("valid.txt", 40)}
"""The file of WikiText that the documents of a split are made of, and how many there are of each label."""


def sentences(path: Path) -> Iterator[str]:
    """Sentences of at least ten words, without headings and without the marks of WikiText."""
    for line in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
        if line and not line.startswith("="):
            plain = re.sub(r" @([-,.])@ ", r"\1", line).replace("<unk>", "thing").replace("\t", " ")
            yield from (text for text in re.split(r"(?<= [.?!]) (?=[A-Z\"])", plain) if len(text.split()) >= 10)


def topic(sentence: str) -> str | None:
    """The topic that at least two words of a sentence are of; "" for none at all, None where that is not clear."""
    words = set(re.findall(r"[a-z]+", sentence.lower()))
    counts = {name: len(words & set(pattern.split("|"))) for name, pattern in TOPICS.items()}
    if not any(counts.values()):
        return ""
    (best, most), (_, least) = sorted(counts.items(), key=lambda item: -item[1])
    return best if most >= 2 and least == 0 else None


def documents(path: Path, count: int) -> Iterator[tuple[str, str, str]]:
    """A document, a sentence of no topic, and the label: as many of each label, with the same words before the passage
    that decides. A reader of the first words alone is right of every second one.
    """
    by_topic: dict[str | None, list[str]] = {}
    for sentence in sentences(path):
        by_topic.setdefault(topic(sentence), []).append(sentence)
    rng = random.Random(1)
    for found in by_topic.values():
        rng.shuffle(found)
    neutral = itertools.cycle(by_topic[""])
    passages = {name: itertools.cycle(by_topic[name]) for name in TOPICS}
    for _ in range(count):
        before = ""
        while len(before.split()) < BEFORE:
            before += next(neutral) + " "
        other = next(neutral)
        for name, of_topic in passages.items():
            yield f"{before}{next(of_topic)} {next(of_topic)}", other, name


def write(wikitext: Path, folder: Path, pairs: bool = False) -> Path:
    """Writes train.tsv and dev.tsv: `text`, `other`, `label`; of pairs, every second document is the second text."""
    folder.mkdir(parents=True)
    for split, (name, count) in SPLITS.items():
        rows = ["text\tother\tlabel"]
        for index, (document, other, label) in enumerate(documents(wikitext / name, count)):
            texts = (document, other) if not pairs or index % 4 < 2 else (other, document)
            rows.append("\t".join([*texts, label]))
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]), "--pairs" in sys.argv)
