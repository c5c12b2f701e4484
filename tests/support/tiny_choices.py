"""Small, learnable sets of questions: the right choice says something good, the others something bad."""

import csv
import json
import random
from pathlib import Path

from tests.support import tiny

HEADER = ["ctx", "q", "a", "b", "c", "d", "right"]
FLAGS = [
    "--context=ctx", "--question=q", "--choices=a,b,c,d", "--label=right", "--label_as=letter",
]  # fmt: skip
COUNTS = {"train": 96, "dev": 30, "test": 20}


def question(rng: random.Random) -> list[str]:
    """Cells of one row: two to four choices, one of the places between them blank at times."""
    context = " ".join(rng.choices(tiny.FILLERS, k=rng.randint(2, 12)))
    count = rng.randint(2, 4)
    places = sorted(rng.sample(range(4), count))
    right = rng.choice(places)
    bad = iter(rng.sample(tiny.BAD, 4))
    cells = [""] * 4
    for place in places:
        ending = " ".join(rng.choices(tiny.FILLERS, k=rng.randint(0, 3)))
        cells[place] = f"{rng.choice(tiny.GOOD) if place == right else next(bad)} {ending}".strip()
    return [context, "the film was", *cells, "ABCD"[right]]


def questions(seed: int, count: int) -> list[list[str]]:
    """So many rows."""
    rng = random.Random(seed)
    return [question(rng) for _ in range(count)]


def write_rows(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    """Writes a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def write_splits(folder: Path) -> Path:
    """Writes train.csv, dev.csv and test.csv."""
    for seed, (name, count) in enumerate(COUNTS.items()):
        write_rows(folder / f"{name}.csv", questions(seed, count))
    return folder


def write_swag(folder: Path) -> Path:
    """SWAG's files."""
    header = ["", "video-id", "fold-ind", "startphrase", "sent1", "sent2", "gold-source"]
    header += [f"ending{place}" for place in range(4)]
    for seed, (name, count) in enumerate({"train": 32, "val": 8, "test": 8}.items()):
        rows = []
        for number, row in enumerate(_of_four(seed, count)):
            label = [] if name == "test" else [str("ABCD".index(row[6]))]
            rows.append([str(number), "v_1", "1", f"{row[0]} {row[1]}", row[0], row[1], "gold", *row[2:6], *label])
        write_rows(folder / f"{name}.csv", rows, header + ([] if name == "test" else ["label"]))
    return folder


def write_cosmosqa(folder: Path) -> Path:
    """CosmosQA's files."""
    header = ["id", "context", "question", *[f"answer{place}" for place in range(4)], "label"]
    for seed, (name, count) in enumerate({"train": 32, "valid": 8}.items()):
        rows = [[f"{name}#{i}", *row[:6], str("ABCD".index(row[6]))] for i, row in enumerate(_of_four(seed, count))]
        write_rows(folder / f"{name}.csv", rows, header)
    (folder / "test.jsonl").write_text(
        "".join(json.dumps(dict(zip(header, [f"t{i}", *row[:6]], strict=False))) + "\n" for i, row in
                enumerate(_of_four(9, 8))), encoding="utf-8",
    )  # fmt: skip
    return folder


def write_race(folder: Path) -> Path:
    """RACE's files: an article each, with a gap in one of two questions."""
    for seed, (split, count) in enumerate({"train": 8, "dev": 3, "test": 3}.items()):
        for level in ("middle", "high"):
            for number in range(count):
                rows = _of_four(f"{seed}{level}{number}", 2)
                article = {
                    "id": f"{level}{number}.txt",
                    "article": rows[0][0],
                    "questions": ["the film was _ .", "what was the day"],
                    "options": [row[2:6] for row in rows],
                    "answers": [row[6] for row in rows],
                }
                path = folder / split / level / f"{number}.txt"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(article), encoding="utf-8")
    return folder


def write_dream(folder: Path) -> Path:
    """DREAM's files."""
    return _write_dialogues(folder, {f"{split}.json": count for split, count in _SIZES.items()}, 3)


def write_c3(folder: Path) -> Path:
    """C3's files."""
    sizes = {f"c3-{kind}-{split}.json": count for split, count in _SIZES.items() for kind in "dm"}
    return _write_dialogues(folder, sizes, None)


def write_opinion(folder: Path) -> Path:
    """AI Challenger's opinion questions."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, count) in enumerate({"trainingset": 32, "validationset": 8, "testa": 8}.items()):
        lines = []
        for number, row in enumerate(_of_four(seed, count)):
            places = sorted({0, 1, 2, "ABCD".index(row[6])})[-3:]
            item = {
                "query_id": number, "query": row[1], "url": "none", "passage": row[0],
                "alternatives": "|".join(row[2 + place] for place in places),
            }  # fmt: skip
            lines.append(item | ({} if name == "testa" else {"answer": row[2 + "ABCD".index(row[6])]}))
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"ai_challenger_oqmrc_{name}.json").write_text(text, encoding="utf-8")
    return folder


_SIZES = {"train": 16, "dev": 6, "test": 6}
LAYOUTS = {
    "swag": write_swag, "cosmosqa": write_cosmosqa, "race": write_race, "dream": write_dream, "c3": write_c3,
    "opinion": write_opinion,
}  # fmt: skip
"""Writers of the files of data sets by name."""


def _of_four(seed: object, count: int) -> list[list[str]]:
    """Rows without blank places."""
    rng = random.Random(str(seed))
    made: list[list[str]] = []
    while len(made) < count:
        row = question(rng)
        if all(row[2:6]):
            made.append(row)
    return made


def _write_dialogues(folder: Path, sizes: dict[str, int], choices: int | None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in sizes.items():
        items = []
        for number, row in enumerate(_of_four(name, count)):
            right = "ABCD".index(row[6])
            places = sorted(
                {*[place for place in range(4) if place != right][: (choices or 2 + number % 3) - 1], right}
            )
            one = {"question": row[1], "choice": [row[2 + place] for place in places], "answer": row[2 + right]}
            items.append([[f"M: {row[0]}", "W: it was good"], [one], f"{name[3]}{number}-1"])
        (folder / name).write_text(json.dumps(items, indent=1).replace("\n", "\r\n"), encoding="utf-8")
    return folder
