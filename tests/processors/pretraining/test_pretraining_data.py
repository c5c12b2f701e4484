"""create_pretraining_data.py: upstream's records, streaming, shards that survive, and bad input in one line."""

import gzip
import json
import logging
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import create_pretraining_data
from command_line import create_pretraining_data as command
from command_line.flags.parsing import parse
from common.errors import BertError
from common.workers import ordered_map
from processors.pretraining import corpus as corpus_module
from processors.pretraining.corpus import CorpusReader, CorpusStatistics, DuplicateCounter, corpus_files
from processors.pretraining.instance_records import read_manifest, record_files
from tests.support.dying_worker import Dying

ROOT = Path(create_pretraining_data.__file__).parent
WORDS = ["the", "lobster", "is", "blue", "and", "walk", "##s", "slow", "##ly", "sea", "红", "龙", "虾", "吃", "."]
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SENTENCES = [
    "The lobster is blue.",
    "Lobster walks slowly and walks.",
    "The sea is blue and slow .",
    "Blue unknowable sea .",
]


@pytest.fixture
def vocab_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(SPECIALS + WORDS) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def corpus(tmp_path):
    """Twelve documents of five sentences each, no two alike."""
    path = tmp_path / "corpus.txt"
    documents = [[SENTENCES[(number + i * i) % 4] * (1 + i % 2) for i in range(5)] for number in range(12)]
    path.write_text("\n\n".join("\n".join(one) for one in documents) + "\n", encoding="utf-8")
    return path


def options(**given):
    argv = ["create_pretraining_data.py", *(f"--{name}={value}" for name, value in given.items())]
    return parse(argv, command.SCRIPT.flags)


@pytest.fixture
def create(vocab_file, corpus, tmp_path):
    def run(**given):
        settings = {
            "input_file": corpus,
            "output_file": tmp_path / "out" / "train.tf_record",
            "vocab_file": vocab_file,
            "max_seq_length": 32,
            "max_predictions_per_seq": 5,
            "dupe_factor": 2,
        }
        command.run(options(**(settings | given)))
        return tmp_path / "out"

    return run


@pytest.fixture
def fails(create):
    def message(**given):
        with pytest.raises(BertError) as caught:
            create(**given)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message


def rows(*paths):
    """Records as plain dictionaries of lists."""
    names = [str(path) for path in paths]
    kinds = {"int64_list": lambda v: list(v.int64_list.value), "float_list": lambda v: list(v.float_list.value)}
    examples = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(names)]
    return [{name: kinds[v.WhichOneof("kind")](v) for name, v in e.features.feature.items()} for e in examples]


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".json"}


def report_of(folder):
    return json.loads((folder / "train.tf_record.report.json").read_text())


@pytest.mark.parametrize(("name", "whole_words"), [("pretrain", False), ("pretrain_wwm", True)])
def test_records_are_upstreams(create, shared, golden, vocab_dir, name, whole_words):
    folder = create(
        input_file=shared / "data" / "sample-text" / "sample_text.txt",
        vocab_file=vocab_dir / "bert-base-uncased" / "vocab.txt",
        max_seq_length=64,
        max_predictions_per_seq=10,
        random_seed=20261120,
        do_whole_word_mask=whole_words,
    )
    found = rows(folder / "train.tf_record")
    assert found == rows(golden / f"{name}.tf_record")
    assert len(found) > 30


def test_several_outputs_are_filled_in_turn(create, tmp_path):
    whole = rows(create(output_file=tmp_path / "out" / "train.tf_record") / "train.tf_record")
    create(output_file=f"{tmp_path}/two/a,{tmp_path}/two/b")
    assert rows(tmp_path / "two" / "a") == whole[::2]
    assert rows(tmp_path / "two" / "b") == whole[1::2]
    create(output_file=tmp_path / "three" / "c", num_shards=3)
    assert rows(tmp_path / "three" / "c-00002-of-00003") == whole[2::3]


def test_gzip_and_globs_give_the_same(create, corpus, tmp_path):
    plain = rows(create() / "train.tf_record")
    packed = tmp_path / "packed" / "corpus.txt.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(corpus.read_bytes()))
    assert rows(create(input_file=f"{tmp_path}/pack*/*.gz") / "train.tf_record") == plain


def test_a_folder_is_all_text_files_below_it(create, corpus, fails, tmp_path):
    plain = rows(create() / "train.tf_record")
    folder = tmp_path / "folder"
    (folder / "b" / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    lines = corpus.read_bytes().splitlines(keepends=True)
    (folder / "a.txt").write_bytes(b"".join(lines[:20]))
    (folder / "b" / "deep" / "1.txt.gz").write_bytes(gzip.compress(b"".join(lines[20:40])))
    (folder / "c.TXT").write_bytes(b"".join(lines[40:]))
    for other in ("notes.md", "a.txt.bak", ".a.txt", "b/table.tsv.gz", ".hidden/z.txt"):
        (folder / other).write_text("The sea .\n")
    assert corpus_files(f"{corpus}, {folder}") == [corpus, *(folder / n for n in ("a.txt", "b/deep/1.txt.gz", "c.TXT"))]
    assert rows(create(input_file=folder) / "train.tf_record") == plain
    (tmp_path / "none" / "x").mkdir(parents=True)
    (tmp_path / "none" / "x" / "a.md").write_text("The sea .\n")
    assert fails(input_file=tmp_path / "none") == (
        f"--input_file: {tmp_path}/none is a folder without .txt or .txt.gz files, expected some in it or its folders; "
        f"name the files, as in '{tmp_path}/none/*'"
    )


def test_unpadded_records_hold_the_same(create):
    padded = rows(create() / "train.tf_record")
    short = rows(create(pad_records=False) / "train.tf_record")
    for full, lean in zip(padded, short, strict=True):
        length = len(lean["input_ids"])
        assert full["input_ids"] == lean["input_ids"] + [0] * (32 - length)
        assert full["masked_lm_weights"] == lean["masked_lm_weights"] + [0.0] * (5 - len(lean["masked_lm_ids"]))
    assert min(len(row["input_ids"]) for row in short) < 32


def test_packed_sentences_have_one_segment_and_no_label(create):
    found = rows(create(no_nsp=True) / "train.tf_record")
    assert all("next_sentence_labels" not in row and not any(row["segment_ids"]) for row in found)
    assert np.mean([sum(row["input_mask"]) for row in found]) > 24


@pytest.mark.parametrize("workers", [1, 2])
def test_streaming_does_not_depend_on_the_number_of_workers(create, workers, tmp_path):
    settings = {"streaming": True, "num_shards": 3, "block_size": 300}
    found = contents(create(num_workers=workers, **settings))
    assert list(found) == [f"train.tf_record-0000{index}-of-00003" for index in range(3)]
    other = contents(create(output_file=tmp_path / "out" / "train.tf_record", num_workers=1, random_seed=2, **settings))
    assert all(found[name] != other[name] for name in found)
    again = contents(create(num_workers=1, **settings))
    assert again == found


def test_streaming_covers_the_same_text(create):
    exact = report_of(create(dupe_factor=1))
    folder = create(dupe_factor=1, streaming=True, block_size=300, num_shards=2, num_workers=1)
    streamed = report_of(folder)
    counted = ("documents", "sentences", "pieces", "duplicate_sentences", "unknown_piece_rate")
    assert {name: exact[name] for name in counted} == {name: streamed[name] for name in counted}
    assert streamed["instances"] == pytest.approx(exact["instances"], rel=0.3)
    assert streamed["instances"] == len(rows(*record_files(f"{folder}/train.tf_record-*")))


def test_an_interrupted_run_keeps_whole_shards(create, caplog):
    settings = {"streaming": True, "num_shards": 3, "block_size": 300, "num_workers": 1}
    folder = create(**settings)
    before, report = contents(folder), report_of(folder)
    first, second, third = (folder / name for name in before)
    second.unlink()  # never finished
    third.write_bytes(third.read_bytes()[:-7])  # cut off
    (folder / f"{second.name}.tmp-{platform.node()}-{2**22 + 1}").write_bytes(b"killed")  # no such process
    stamp = first.stat().st_mtime_ns
    with caplog.at_level(logging.INFO):
        create(**settings)
    assert contents(folder) == before
    assert report_of(folder) == report
    assert first.stat().st_mtime_ns == stamp
    assert f"keeping {read_manifest(first)['num_records']} records of {first}" in caplog.text
    assert f"records to {third}" in caplog.text
    assert not list(folder.glob("*.tmp-*"))


def test_equal_settings_are_not_done_twice_and_others_are(create, corpus):
    output = create() / "train.tf_record"
    stamp = output.stat().st_mtime_ns
    create()
    assert output.stat().st_mtime_ns == stamp
    create(masked_lm_prob=0.2)
    changed = output.stat().st_mtime_ns
    assert changed > stamp
    corpus.write_text(corpus.read_text() + "\nThe sea .\n")
    create(masked_lm_prob=0.2)
    assert output.stat().st_mtime_ns > changed


def test_a_document_longer_than_a_block_is_cut_and_never_paired_with_itself(create, tmp_path, caplog):
    path = tmp_path / "long.txt"
    path.write_text("The lobster is blue .\n" * 70 + "\nThe sea is blue .\n")
    with caplog.at_level(logging.INFO):
        folder = create(input_file=path, streaming=True, block_size=400, num_workers=1, dupe_factor=5)
    assert "cut 3 times inside a document longer than --block_size=400" in caplog.text
    assert report_of(folder)["sentences"] == 71
    sea = 5 + WORDS.index("sea")
    for row in rows(folder / "train.tf_record"):
        if row["next_sentence_labels"] == [1]:
            assert sea in [*row["input_ids"], *row["masked_lm_ids"]]


def test_segmented_words_are_masked_whole(create, tmp_path):
    path = tmp_path / "segmented.txt"
    path.write_text("红龙虾 吃 龙虾\n吃 红龙 虾红\n\n龙虾 吃 红龙虾\n吃 吃 龙虾\n", encoding="utf-8")
    folder = create(input_file=path, segmented=True, do_whole_word_mask=True, masked_lm_prob=0.3, dupe_factor=20)
    eats = 5 + WORDS.index("吃")
    together = 0
    for row in rows(folder / "train.tf_record"):
        guesses = sum(map(int, row["masked_lm_weights"]))
        positions, labels = row["masked_lm_positions"][:guesses], row["masked_lm_ids"][:guesses]
        assert max(row["input_ids"]) < 20
        assert max(labels) < 20
        neighbours = {position + 1 for position in positions} | {position - 1 for position in positions}
        whole = [p in neighbours for p, label in zip(positions, labels, strict=True) if label != eats]
        together += sum(whole)
        # Every Chinese word here has two or three characters, except the verb (and a word cut at a segment's end).
        assert sum(whole) >= len(whole) - 1
    assert together > 50


def test_report(create, corpus, caplog):
    with caplog.at_level(logging.INFO):
        folder = create()
    report = report_of(folder)
    assert report["documents"] == 12
    assert report["sentences"] == 60
    distinct = len({line for line in corpus.read_text().splitlines() if line})
    assert report["duplicate_sentences"] == 60 - distinct
    assert 0 < report["unknown_piece_rate"] < 0.1
    assert report["sentence_length_percentiles"]["100"] >= report["sentence_length_percentiles"]["50"] > 4
    assert report["instances"] == len(rows(folder / "train.tf_record"))
    assert f"12 documents, 60 sentences ({60 - distinct} duplicates)" in caplog.text


def test_duplicates_beyond_capacity_are_estimated():
    lines = [f"sentence {index % 3000}" for index in range(6000)]
    exact, estimated = DuplicateCounter(), DuplicateCounter(capacity=500)
    exact.add(lines)
    estimated.add(lines)
    assert exact.summary() == {"duplicate_sentences": 3000, "duplicates_are_estimated": False}
    assert estimated.summary()["duplicates_are_estimated"]
    assert estimated.summary()["duplicate_sentences"] == pytest.approx(3000, rel=0.05)


def test_statistics_add_up_and_survive_json():
    first, second = CorpusStatistics(1, 2, 0, 9, 1), CorpusStatistics(2, 3, 1, 11, 0)
    first.lengths.update([4, 5])
    second.lengths.update([1, 5, 5])
    first.add(CorpusStatistics.from_json(json.loads(json.dumps(second.to_json()))))
    assert (first.documents, first.sentences, first.pieces, first.unknown_pieces) == (3, 5, 20, 1)
    assert first.summary()["sentence_length_percentiles"] == {"50": 5, "90": 5, "95": 5, "99": 5, "100": 5}
    assert first.summary()["unknown_piece_rate"] == 0.05


def test_only_line_feeds_end_sentences_and_only_blank_lines_documents(tmp_path):
    one, two = tmp_path / "1.txt", tmp_path / "2.txt"
    one.write_bytes("a\u2028b\r\n c\rd \n\u3000\n\n\ne".encode())
    two.write_bytes(b"f \xff\n\ng\n")
    reader = CorpusReader([one, two])
    assert list(reader.documents()) == [["a\u2028b", "c\rd"], ["e", "f"], ["g"]]
    assert reader.undecodable == 1
    assert reader.run_on == [one]
    assert [len(block) for block in reader.blocks(3, cut_documents=False)] == [1, 2]


@pytest.mark.parametrize(("encoding", "word"), [("gbk", "红龙虾"), ("latin-1", "café")])
@pytest.mark.parametrize("streaming", [True, False])
def test_corpora_in_other_encodings(create, fails, tmp_path, vocab_file, encoding, word, streaming):
    with vocab_file.open("a", encoding="utf-8") as stream:
        stream.write("cafe\n")
    other, plain = tmp_path / "other.txt", tmp_path / "plain.txt"
    text = "".join(f"The {word} is blue .\r\n" + "Slow .\n" * (line % 2) + "\n" * (line % 3) for line in range(20))
    other.write_bytes(text.encode(encoding))
    plain.write_text(text, encoding="utf-8", newline="\n")
    found = contents(create(input_file=other, encoding=encoding, streaming=streaming, num_workers=1))
    assert found == contents(create(input_file=plain, streaming=streaming, num_workers=1))
    (tmp_path / "out" / "train.tf_record").unlink()
    assert fails(input_file=other, streaming=streaming) == (
        f"--input_file: {other}: 20 of 30 lines are not utf-8; name the encoding, e.g. --encoding=gb18030 or "
        "--encoding=cp1252"
    )
    assert not (tmp_path / "out" / "train.tf_record").exists()


def test_encodings_that_corpora_cannot_have(fails):
    assert fails(encoding="rot13").startswith("--encoding=rot13 is not the name of a text encoding; try utf-8")
    assert fails(encoding="utf-16") == (
        "--encoding=utf-16: lines cannot be told apart by their bytes; convert the text, as in iconv -f utf-16 -t UTF-8"
    )


def test_a_line_without_end_is_refused(create, fails, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus_module, "LONGEST_LINE", 1000)
    path = tmp_path / "long.txt.gz"
    path.write_bytes(gzip.compress(b"The sea .\n" + b"a " * 5000))
    for streaming in (True, False):
        assert fails(input_file=path, streaming=streaming) == (
            f"{path}: byte 10: found a line of more than 1000 characters, expected lines that end in a newline; check "
            "that it is the right file, and break the line up"
        )


def test_what_may_not_be_meant_is_said(create, tmp_path, caplog):
    first, second = tmp_path / "1.txt", tmp_path / "2.txt"
    first.write_bytes(b"The sea is blue .\nThe lobster is slow . \xff\nThe lobster is blue .")
    second.write_bytes(b"The sea .\nThe lobster .\n" * 3)
    with caplog.at_level(logging.INFO):
        folder = create(input_file=f"{first},{second}", dupe_factor=10)
    assert "only one document, so that no sentence can come from another" in caplog.text
    assert "dropped bytes that are not utf-8 from 1 lines" in caplog.text
    assert f"{first} does not end with a blank line (1 such files)" in caplog.text
    assert {row["next_sentence_labels"][0] for row in rows(folder / "train.tf_record")} == {0}


def test_streaming_starts_by_itself_with_large_files(monkeypatch, corpus, caplog):
    with caplog.at_level(logging.INFO):
        assert not command.is_streaming(None, [corpus])
        monkeypatch.setattr(command, "STREAM_FROM_BYTES", 100)
        assert command.is_streaming(None, [corpus])
        assert not command.is_streaming(False, [corpus])
    assert "pairs and shuffle stay within blocks" in caplog.text
    assert "upstream's global shuffle" in caplog.text


def test_upstreams_flags_keep_their_defaults():
    found = vars(options())
    expected = {
        "input_file": None, "output_file": None, "vocab_file": None, "do_lower_case": True, "do_whole_word_mask": False,
        "max_seq_length": 128, "max_predictions_per_seq": 20, "random_seed": 12345, "dupe_factor": 10,
        "masked_lm_prob": 0.15, "short_seq_prob": 0.1,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("name", ["input_file", "output_file", "vocab_file"])
def test_missing_flags(fails, name):
    assert fails(**{name: ""}) == f"--{name} is missing; give it (--help says what it means)"


def test_lengths_that_make_no_sense(fails):
    assert fails(max_seq_length=4).startswith(
        "--max_seq_length=4 leaves 1 pieces of text beside 3 special ones; expected at least 5"
    )
    assert fails(max_predictions_per_seq=30) == (
        "--max_predictions_per_seq=30 with --max_seq_length=32; expected 1 to 29; 5 would suit --masked_lm_prob=0.15"
    )
    assert "expected 1 to 29" in fails(max_predictions_per_seq=0)


def test_segmented_needs_whole_words(fails):
    assert fails(segmented=True).startswith("--segmented has a meaning with --do_whole_word_mask only")


def test_unusable_names_of_outputs(fails, corpus, tmp_path):
    assert "an empty or repeated name" in fails(output_file=f"{tmp_path}/a,{tmp_path}/a")
    assert f"--output_file={tmp_path}: is a folder" in fails(output_file=tmp_path)
    assert f"--output_file={corpus} is also an --input_file" in fails(output_file=corpus)
    assert "--num_shards=3 contradicts the 2 names" in fails(output_file=f"{tmp_path}/a,{tmp_path}/b", num_shards=3)
    (tmp_path / "file").write_text("")
    message = fails(output_file=tmp_path / "file" / "a")
    assert f"{tmp_path / 'file' / 'a'}: writing records failed" in message
    assert "File exists" in message


def test_more_shards_than_blocks(fails):
    assert fails(streaming=True, num_shards=5).startswith(
        "5 shards (--num_shards, --output_file), but the corpus makes 1 blocks of --block_size=1048576 characters"
    )


@pytest.mark.parametrize("streaming", [False, True])
def test_corpora_without_text(fails, tmp_path, streaming):
    path = tmp_path / "empty.txt"
    path.write_text("\n \n\n")
    assert fails(input_file=path, streaming=streaming, num_workers=1) == (
        f"--input_file: {path}: no text, expected a sentence a line; check the files"
    )
    path.write_text("The sea is blue .")
    message = fails(input_file=path, streaming=streaming, num_workers=1)
    assert message.startswith("--input_file: no pair of sentences could be made")
    assert not list((tmp_path / "out").glob("*.json"))


def test_input_that_cannot_be_read(fails, tmp_path):
    assert fails(input_file=f"{tmp_path}/*.none").startswith(f"--input_file: '{tmp_path}/*.none' matches no file")
    (tmp_path / "wide.txt").write_text("The sea", encoding="utf-16")
    assert "wide.txt: is UTF-16, expected UTF-8" in fails(input_file=tmp_path / "wide.txt")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(os.urandom(5000))[:2000])
    assert "cut.txt.gz: cannot be read" in fails(input_file=tmp_path / "cut.txt.gz")
    (tmp_path / "no.gz").write_text("plain")
    assert "no.gz: cannot be read" in fails(input_file=tmp_path / "no.gz")


def test_vocabularies_that_do_not_serve(fails, tmp_path):
    assert "cannot be read (No such file or directory)" in fails(vocab_file=tmp_path / "none.txt")
    (tmp_path / "small.txt").write_text("[UNK]\n[CLS]\n[SEP]\nsea\n")
    assert "small.txt: [MASK] not among its 4 tokens" in fails(vocab_file=tmp_path / "small.txt")


def test_a_worker_that_dies_is_no_endless_wait():
    with pytest.raises(BertError) as caught, ordered_map(Dying(), 2) as make:
        list(make([(0, []), (1, [])]))
    assert str(caught.value).startswith("--num_workers=2: a worker process died, most likely for lack of memory")


def test_records_are_told_from_what_lies_beside_them(create, tmp_path):
    folder = create()
    (folder / "train.tf_record.tmp-7").write_text("")
    assert record_files(f"{folder}/train*") == [folder / "train.tf_record"]
    with pytest.raises(BertError) as caught:
        record_files(f"{folder}/*.json")
    assert "matches 2 files but no records" in str(caught.value)


def test_the_script_says_one_line_and_leaves_with_2():
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "create_pretraining_data.py", "--input_file=none", "--output_file=a", "--vocab_file=b"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: --input_file: ")
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - started < 5
