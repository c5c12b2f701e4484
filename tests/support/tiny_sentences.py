"""Small, learnable sets of tagged sentences: some longer than a window, some with words that tokenize to nothing."""

import random
from pathlib import Path

from processors.entities.tags import IOB2, spans_of_tags, tags_of_spans
from tests.support import tiny

HARD_WORDS = ["\u200b", "zz", "filmlylylylylylylylylylylylylylylylyly", ","]


def sentence(rng: random.Random, length: int) -> list[tuple[str, str]]:
    """Words and IOB2 tags: one or two good words are an entity, a bad word is one, nothing else is."""
    made: list[tuple[str, str]] = []
    while len(made) < length:
        kind = rng.random()
        if kind < 0.15:
            words = rng.sample(tiny.GOOD, rng.randint(1, 2))
            made += [(word, "I-good" if index else "B-good") for index, word in enumerate(words)]
            made.append((rng.choice(tiny.FILLERS), "O"))
        elif kind < 0.3:
            made.append((rng.choice(tiny.BAD), "B-bad"))
        else:
            made.append((rng.choice(HARD_WORDS if kind < 0.36 else tiny.FILLERS), "O"))
    return made


def sentences(seed: int, count: int) -> list[list[tuple[str, str]]]:
    """So many sentences, one in five of which is long."""
    rng = random.Random(seed)
    return [sentence(rng, rng.randint(20, 40) if index % 5 == 4 else rng.randint(1, 8)) for index in range(count)]


def write_split(path: Path, made: list[list[tuple[str, str]]], scheme: str = IOB2, form: str = "{word}\t{tag}") -> Path:
    """Writes a column file."""
    lines = []
    for words in made:
        spans = spans_of_tags(tag for _, tag in words)
        tags = tags_of_spans(spans, len(words), scheme)
        lines += [form.format(word=word, tag=tag) + "\n" for (word, _), tag in zip(words, tags, strict=True)] + ["\n"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    return path


def write_splits(folder: Path, scheme: str = IOB2, form: str = "{word}\t{tag}") -> Path:
    """Writes train.conll, dev.conll and test.conll."""
    for seed, (name, count) in enumerate({"train": 100, "dev": 30, "test": 20}.items()):
        write_split(folder / f"{name}.conll", sentences(seed, count), scheme, form)
    return folder
