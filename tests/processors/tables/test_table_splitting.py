"""Dev rows held out of the training file: the same share of each class, the same rows each time, never both."""

from collections import Counter

import pytest

from common.errors import DataError
from processors import Columns, Split, TableProcessor, TableSpec
from processors.tables.splitting import held_out, named_file


def write_train(folder, rows):
    (folder / "train.tsv").write_text("text\tlabel\n" + "".join(f"row {i}\t{label}\n" for i, label in enumerate(rows)))


def read(folder, **options):
    processor = TableProcessor(TableSpec(Columns("text", label="label"), **options), str(folder))
    return tuple(list(getattr(processor, f"get_{split}_examples")(str(folder))) for split in ("train", "dev"))


def test_stratified_disjoint_and_complete(tmp_path):
    write_train(tmp_path, ["a"] * 100 + ["b"] * 50 + ["c"])
    train, dev = read(tmp_path)
    assert Counter(example.label for example in dev) == {"a": 10, "b": 5}
    texts = {example.text_a for example in train} | {example.text_a for example in dev}
    assert (len(train), len(dev), len(texts)) == (136, 15, 151)
    assert {example.guid.partition("-")[0] for example in dev} == {"dev"}


def test_the_seed_decides(tmp_path):
    write_train(tmp_path, ["a", "b"] * 100)
    assert read(tmp_path) == read(tmp_path)
    assert read(tmp_path)[1] != read(tmp_path, seed=1)[1]


def test_share_and_none(tmp_path):
    write_train(tmp_path, ["a", "b"] * 100)
    assert [len(rows) for rows in read(tmp_path, dev_fraction=0.25)] == [150, 50]
    processor = TableProcessor(TableSpec(Columns("text", label="label"), dev_fraction=0))
    assert len(list(processor.get_train_examples(str(tmp_path)))) == 200


def test_a_dev_file_is_enough(tmp_path):
    write_train(tmp_path, ["a", "b"] * 10)
    (tmp_path / "dev.tsv").write_text("text\tlabel\nx\ta\n")
    assert [len(rows) for rows in read(tmp_path)] == [20, 1]


def test_scores_are_drawn_as_one_class(tmp_path):
    write_train(tmp_path, [f"{i / 10}" for i in range(40)])
    assert [len(rows) for rows in read(tmp_path, problem_type="regression")] == [36, 4]


def test_several_labels_are_drawn_by_the_first(tmp_path):
    write_train(tmp_path, ["a,b", "b", "", "a"] * 20)
    train, dev = read(tmp_path, problem_type="multi_label")
    assert (len(train), len(dev)) == (72, 8)
    assert sum(example.label == () for example in dev) == 2


def test_bad_rows_are_neither_train_nor_dev(tmp_path):
    write_train(tmp_path, ["a", "b"] * 20 + [""] * 5)
    assert [len(rows) for rows in read(tmp_path, on_bad_row="skip")] == [36, 4]


def test_too_few_rows(tmp_path):
    write_train(tmp_path, ["a", "b"])
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert "2 rows are too few to hold out dev rows; give --dev_file, or --dev_fraction=0" in str(caught.value)


def test_held_out_never_takes_a_whole_class():
    rows = [(i, "rare" if i < 2 else "one" if i == 2 else "many", i) for i in range(12)]
    chosen = held_out(rows, 0.9, 0)
    assert len(chosen & {0, 1}) == 1
    assert 2 not in chosen
    assert len(chosen) == 9


def test_a_declared_file_is_that_of_the_folder(tmp_path, monkeypatch):
    """Names in a declaration are no choice of the command, whose working directory may have files of that name."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_train(folder, ["a", "b"] * 10)
    write_train(tmp_path, ["c", "d"])
    monkeypatch.chdir(tmp_path)
    processor = TableProcessor(
        TableSpec(Columns("text", label="label"), dev_fraction=0, splits={"train": Split("train.tsv")})
    )
    assert len(list(processor.get_train_examples(str(folder)))) == 20
    with pytest.raises(DataError, match=r"train\.tsv: may be .* which are different files; give the full path"):
        list(TableProcessor(processor.table, train_file="train.tsv").get_train_examples(str(folder)))


def test_one_file_under_two_names_is_no_question(tmp_path, monkeypatch):
    write_train(tmp_path, ["a", "b"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert named_file("train.tsv", str(tmp_path / "link"), "train") == tmp_path / "link" / "train.tsv"
    assert named_file(str(tmp_path / "train.tsv"), str(tmp_path / "link"), "train") == tmp_path / "train.tsv"
    assert named_file("train.tsv", None, "train").name == "train.tsv"
