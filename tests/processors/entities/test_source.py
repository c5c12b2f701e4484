"""Sentences of files by split: where labels and scheme come from, and what is refused or told."""

import json

import pytest

from common.errors import DataError
from processors.entities.columns import Columns
from processors.entities.source import SentenceFiles
from processors.entities.tagged_file import DEFAULT_FORM, FileForm
from processors.reading import MissingDataError

TRAIN_TEXT = "Ann B-person\nBerg I-person\nsleeps O\n\nOslo B-place\n"


def source_of(tmp_path, texts, form=DEFAULT_FORM, **options):
    files = {}
    for name, text in texts.items():
        files[name.partition(".")[0]] = tmp_path / name
        (tmp_path / name).write_text(text, encoding="utf-8")
    return SentenceFiles(files, form, **options)


def test_labels_are_both_tags_of_the_types_of_the_training_file(tmp_path):
    source = source_of(tmp_path, {"train.txt": TRAIN_TEXT, "dev.txt": "New B-place\nHaven I-place\n"})
    assert source.labels == ["O", "B-person", "I-person", "B-place", "I-place"]
    assert source.scheme == "iob2"
    assert [sentence.tags for sentence in source.sentences("dev")] == [["B-place", "I-place"]]


def test_the_scheme_of_the_data_is_converted(tmp_path):
    source = source_of(tmp_path, {"train.txt": "a B-x\nb E-x\nc S-x\nd O\n"})
    assert source.scheme == "bioes"
    assert [sentence.tags for sentence in source.sentences("train")] == [["B-x", "I-x", "B-x", "O"]]


def test_labels_of_an_earlier_run_need_no_training_file(tmp_path):
    texts = {"test.txt": "Ann\nsleeps\n"}
    source = source_of(tmp_path, texts, scheme="iob2", labels=["O", "B-person", "I-person"])
    assert [sentence.tags for sentence in source.sentences("test")] == [None]
    with pytest.raises(MissingDataError, match="no file for the dev split; give --dev_file, or"):
        next(source.sentences("dev"))


@pytest.mark.parametrize(
    ("name", "text", "tags"),
    [
        ("test.txt", "Ann\n\nOslo\n", [None, None]),
        ("test.txt", "Ann B-person\n", [["B-person"]]),
        ("test.jsonl", '{"tokens": ["Ann"]}\n', [None]),
        ("test.jsonl", '{"text": "Ann sleeps"}\n', [None]),
        ("test.jsonl", '{"text": "Ann sleeps", "entities": [[0, 3, "person"]]}\n', [["B-person", "O"]]),
        ("test.jsonl", '{"tokens": ["Ann"], "tags": ["B-person"]}\n', [["B-person"]]),
    ],
)
def test_a_file_to_predict_has_tags_or_none(tmp_path, name, text, tags):
    source = source_of(tmp_path, {"train.txt": TRAIN_TEXT, name: text})
    assert [sentence.tags for sentence in source.sentences("test")] == tags


def test_a_column_that_is_no_tag_is_said_to_be_none(tmp_path):
    source = source_of(tmp_path, {"train.txt": TRAIN_TEXT, "test.txt": "Ann NNP\n"})
    with pytest.raises(DataError, match=r"found tag 'NNP'.*; --tag_column=none if the file has no tags$"):
        next(source.sentences("test"))
    form = FileForm(Columns(0, None))
    source = source_of(tmp_path, {"test.txt": "Ann NNP\n"}, form, scheme="iob2", labels=source.labels)
    assert next(source.sentences("test")).tags is None


def test_what_cannot_be_meant_is_told_once(tmp_path, caplog):
    texts = {"train.txt": TRAIN_TEXT, "dev.txt": "a O\nb I-place\n\nc I-place\n", "test.txt": "a B-NP\nb I-NP\n"}
    source = source_of(tmp_path, texts)
    for split in ("train", "dev", "dev", "test"):
        list(source.sentences(split))
    assert [record.getMessage().partition(": ")[2].partition(";")[0] for record in caplog.records] == [
        "2 tags break the scheme iob2 (an I- that continues nothing, say)",
        "2 words have tags that are not among the labels, so that none can be predicted",
    ]


def test_types_that_look_alike_are_named(tmp_path, caplog):
    texts = {"train.txt": "a B-per\nb B-Per\nc B-per\u200b\nd B-place\n"}
    assert len(source_of(tmp_path, texts).labels) == 9
    path = tmp_path / "train.txt"
    assert (
        f"{path}: the labels 'Per' and 'per' are two classes, but differ only in what the eye does not see"
        in caplog.text
    )
    assert "the labels 'Per' and 'per\\u200b' are two classes" in caplog.text
    assert "write 'per' as 'Per' to make them one" in caplog.text
    caplog.clear()
    source_of(tmp_path, {"train.txt": "a NN\nb nn\n"}, scheme="none")
    assert "the labels 'NN' and 'nn' are two classes" in caplog.text


def test_lines_of_conllu_that_are_left_out_are_told_once(tmp_path, caplog):
    lines = ["1-2\tdel\t_", "1\tde\tADP", "2\tel\tDET"]
    text = "".join(line + "\t_" * 7 + "\n" for line in lines)
    form = FileForm(Columns(1, 2))
    source = source_of(tmp_path, {"train.txt": text}, form, scheme="none")
    assert source.labels == ["ADP", "DET"]
    with caplog.at_level("INFO"):
        for _ in range(2):
            assert [sentence.words for sentence in source.sentences("train")] == [["de", "el"]]
    assert caplog.text.count("left out 1 lines of CoNLL-U that are no words of their own") == 1


def test_lone_carriage_returns_are_named_in_every_split(tmp_path):
    source = source_of(tmp_path, {"train.txt": TRAIN_TEXT, "test.txt": ""})
    path = tmp_path / "test.txt"
    path.write_bytes(TRAIN_TEXT.replace("\n", "\r").encode())
    with pytest.raises(DataError, match=r"test.txt:1: found a line break without a newline \(a lone carriage return\)"):
        list(source.sentences("test"))


def read_all(tmp_path, texts):
    source = source_of(tmp_path, texts)
    return [list(source.sentences(split)) for split in ("train", "dev")]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"train.txt": "a O\nb O\n"}, "all 2 words are tagged O, expected entities to learn; check --tag_column"),
        (
            {"train.txt": TRAIN_TEXT, "dev.txt": "a O\n\nb B-plce\n"},
            "dev.txt:3: in the sentence that starts here found tag 'B-plce', which is not among the labels of the "
            "training file; closest 'B-place', 'I-place'; correct it, or give all with --labels",
        ),
        ({"train.jsonl": json.dumps({"tokens": ["\ud83d"], "tags": ["B-x"]})}, "half a character"),
        (
            {"train.jsonl": json.dumps({"text": "a", "entities": [[0, 1, "x\ny"]]})},
            "train.jsonl: found tag 'B-x\\ny', expected one without a line break; rename it",
        ),
        ({"train.txt": "Ann\n"}, "token and tag are both read from column 0 of 1"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, texts, message):
    with pytest.raises(DataError) as refused:
        read_all(tmp_path, texts)
    assert message in str(refused.value)
