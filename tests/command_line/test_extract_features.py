"""Vectors of text, through the script's own main: upstream's format, pooling, and numbers found without TensorFlow."""

import json
import re
import shutil
import sys
import tracemalloc

import numpy as np
import pytest

import extract_features
import run_classifier
from processors.base import InputExample
from serving.predictor import Predictor
from tasks.vectors import files
from tests.support import tiny
from tokenization import FullTokenizer

TEXTS = [
    "The film was good.",
    "a very nasty day",
    "",
    "the food was superb ||| and it was here",
    "dull " * 60,
    "here",
]
LENGTH = "--max_seq_length=24"
NPY = ("--pooling=mean", "--output_format=npy")


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def extract(run_script, source, target, *flags):
    code, _, err = run_script(
        extract_features.main, f"--input_file={source}", f"--output_file={target}", LENGTH, *flags
    )
    assert code == 0, err
    return target


def json_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_upstreams_format(two_layers, texts, tmp_path, run_script):
    out = extract(run_script, texts, tmp_path / "out.jsonl", f"--init_checkpoint={two_layers}", "--layers=-1,0")
    text = out.read_text(encoding="utf-8")
    lines = json_lines(out)
    assert [line["linex_index"] for line in lines] == list(range(len(TEXTS)))
    assert list(lines[0]) == ["linex_index", "features"]
    tokenizer = FullTokenizer(str(two_layers / "vocab.txt"))
    expected = [["[CLS]", *tokenizer.tokenize(line), "[SEP]"] for line in TEXTS[:3]]
    assert [[piece["token"] for piece in line["features"]] for line in lines[:3]] == expected
    first, second = TEXTS[3].split(" ||| ")
    pair = ["[CLS]", *tokenizer.tokenize(first), "[SEP]", *tokenizer.tokenize(second), "[SEP]"]
    assert [piece["token"] for piece in lines[3]["features"]] == pair
    assert len(lines[4]["features"]) == 24
    for piece in lines[0]["features"]:
        assert list(piece) == ["token", "layers"]
        assert [list(layer) for layer in piece["layers"]] == [["index", "values"]] * 2
        assert [layer["index"] for layer in piece["layers"]] == [-1, 0]
        assert all(len(layer["values"]) == tiny.CONFIG["hidden_size"] for layer in piece["layers"])
    assert max(len(number) for number in re.findall(r"\d\.(\d+)", text)) == 6
    assert extract(run_script, texts, out, f"--init_checkpoint={two_layers}", "--layers=-2", "--nospecial_tokens")
    shorter = json_lines(out)
    assert [[piece["token"] for piece in line["features"]] for line in shorter[:3]] == [row[1:-1] for row in expected]
    assert shorter[0]["features"][0]["layers"][0]["values"] == lines[0]["features"][1]["layers"][1]["values"]


POOLED = [
    (["--pooling=cls"], 16),
    (["--pooling=pooled", "--normalize"], 16),
    (["--pooling=mean_max", "--layers=0,-1", "--nospecial_tokens"], 64),
    (["--pooling=first_last_mean"], 16),
]


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "width"), POOLED, ids=[flags[0].partition("=")[2] for flags, _ in POOLED])
def test_vector_does_not_depend_on_its_batch(two_layers, texts, tmp_path, run_script, flags, width):
    flags = [*flags, f"--init_checkpoint={two_layers}", "--output_format=npy"]
    together = np.load(extract(run_script, texts, tmp_path / "together.npy", *flags))
    alone = np.load(extract(run_script, texts, tmp_path / "alone.npy", *flags, "--batch_size=1"))
    assert together.shape == alone.shape == (len(TEXTS), width)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.ptp(together, axis=0) > 1e-3, True)  # and yet the texts have different ones
    if "--normalize" in flags:
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-6)


def test_pooled_vectors_are_made_of_those_of_the_pieces(two_layers, texts, tmp_path, run_script):
    checkpoint = f"--init_checkpoint={two_layers}"
    lines = json_lines(extract(run_script, texts, tmp_path / "pieces.jsonl", checkpoint, "--layers=0,1"))
    pieces = [
        np.array([[layer["values"] for layer in piece["layers"]] for piece in line["features"]]) for line in lines
    ]
    flags = [checkpoint, "--pooling=mean_max", "--layers=1,0", "--nospecial_tokens"]
    found = json_lines(extract(run_script, texts, tmp_path / "vectors.jsonl", *flags))
    tokens = [[piece["token"] for piece in line["features"]] for line in lines]
    for row, names, vector in zip(pieces, tokens, found, strict=True):
        inner = row[[name not in ("[CLS]", "[SEP]") for name in names]]
        side_by_side = np.concatenate([inner[:, 1], inner[:, 0]], axis=-1)
        zeros = np.zeros(side_by_side.shape[1])  # of a line without a piece
        ends = [side_by_side.mean(0), side_by_side.max(0)] if len(inner) else [zeros, zeros]
        np.testing.assert_allclose(vector["vector"], np.concatenate(ends), atol=2e-6)
    means = json_lines(extract(run_script, texts, tmp_path / "means.jsonl", checkpoint, "--pooling=first_last_mean"))
    for row, vector in zip(pieces, means, strict=True):
        np.testing.assert_allclose(vector["vector"], row.mean(axis=(0, 1)), atol=2e-6)


@pytest.mark.parametrize("pooling", ["mean", pytest.param("none", marks=pytest.mark.slow)])
def test_an_export_gives_the_vectors_of_the_file(tiny_model, texts, tmp_path, run_script, pooling):
    flags = [f"--init_checkpoint={tiny_model}", f"--pooling={pooling}", "--layers=0,-1", "--nospecial_tokens"]
    lines = json_lines(
        extract(run_script, texts, tmp_path / "out.jsonl", *flags, f"--export_dir={tmp_path / 'vectors'}")
    )
    (export,) = (tmp_path / "vectors" / "export").iterdir()
    numbered = {index: text.split(" ||| ") for index, text in enumerate(TEXTS) if text}
    with Predictor(export) as predictor:
        answers = predictor.answer(
            [dict(zip(("text_a", "text_b"), parts, strict=False)) for parts in numbered.values()]
        )
    for index, answer in zip(numbered, answers, strict=True):
        if pooling == "mean":
            assert answer["vector"] == pytest.approx(lines[index]["vector"], abs=2e-6)
            continue
        pieces = [
            [value for layer in piece["layers"] for value in layer["values"]] for piece in lines[index]["features"]
        ]
        if len(numbered[index]) == 1:
            assert np.array(answer["vectors"][1:-1]) == pytest.approx(np.array(pieces), abs=2e-6)


@pytest.mark.slow
def test_an_export_is_a_checkpoint(classifier_export, tiny_model, texts, tmp_path, run_script):
    weights = classifier_export.parent.parent / "weights" / "model.ckpt"
    beside = [f"--bert_config_file={tiny_model}/bert_config.json", f"--vocab_file={tiny_model}/vocab.txt"]
    expected = extract(run_script, texts, tmp_path / "a.npy", f"--init_checkpoint={weights}", *beside, *NPY)
    found = extract(run_script, texts, tmp_path / "b.npy", f"--init_checkpoint={classifier_export}", *NPY)
    np.testing.assert_array_equal(np.load(found), np.load(expected))
    copy = tmp_path / "copy"
    shutil.copytree(classifier_export, copy)
    (copy / "assets" / "bert_config.json").unlink()
    for folder, flag, message in [
        (classifier_export, "--do_lower_case=false", "is an export, which says that itself; leave it out"),
        (classifier_export, "--max_seq_length=64", "was trained with 32 positions; give at most that"),
        (copy, "--pooling=mean", "no bert_config.json, which says the architecture; export again"),
    ]:
        code, _, err = run_script(
            extract_features.main, f"--export_dir={tmp_path}", f"--init_checkpoint={folder}", flag
        )
        assert code == 2
        assert message in err


@pytest.mark.slow
def test_output_directory_of_a_fine_tuned_model(tiny_model, table_dir, texts, tmp_path, run_script):
    run = tmp_path / "run"
    code, _, err = run_script(
        run_classifier.main, "--task_name=table", "--text_a=text", "--label=label", f"--data_dir={table_dir}", LENGTH,
        f"--init_checkpoint={tiny_model}", "--do_train", "--max_train_examples=8", "--train_batch_size=4",
        "--num_train_epochs=1", "--learning_rate=1e-2", f"--output_dir={run}",
    )  # fmt: skip
    assert code == 0, err
    flags = ["--pooling=mean", "--output_format=npy"]
    tuned = np.load(extract(run_script, texts, tmp_path / "tuned.npy", *flags, f"--init_checkpoint={run}"))
    by_prefix = np.load(
        extract(run_script, texts, tmp_path / "prefix.npy", *flags, f"--init_checkpoint={run / 'model.ckpt-2'}")
    )
    before = np.load(extract(run_script, texts, tmp_path / "before.npy", *flags, f"--init_checkpoint={tiny_model}"))
    np.testing.assert_array_equal(tuned, by_prefix)
    assert np.abs(tuned - before).max() > 1e-3


def reference(weights, tokenizer, text, heads):
    """Mean of the last layer's vectors, scaled to length 1, by NumPy alone from weights in Hugging Face's names."""
    from scipy.special import erf

    def linear(rows, name):
        return rows @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normed(rows, name):
        centred = rows - rows.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    ids = tokenizer.convert_tokens_to_ids(["[CLS]", *tokenizer.tokenize(text), "[SEP]"])
    rows = weights["embeddings.word_embeddings.weight"][ids] + weights["embeddings.token_type_embeddings.weight"][0]
    rows = normed(rows + weights["embeddings.position_embeddings.weight"][: len(ids)], "embeddings.LayerNorm")
    for index in range(sum(name.endswith("attention.self.query.weight") for name in weights)):
        layer = f"encoder.layer.{index}"
        split = [linear(rows, f"{layer}.attention.self.{name}") for name in ("query", "key", "value")]
        query, key, value = (part.reshape(len(ids), heads, -1).transpose(1, 0, 2) for part in split)
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ value).transpose(1, 0, 2).reshape(len(ids), -1)
        rows = normed(rows + linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        inner = linear(rows, f"{layer}.intermediate.dense")
        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        rows = normed(rows + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    mean = rows.mean(0)
    return mean / np.linalg.norm(mean)


def test_sentence_vectors_of_real_weights_are_those_of_their_definition(minilm, tmp_path, run_script):
    from safetensors.numpy import load_file

    sentences = [
        "This is an example sentence", "Each sentence is converted.", "Ein ganz anderer Satz, naïve café!", "Hello",
    ]  # fmt: skip
    source = tmp_path / "sentences.txt"
    source.write_text("\n".join(sentences), encoding="utf-8")
    flags = [f"--init_checkpoint={minilm}", "--pooling=mean", "--normalize", "--output_format=npy"]
    found = np.load(extract(run_script, source, tmp_path / "vectors.npy", *flags))
    weights = {name.removeprefix("bert."): value for name, value in load_file(minilm / "model.safetensors").items()}
    heads = json.loads((minilm / "config.json").read_text())["num_attention_heads"]
    tokenizer = FullTokenizer(str(minilm / "vocab.txt"))
    expected = np.array([reference(weights, tokenizer, sentence, heads) for sentence in sentences])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_static_shapes_of_tpu_give_the_same_vectors(tiny_model, texts):
    from estimator.config import DeviceSettings
    from estimator.feature_extraction import extract as extract_vectors
    from modeling.config import BertConfig
    from modeling.heads.pooling import VectorReader
    from modeling.settings import ModelSettings
    from processors.records.featurizer import PairFeaturizer, chunked
    from processors.text_lines import read_text_lines, text_or_pair
    from tokenization import BulkTokenizer

    model = ModelSettings(BertConfig.from_json_file(tiny_model / "bert_config.json"), str(tiny_model))
    featurizer = PairFeaturizer(BulkTokenizer(tiny_model / "vocab.txt"), 24, (), "single_label")
    found = []
    for device in (DeviceSettings(), DeviceSettings(tpu_estimator_on_cpu=True)):
        lines = chunked(map(text_or_pair, read_text_lines(texts)), 4)
        answers = extract_vectors(model, VectorReader("max", [-1]), featurizer, lines, 4, device)
        found.append([answer.outputs[0]["vectors"] for answer in answers])
    assert len(found[0]) == len(TEXTS)
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_input(tiny_model, tmp_path, run_script):
    source = tmp_path / "lines.txt"
    peaks = []
    for lines in (1280, 5120):  # more than are sorted by length at once
        source.write_text("the film was good\n" * lines, encoding="utf-8")
        tracemalloc.start()
        flags = [f"--init_checkpoint={tiny_model}", "--pooling=mean", "--output_format=npy", "--batch_size=32"]
        vectors = np.load(extract(run_script, source, tmp_path / "vectors.npy", *flags), mmap_mode="r")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert vectors.shape == (lines, 16)
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--layers=-3"], "--layers=-3: there is no layer -3 in a model of 2; expected -2 to 1"),
        (["--layers=last"], "--layers=last: expected whole numbers with commas between them, as in -1,-2,-3,-4"),
        (["--output_format=npy"], "--output_format=npy holds one vector a line; choose a --pooling, or jsonl"),
        (["--normalize"], "--normalize scales the vector of a line; choose a --pooling"),
        (["--pooling=pooled", "--layers=-1"], "--pooling=pooled reads the pooler"),
        (["--input_file=nothing.txt"], "--input_file=nothing.txt: no such file"),
        (["--init_checkpoint=nowhere"], "nowhere: no checkpoint there"),
    ],
    ids=["layer", "layers", "format", "normalize", "pooled", "input", "checkpoint"],
)
def test_unusable_flags_are_named_in_one_line(two_layers, texts, tmp_path, run_script, flags, message):
    out = tmp_path / "out"
    code, _, err = run_script(
        extract_features.main, f"--input_file={texts}", f"--output_file={out}", f"--init_checkpoint={two_layers}",
        LENGTH, *flags,
    )  # fmt: skip
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_lines_end_at_newlines_alone_in_any_encoding(tiny_model, tmp_path, run_script):
    source = tmp_path / "text.txt"
    lines = ["the film\rwas", "good\u2028day", "very caf\u00e9", "the day"]
    flags = [f"--init_checkpoint={tiny_model}", "--layers=-1"]
    source.write_bytes("\r\n".join(lines).encode("gb18030"))
    found = json_lines(extract(run_script, source, tmp_path / "a.jsonl", *flags, "--encoding=gb18030"))
    assert [[piece["token"] for piece in line["features"]][1:-1] for line in found] == [
        ["the", "film", "was"], ["good", "day"], ["very", "[UNK]"], ["the", "day"],
    ]  # fmt: skip
    source.write_text("\n".join(lines), encoding="utf-8", newline="")
    plain = json_lines(extract(run_script, source, tmp_path / "b.jsonl", *flags))
    assert plain == found


def test_text_that_is_not_utf8_or_empty_leaves_no_file(tiny_model, tmp_path, run_script):
    source, out = tmp_path / "latin.txt", tmp_path / "out.jsonl"
    flags = [f"--input_file={source}", f"--output_file={out}", f"--init_checkpoint={tiny_model}", LENGTH]
    source.write_bytes("the film\ncaf\u00e9\n".encode("latin-1"))
    code, _, err = run_script(extract_features.main, *flags, "--pooling=mean", "--batch_size=1")
    assert code == 2
    assert "latin.txt" in err.splitlines()[-1]
    assert "Traceback" not in err
    source.write_bytes(b"")
    code, _, err = run_script(extract_features.main, *flags, "--pooling=mean")
    assert code == 2
    assert "latin.txt: holds no line" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latin.txt"]


@pytest.mark.slow
def test_parquet_holds_the_vectors_of_the_other_formats(tiny_model, texts, tmp_path, run_script, monkeypatch):
    import pyarrow.parquet

    monkeypatch.setattr(files, "ROWS_OF_A_GROUP", 4)
    flags = [f"--init_checkpoint={tiny_model}", "--pooling=mean"]
    found = extract(run_script, texts, tmp_path / "v.parquet", *flags, "--output_format=parquet")
    array = np.load(extract(run_script, texts, tmp_path / "v.npy", *flags, "--output_format=npy"))
    lines = json_lines(extract(run_script, texts, tmp_path / "v.jsonl", *flags))
    file = pyarrow.parquet.ParquetFile(found)
    assert [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)] == [4, len(TEXTS) - 4]
    assert file.schema_arrow.field("vector").type == pyarrow.list_(pyarrow.float32())
    table = file.read().to_pydict()
    assert table["linex_index"] == [line["linex_index"] for line in lines] == list(range(len(TEXTS)))
    np.testing.assert_array_equal(np.array(table["vector"], np.float32), array)
    np.testing.assert_allclose(table["vector"], [line["vector"] for line in lines], rtol=0, atol=1e-6)


def test_a_parquet_file_grows_group_by_group(tmp_path):
    import pyarrow.parquet

    path, rows = tmp_path / "v.parquet", 5 * files.ROWS_OF_A_GROUP
    vectors = np.random.default_rng(1).normal(size=(rows, 64)).astype(np.float32)
    kept, sizes = [], []
    with files.vector_table(path, pyarrow) as table:
        for index, vector in enumerate(vectors, start=1):
            table.write(InputExample(str(index), "text"), {}, vector)
            if index % files.ROWS_OF_A_GROUP == 0:
                kept.append(pyarrow.total_allocated_bytes())
                sizes.append(next(tmp_path.iterdir()).stat().st_size)
    group = vectors.nbytes / 5
    assert all(size >= share * group for share, size in enumerate(sizes, start=1))  # on the disk, not yet finished
    assert kept[-1] - kept[0] < group
    np.testing.assert_array_equal(np.stack(pyarrow.parquet.read_table(path)["vector"].to_numpy()), vectors)


def test_without_pyarrow_the_line_says_what_to_do(tiny_model, texts, tmp_path, run_script, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = run_script(
        extract_features.main, f"--input_file={texts}", f"--output_file={tmp_path}/v.parquet", LENGTH,
        f"--init_checkpoint={tiny_model}", "--pooling=mean", "--output_format=parquet",
    )  # fmt: skip
    assert code == 2
    assert err.startswith("error: --output_format=parquet needs pyarrow, which cannot be imported (")
    assert "install one that fits the installed NumPy, or choose jsonl or npy" in err
    assert err.count("\n") == 1
