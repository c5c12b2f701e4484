"""Text to text end to end, through the script's own main."""

import json
import shutil

import numpy as np
import pytest

import run_seq2seq
from modeling.checkpoints.restore import checkpoint_variables
from serving.predictor import Predictor
from tests.support import tiny_sequences

SHORT = {"train": [1, 2], "dev": [1, 2], "test": [1, 2]}
KINDS = {
    "prefix": [],
    "transformer": ["--decoder=transformer", "--decoder_layers=1", "--export_frozen_graph"],
}


def run(*arguments):
    run_seq2seq.main(["run_seq2seq.py", *arguments])


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A model without weights, and tables of one or two digits."""
    folder = tmp_path_factory.mktemp("digits")
    tiny_sequences.write_table(folder, {"train": 640, "dev": 40, "test": 20}, SHORT)
    return tiny_sequences.write_model(folder)


def flags_of(data):
    return (
        f"--data_dir={data}", "--source=digits", "--target=reversed", f"--vocab_file={data / 'vocab.txt'}",
        f"--bert_config_file={data / 'bert_config.json'}", "--max_seq_length=12", "--max_target_length=8",
    )  # fmt: skip


TRAINING = (
    "--train_batch_size=32", "--learning_rate=3e-3", "--num_train_epochs=6", "--log_every_n_steps=80",
    "--label_smoothing=0",
)  # fmt: skip


@pytest.fixture(scope="module", params=["prefix", pytest.param("transformer", marks=pytest.mark.slow)])
def trained(request, data, tmp_path_factory):
    """One run that trains, evaluates and predicts: its kind and its output directory."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    run(*flags_of(data), *TRAINING, *KINDS[request.param], f"--output_dir={folder}", "--do_train", "--do_eval",
        "--do_predict", "--do_export", "--beam_size=2", "--num_best=2")  # fmt: skip
    return request.param, folder


def test_a_run_learns_and_leaves_scores_and_texts(trained, data):
    kind, folder = trained
    scores = load(folder / "eval_results.json")
    assert scores["eval_exact_match"] > 0.9
    assert 1.0 < scores["eval_perplexity"] < 2.5
    assert scores["eval_token_accuracy"] > 0.7
    assert scores["eval_bleu"] == 0  # no text has four words
    assert scores["eval_rouge1"] > 90
    answers = lines_of(folder / "predictions.jsonl")
    rows = [line.split("\t") for line in (data / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    assert [[answer["source"], answer["target"]] for answer in answers] == rows
    assert sum(answer["text"] == answer["target"] for answer in answers) > 17
    assert all(answer["log_probability"] < 0 for answer in answers)
    assert (folder / "predictions.txt").read_text(encoding="utf-8").splitlines() == [a["text"] for a in answers]
    identity = load(folder / "run.json")["identity"]
    assert (identity["decoder"], identity["decoder_layers"]) == (kind, int(kind == "transformer"))


def test_the_variables_are_those_of_bert(trained):
    kind, folder = trained
    names = {name for name in checkpoint_variables(str(folder)) if "adam" not in name}
    roots = {name.split("/")[0] for name in names} - {"global_step"}
    assert roots == {"bert", "cls"} | ({"decoder"} if kind == "transformer" else set())


# The second tokenizes in this process.
@pytest.mark.parametrize("exports", ["export", pytest.param("export_ids", marks=pytest.mark.slow)])
def test_the_export_answers_as_the_prediction_does(trained, exports):
    _, folder = trained
    expected = lines_of(folder / "predictions.jsonl")
    with Predictor(next((folder / exports).iterdir())) as predictor:
        assert predictor.text_names == ("source",)
        answers = predictor.answer([{"source": row["source"]} for row in expected], batch_size=7)
        assert predictor.reader.answers(as_arrays(predictor.reader.outputs(answers)), len(answers)) == answers
    for row, answer in zip(expected, answers, strict=True):
        assert len(answer["candidates"]) == 2
        assert [one["text"] for one in answer["candidates"]] == [one["text"] for one in row["candidates"]]
        assert answer["log_probability"] == pytest.approx(row["log_probability"], abs=1e-4)


def as_arrays(outputs):
    encoded = {name: np.array(values) for name, values in outputs.items()}
    return {name: np.char.encode(array, "utf-8").astype(object) if array.dtype.kind == "U" else array
            for name, array in encoded.items()}  # fmt: skip


def test_standard_input_is_answered(trained, monkeypatch, tmp_path, capsys):
    _, folder = trained
    expected = lines_of(folder / "predictions.jsonl")
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(row["source"] + "\n" for row in expected), encoding="utf-8")
    with lines.open(encoding="utf-8") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        run("--do_predict", "--predict_file=-", f"--output_dir={folder}")
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["source"], row["text"]) for row in answers] == [(row["source"], row["text"]) for row in expected]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--beam_size=3", "--beam_size=3: standard input is answered by {export}, which was made with --beam_size=2; "
                          "leave it out, or add --do_export to make another"),
        ("--decoder={other}", "--decoder={other} contradicts --output_dir={run}, which was trained with "
                              "--decoder={kind}; this flag cannot change within a run; leave it out, or choose another "
                              "--output_dir"),
    ],
)  # fmt: skip
def test_standard_input_is_not_answered_in_another_way_than_asked_for(trained, run_script, flag, message):
    kind, folder = trained
    names = {"export": next((folder / "export").iterdir()), "run": folder, "kind": kind,
             "other": next(one for one in KINDS if one != kind)}  # fmt: skip
    for further in ([], ["--do_eval"]):
        code, out, err = run_script(
            run_seq2seq.main,
            "--do_predict",
            "--predict_file=-",
            f"--output_dir={folder}",
            flag.format(**names),
            *further,
        )
        assert (code, out) == (2, "")
        assert err.splitlines()[-1] == f"error: {message.format(**names)}"


def test_later_commands_know_decoder_and_columns(trained, tmp_path):
    _, folder = trained
    copy = shutil.copytree(folder, tmp_path / "run")
    before = lines_of(copy / "predictions.jsonl")
    sources = tmp_path / "new.jsonl"
    sources.write_text("".join(json.dumps({"digits": row["source"]}) + "\n" for row in before), encoding="utf-8")
    run(f"--predict_file={sources}", "--do_predict", f"--output_dir={copy}", "--predict_batch_size=3")
    after = lines_of(copy / "predictions.jsonl")
    assert [row["text"] for row in after] == [row["text"] for row in before]
    assert not any("target" in row for row in after)


BAD_FLAGS = {
    "--beam_size=0": "beam_size=0",
    "--num_best=2": "--num_best=2 is more than --beam_size=1",
    "--top_p=1.5": "--top_p=1.5: expected a share",
    "--top_p=0.9 --beam_size=2": "remove one of them",
    "--temperature=0.5": "needs --top_p",
    "--top_p=0.9 --temperature=0": "--temperature=0",
    "--length_penalty=nan": "length_penalty=nan",
    "--max_target_length=1": "leaves no room",
    "--decoder_layers=2": "has no layers of its own",
    "--max_target_length=30": "make 42 positions, but the model has 32",
    "--decoder=transformer --max_target_length=40": "the decoder has 32 positions",
    "--label_smoothing=1": "expected a share of at least 0 and below 1",
    "--use_xla": "needs fixed shapes",
    "--truncation=windows": "value should be one of <head|tail|head_tail>",
    "--source=letters": "no column 'letters' for --source",
    "--target=letters": "no column 'letters' for --target",
    "--target=": "--target is missing",
}


@pytest.mark.parametrize("flags", BAD_FLAGS)
def test_flags_that_cannot_be_are_one_line(data, tmp_path, run_script, flags):
    code, _, error = run_script(
        run_seq2seq.main, *flags_of(data), *flags.split(), f"--output_dir={tmp_path / 'run'}", "--do_train"
    )
    assert code == 2
    assert BAD_FLAGS[flags] in error
    assert [line for line in error.splitlines() if "TensorFlow 2.15" not in line] == error.splitlines()[-1:]
    assert not (tmp_path / "run" / "run.json").exists()


BAD_ROWS = {
    "3 4\t": (":3: column 'reversed': found no text, expected the text for --target", "skipped 1 of 2 rows"),
    "\t3 4": (":3: column 'digits': found no text, expected the text for --source", "skipped 1 of 2 rows"),
    "3\t" + "4 " * 9: ("the target has 10 tokens with the one that ends it", None),
    "3\t\u200b": ("the tokenizer leaves nothing of the target", None),
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_rows_that_cannot_be_used_stop_the_run_or_are_counted(data, tmp_path, run_script, row):
    table = tmp_path / "train.tsv"
    table.write_text(f"digits\treversed\n1 2\t2 1\n{row}\n", encoding="utf-8")
    flags = (*flags_of(data), f"--train_file={table}", f"--output_dir={tmp_path / 'run'}", "--train_batch_size=1")
    code, _, error = run_script(run_seq2seq.main, *flags, "--do_train", "--num_train_epochs=1")
    message, skipped = BAD_ROWS[row]
    assert code == 2
    assert message in error
    assert not (tmp_path / "run" / "run.json").exists()
    if skipped:
        code, out, error = run_script(run_seq2seq.main, *flags, "--validate_only", "--on_bad_row=skip")
        assert code == 0
        assert skipped in out + error


def test_long_targets_are_cut_on_request():
    from processors.base import InputExample
    from processors.sequences.featurizer import SequenceFeaturizer
    from tests.support.tiny_sequences import tokenizer

    featurizer = SequenceFeaturizer(tokenizer(), 8, 4, cuts_targets=True)
    rows = [InputExample("a", "1 2 3 4 5 6 7 8 9", label="1 2 3"), InputExample("b", "1", label="1 2 3 4")]
    (first,), (second,) = featurizer.featurize(rows)
    assert first["input_ids"] == [2, 6, 7, 8, 9, 10, 11, 3]
    assert first["target_ids"] == [6, 7, 8, 3]
    assert second["target_ids"] == [6, 7, 8, 9]


@pytest.mark.slow
@pytest.mark.parametrize(("decoder", "asked"), [("prefix", [7]), ("transformer", [4, 6, 8, 11])])
def test_digits_are_written_backwards(tmp_path, decoder, asked):
    """The prefix also writes a length between those that it was trained on, 7."""
    trained_on = [length for length in range(1, 13) if length != 7]
    tiny_sequences.write_table(tmp_path, {"train": 20000, "dev": 200}, {"train": trained_on, "dev": asked})
    sizes = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128, "max_position_embeddings": 48}
    tiny_sequences.write_model(tmp_path, **sizes)
    run(*flags_of(tmp_path), "--max_seq_length=20", "--max_target_length=20", "--train_batch_size=64",
        "--learning_rate=1e-3", "--num_train_epochs=7", "--log_every_n_steps=100", "--eval_batch_size=64",
        f"--decoder={decoder}", f"--output_dir={tmp_path / 'run'}", "--do_train", "--do_eval")  # fmt: skip
    assert load(tmp_path / "run" / "eval_results.json")["eval_exact_match"] >= 0.99
