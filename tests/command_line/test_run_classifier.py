"""The classifier end to end, through the script's own main: what a person types and what they find afterwards."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

import run_classifier
from command_line.run_server import warn_of_outdated
from common.run_directory import RunDirectory
from tests.support import tiny

ROOT = Path(__file__).resolve().parents[2]
TRAINING = ["--max_seq_length=24", "--train_batch_size=8", "--learning_rate=2e-3", "--log_every_n_steps=20"]
SEEN = [text for text, _ in tiny.rows(3)]  # of the training set: positive, negative, positive
TABLE = ["--task_name=table", "--text_a=text", "--label=label"]


def results(folder: Path) -> dict[str, float]:
    lines = (folder / "eval_results.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(lines)
    return {key: float(value) for key, value in (line.split(" = ") for line in lines)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model):
    """One run that does everything; the tests of this module look at what it left."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.write_table(folder / "data")
    run_classifier.main(
        [
            "run_classifier.py", *TABLE, *TRAINING, f"--data_dir={folder / 'data'}", f"--init_checkpoint={tiny_model}",
            f"--output_dir={folder / 'run'}", "--num_train_epochs=20", "--do_train", "--do_eval", "--do_predict",
            "--do_export", "--export_frozen_graph",
        ]
    )  # fmt: skip
    return folder


def test_evaluation_has_upstreams_keys_and_more_and_beats_the_baseline(trained):
    scores = results(trained / "run")
    assert {"eval_accuracy", "eval_loss", "global_step", "loss"} <= scores.keys()
    assert {"eval_f1_macro", "eval_f1_micro", "eval_mcc", "eval_precision[neg]", "eval_recall[pos]"} <= scores.keys()
    assert scores["global_step"] == 160
    assert scores["eval_accuracy"] >= 0.9 > scores["eval_majority_baseline"]
    as_json = json.loads((trained / "run" / "eval_results.json").read_text())
    assert as_json["eval_accuracy"] == scores["eval_accuracy"]


def test_confusion_matrix_is_a_table_and_a_picture(trained):
    rows = list(csv.reader((trained / "run" / "confusion_matrix.csv").read_text().splitlines()))
    assert rows[0] == ["gold \\ predicted", "neg", "pos"]
    counts = np.array([[int(cell) for cell in row[1:]] for row in rows[1:]])
    assert counts.sum() == 20
    assert rows[1][0] == "neg"
    assert np.trace(counts) / 20 == pytest.approx(results(trained / "run")["eval_accuracy"])
    assert (trained / "run" / "confusion_matrix.png").read_bytes()[:4] == b"\x89PNG"


def test_predictions_come_as_upstream_writes_them_and_with_names(trained):
    run = trained / "run"
    upstream = [[float(p) for p in line.split("\t")] for line in (run / "test_results.tsv").read_text().splitlines()]
    named = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    table = list(csv.DictReader((run / "predictions.csv").read_text(encoding="utf-8").splitlines()))
    assert len(upstream) == len(named) == len(table) == 10
    right = 0
    for (text, label), probabilities, answer, row in zip(tiny.rows(10, 84), upstream, named, table, strict=True):
        assert answer["text_a"] == row["text_a"] == text
        assert list(answer["probabilities"].values()) == pytest.approx(probabilities)
        assert answer["label"] == row["label"] == ["neg", "pos"][int(np.argmax(probabilities))]
        right += answer["label"] == label
        assert float(row["neg"]) == pytest.approx(probabilities[0])
    assert right >= 8


def test_progress_is_kept_as_json_lines_and_events(trained):
    lines = [json.loads(line) for line in (trained / "run" / "metrics.jsonl").read_text().splitlines()]
    (start,) = (line for line in lines if line["event"] == "start")
    assert start["step"] == 1
    assert start["seconds_from_launch"] > 0
    train = [line for line in lines if line["event"] == "train"]
    assert [line["step"] for line in train] == [1, *range(20, 161, 20)]
    assert train[-1]["epoch"] == 20.0
    assert train[0]["loss"] > train[-1]["loss"]
    assert train[1]["learning_rate"] == pytest.approx(
        2e-3 * (1 - 20 / 160)
    )  # linear fall once the warm-up of 16 steps is over
    assert lines[-1]["event"] == "eval"
    assert list((trained / "run").glob("events.out.tfevents.*"))


def test_run_directory_describes_itself(trained, tiny_model):
    run = trained / "run"
    description = json.loads((run / "run.json").read_text())
    assert description["identity"]["labels"] == ["neg", "pos"]
    assert description["identity"]["architecture"]["hidden_size"] == 16
    assert description["flags"]["num_train_epochs"] == 20.0
    assert (run / "vocab.txt").read_bytes() == (tiny_model / "vocab.txt").read_bytes()
    assert (run / "labels.txt").read_text() == "neg\npos\n"


def test_export_answers_as_the_estimator_predicts(trained):
    from serving.predictor import Predictor

    (export,) = (trained / "run" / "export").iterdir()
    named = [json.loads(line) for line in (trained / "run" / "predictions.jsonl").read_text().splitlines()]
    with Predictor(export) as predictor:
        answers = predictor.answer([{"text_a": row["text_a"]} for row in named])
    for row, answer in zip(named, answers, strict=True):
        assert answer["label"] == row["label"]
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
    assert sorted(path.name for path in (export / "assets").iterdir()) == [
        "bert_config.json",
        "labels.txt",
        "tokenizer.json",
        "vocab.txt",
    ]


def test_every_signature_gives_the_same_answer(trained):
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 - the text signature's operations

    from processors.base import InputExample
    from processors.records.featurizer import PairFeaturizer
    from tokenization import BulkTokenizer

    (export,) = (trained / "run" / "export").iterdir()
    signatures = tf.saved_model.load(str(export)).signatures
    assert set(signatures) == {"serving_default", "examples", "text", "single_text"}
    featurizer = PairFeaturizer(BulkTokenizer(trained / "run" / "vocab.txt"), 24, ["neg", "pos"], "single_label")
    example = InputExample("0", "the film was good", "and the food")
    ((features,),) = featurizer.featurize([example])
    inputs = ("input_ids", "input_mask", "segment_ids")
    by_ids = signatures["serving_default"](**{name: tf.constant([features[name]]) for name in inputs})
    by_example = signatures["examples"](examples=tf.constant([featurizer.spec.serialize(features)]))
    by_text = signatures["text"](text_a=tf.constant([example.text_a]), text_b=tf.constant([example.text_b]))
    assert "label_ids" not in signatures["serving_default"].structured_input_signature[1]
    np.testing.assert_allclose(by_ids["probabilities"], by_example["probabilities"], rtol=1e-5)
    np.testing.assert_allclose(by_ids["probabilities"], by_text["probabilities"], rtol=1e-5)
    alone = signatures["single_text"](text_a=tf.constant([example.text_a]))
    empty = signatures["text"](text_a=tf.constant([example.text_a]), text_b=tf.constant([""]))
    np.testing.assert_array_equal(alone["probabilities"], empty["probabilities"])
    assert not np.allclose(alone["probabilities"], by_text["probabilities"], rtol=1e-6, atol=0)
    best = int(np.argmax(by_text["probabilities"][0]))
    assert by_text["label"].numpy()[0].decode() == ["neg", "pos"][best]


def test_frozen_graph_holds_the_weights_as_constants(trained):
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 - the text signature's operations

    (export,) = (trained / "run" / "export").iterdir()
    definition = tf.compat.v1.GraphDef.FromString((export / "frozen_graph_text.pb").read_bytes())
    assert not [node.name for node in definition.node if node.op in ("VarHandleOp", "VariableV2")]
    ends = json.loads((export / "frozen_graph_text.json").read_text())["text"]
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.graph_util.import_graph_def(definition, name="")
        label = session.run(ends["outputs"]["label"], {ends["inputs"]["text_a"]: [SEEN[0], SEEN[1]]})
    assert graph.as_graph_def().node
    assert [name.decode() for name in label] == ["pos", "neg"]


PLAIN_TENSORFLOW = """
import json, sys
import tensorflow as tf
folder, graph_file, ids = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
assert "tensorflow_text" not in sys.modules
signature = tf.saved_model.load(folder).signatures["serving_default"]
mask, segments = [[1] * len(ids)], [[0] * len(ids)]
saved = signature(input_ids=tf.constant([ids]), input_mask=tf.constant(mask), segment_ids=tf.constant(segments))
definition = tf.compat.v1.GraphDef.FromString(open(graph_file, "rb").read())
ends = json.load(open(graph_file[:-3] + ".json"))["serving_default"]
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf.graph_util.import_graph_def(definition, name="")
    feed = {"input_ids": [ids], "input_mask": mask, "segment_ids": segments}
    frozen = session.run(ends["outputs"]["probabilities"], {ends["inputs"][name]: feed[name] for name in feed})
print(json.dumps([saved["probabilities"].numpy()[0].tolist(), frozen[0].tolist()]))
"""


@pytest.mark.slow
def test_ids_are_answered_by_tensorflow_alone(trained):
    from serving.predictor import Predictor
    from tokenization import FullTokenizer

    run = trained / "run"
    (ids_export,), (export,) = (run / "export_ids").iterdir(), (run / "export").iterdir()
    assert ids_export.name == export.name
    assert (ids_export / "assets" / "vocab.txt").is_file()
    tokenizer = FullTokenizer(str(run / "vocab.txt"))
    ids = tokenizer.convert_tokens_to_ids(["[CLS]", *tokenizer.tokenize(SEEN[0]), "[SEP]"])
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_TENSORFLOW, str(ids_export), str(export / "frozen_graph.pb"), json.dumps(ids)],
        capture_output=True, text=True, timeout=120, check=True, cwd=trained,
    )  # fmt: skip
    saved, frozen = json.loads(done.stdout.splitlines()[-1])
    with Predictor(export) as predictor:
        (answer,) = predictor.answer([{"text_a": SEEN[0]}])
    expected = list(answer["probabilities"].values())
    assert saved == pytest.approx(expected, abs=1e-6)
    assert frozen == pytest.approx(expected, abs=1e-6)


def test_standard_input_is_answered_from_the_export_in_a_fresh_process(trained):
    lines = [SEEN[0], SEEN[1], json.dumps({"text_a": SEEN[2], "key": 7})]
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_classifier.py"), "--do_predict", "--predict_file=-",
         f"--output_dir={trained / 'run'}"],
        input="\n".join(lines), capture_output=True, text=True, timeout=120, check=True, cwd=trained,
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["label"] for answer in answers] == ["pos", "neg", "pos"]
    assert answers[2]["key"] == 7
    assert set(answers[0]["probabilities"]) == {"neg", "pos"}


def test_finished_run_says_so_and_more_epochs_continue(trained, run_script, caplog):
    flags = ["--do_train", f"--output_dir={trained / 'run'}", *TRAINING[1:]]
    code, _, err = run_script(run_classifier.main, *flags, "--num_train_epochs=20")
    assert code == 0
    assert "is trained: 160 of 160 steps are done. Nothing to train; raise --num_train_epochs to go on" in err
    _, _, err = run_script(run_classifier.main, *flags, "--num_train_epochs=21", "--do_eval")
    assert "training 160 to 168 of 168 steps on 64 rows" in err
    assert "reusing 64 records" in err
    assert results(trained / "run")["global_step"] == 168
    assert "is not read" not in err
    assert "not what" not in err
    run = RunDirectory(trained / "run")
    export = run.latest_export()
    assert run.outdated(export) == "model.ckpt-160"
    with caplog.at_level("WARNING"):
        warn_of_outdated(trained / "run")
    assert f"{export} was made of model.ckpt-160, and {trained / 'run'} has been trained further since" in caplog.text
    run.note_export(export)
    assert run.outdated(export) is None
    described = json.loads((trained / "run" / "run.json").read_text())
    described["exports"][export.name] = None  # as of a command before the training
    (trained / "run" / "run.json").write_text(json.dumps(described))
    assert run.outdated(export) == "the weights before training"


def test_other_rows_and_weights_than_those_of_the_training_are_named(trained, run_script, two_layers):
    train = trained / "data" / "train.tsv"
    rows = train.read_bytes()
    train.write_bytes(rows.replace(b"\tpos", b"\tneg", 1))
    flags = ["--do_train", f"--output_dir={trained / 'run'}", *TRAINING[1:], "--num_train_epochs=20"]
    code, _, err = run_script(run_classifier.main, *flags, f"--init_checkpoint={two_layers}")
    train.write_bytes(rows)
    assert code == 0
    assert "steps are done. Nothing to train" in err
    assert f"--init_checkpoint={two_layers} is not read: {trained / 'run'} is trained, and goes by its own" in err
    assert f"{train}: not what {trained / 'run'} was trained on so far" in err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--labels=neg,pos,other"], 'labels: ["neg", "pos"] there, ["neg", "pos", "other"] now'),
        (["--task_name=mrpc"], "--task_name=mrpc contradicts --output_dir="),
        (["--problem_type=multi_label"], 'problem_type: "single_label" there, "multi_label" now'),
    ],
    ids=["labels", "task", "problem type"],
)
def test_contradicting_run_is_refused_with_the_difference(trained, run_script, change, message):
    before = (trained / "run" / "run.json").read_bytes()
    code, _, err = run_script(run_classifier.main, "--do_eval", f"--output_dir={trained / 'run'}", *change)
    assert code == 2
    assert sum(line.startswith("error: ") for line in err.splitlines()) == 1
    assert message in err
    assert (trained / "run" / "run.json").read_bytes() == before


def test_other_architecture_is_refused(trained, run_script, tmp_path, tiny_model):
    config = tmp_path / "bert_config.json"
    config.write_text(json.dumps({**tiny.CONFIG, "num_hidden_layers": 3}))
    code, _, err = run_script(
        run_classifier.main, "--do_eval", f"--output_dir={trained / 'run'}", f"--bert_config_file={config}"
    )
    assert code == 2
    assert "architecture:" in err


def test_unlabelled_file_is_predicted_without_the_training_data(trained, run_script, tmp_path):
    rows = tmp_path / "new.csv"
    rows.write_text(f'text\n"{SEEN[0]}"\n{SEEN[1]}\n', encoding="utf-8")
    code, _, err = run_script(
        run_classifier.main, "--do_predict", f"--output_dir={trained / 'run'}", f"--predict_file={rows}",
        f"--data_dir={tmp_path}",
    )  # fmt: skip
    assert code == 0, err
    answers = [json.loads(line) for line in (trained / "run" / "predictions.jsonl").read_text().splitlines()]
    assert [(answer["text_a"], answer["label"]) for answer in answers] == [
        (SEEN[0], "pos"),
        (SEEN[1], "neg"),
    ]


def test_plug_in_of_the_examples_folder_runs_as_a_user_would_run_it(tmp_path, tiny_model, run_script):
    source = (ROOT / "examples" / "custom_processor.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 25
    code, _, err = run_script(
        run_classifier.main, f"--processor_module={ROOT / 'examples' / 'custom_processor.py'}", "--task_name=selfsim",
        f"--data_dir={ROOT / 'examples' / 'selfsim-en'}", f"--init_checkpoint={tiny_model}", *TRAINING, "--do_train",
        "--do_eval", "--max_train_examples=32", "--max_eval_examples=10", f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert code == 0, err
    assert results(tmp_path / "run")["global_step"] == 12


def test_regression_and_multi_label_tables_run_from_flags(tmp_path, tiny_model, run_script):
    data = tmp_path / "scores"
    data.mkdir()
    scored = "".join(f"{text}\t{4.5 if label == 'pos' else 0.5}\n" for text, label in tiny.rows(48))
    (data / "train.tsv").write_text("text\tscore\n" + scored)
    common = [
        f"--init_checkpoint={tiny_model}",
        "--task_name=table",
        "--text_a=text",
        *TRAINING,
        "--do_train",
        "--do_eval",
    ]
    code, _, err = run_script(
        run_classifier.main, *common, "--label=score", "--problem_type=regression", f"--data_dir={data}",
        "--num_train_epochs=10", f"--output_dir={tmp_path / 'regression'}", "--dev_fraction=0.2",
    )  # fmt: skip
    assert code == 0, err
    scores = results(tmp_path / "regression")
    assert scores["eval_pearson"] > 0.5
    assert {"eval_spearman", "eval_mse"} <= scores.keys()

    data = tmp_path / "tags"
    data.mkdir()
    tagged = "".join(f"{text}\t{label},{'dots' if '..' in text else 'short'}\n" for text, label in tiny.rows(64))
    (data / "train.tsv").write_text("text\ttags\n" + tagged)
    code, _, err = run_script(
        run_classifier.main, *common, "--label=tags", "--problem_type=multi_label", f"--data_dir={data}",
        "--num_train_epochs=25", f"--output_dir={tmp_path / 'multi'}", "--dev_fraction=0.2",
    )  # fmt: skip
    assert code == 0, err
    assert results(tmp_path / "multi")["eval_f1_micro"] > 0.6
    assert json.loads((tmp_path / "multi" / "run.json").read_text())["identity"]["labels"] == [
        "dots",
        "neg",
        "pos",
        "short",
    ]


def test_validate_only_reports_and_writes_nothing(table_dir, tiny_model, tmp_path, run_script):
    code, out, _ = run_script(
        run_classifier.main, *TABLE, f"--data_dir={table_dir}", f"--init_checkpoint={tiny_model}", "--validate_only",
        "--max_seq_length=16", f"--output_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert code == 0
    assert "train" in out
    assert "64" in out
    assert not (tmp_path / "run").exists()


def test_standard_input_reader_answers_what_has_arrived_and_names_a_bad_line(tmp_path):
    from common.errors import DataError
    from serving.lines import answer_lines

    class Echo:
        text_names = ("text_a", "text_b")
        list_names = ()
        required_names = ("text_a",)

        def answer(self, rows, batch_size):
            assert batch_size == 2
            return [{"label": f"{row['text_a']}|{row['text_b']}"} for row in rows]

    source = tmp_path / "lines"
    bad = [b"{x} text", b"", b'{"text_b": "alone"}', b'{"text_a": [5]}', b"\xff", b'{"text_a": "\\ud83d"}']
    good = [b"\xef\xbb\xbf" + "één\tzwei".encode(), b"plain\r", b'{"text_a": "a", "id": 7}']
    source.write_bytes(b"\n".join([*good[:2], *bad, good[2]]) + b"\n")
    sink = io.StringIO()
    with source.open("rb") as stream, pytest.raises(DataError) as refused:
        answer_lines(Echo(), stream, sink, batch_size=2)
    assert "standard input: 6 of 9 lines could not be answered (first: line 3: Expecting property" in str(refused.value)
    answers = [json.loads(line) for line in sink.getvalue().splitlines()]
    assert [answer.get("label") for answer in answers] == ["één|zwei", "plain|None", *[None] * 6, "a|None"]
    assert answers[-1]["id"] == 7
    expected = "; expected text_a, text_a<TAB>text_b, or a JSON object with text_a"
    reasons = ["no text_a", "no text_a", "text_a is [5], no text"]
    assert [(answer["line"], answer["error"]) for answer in answers[3:6]] == [
        (number, reason + expected) for number, reason in enumerate(reasons, 4)
    ]
    assert "text_a has half a character" in answers[7]["error"]


class Echo:
    """Answers a row with its text."""

    text_names = required_names = ("text_a",)
    list_names = ()

    def answer(self, rows, batch_size):
        return [{"label": row["text_a"]} for row in rows]


def answered(content, folder, **options):
    """What standard input with this content is answered, and the error at the end."""
    from common.errors import DataError
    from serving.lines import answer_lines

    (folder / "lines").write_bytes(content)
    sink, message = io.StringIO(), ""
    with (folder / "lines").open("rb") as stream:
        try:
            answer_lines(Echo(), stream, sink, batch_size=2, **options)
        except DataError as error:
            message = str(error)
    return [json.loads(line) for line in sink.getvalue().splitlines()], message


def test_standard_input_in_other_encodings(tmp_path):
    for encoding, text in (("gbk", "他住在北京"), ("latin-1", "café"), ("utf-8-sig", "né")):
        answers, _ = answered(f"{text}\r\none\rline\n".encode(encoding), tmp_path, encoding=encoding)
        assert answers == [{"text_a": line, "label": line} for line in (text, "one\rline")]
    assert answered(b"", tmp_path, encoding="utf-16")[1].startswith("--encoding=utf-16: lines cannot be told apart by")
    assert answered(b"", tmp_path, encoding="hex")[1].startswith("--encoding=hex is not the name of a text encoding")


def test_a_line_without_end_on_standard_input_is_an_error_line(tmp_path, monkeypatch):
    from serving import lines

    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    monkeypatch.setattr(lines, "READ_BYTES", 64)
    answers, message = answered(b"a" * 1000 + b"\n" + b"b" * 90 + b"\nc\n" + b"d" * 1000, tmp_path)
    assert [answer.get("label", answer.get("error", "")[:30]) for answer in answers] == [
        "a line of more than 100 bytes;", "b" * 90, "c", "a line of more than 100 bytes;",
    ]  # fmt: skip
    assert message.startswith("standard input: 2 of 4 lines could not be answered (first: line 1: a line of more")


def test_a_predictor_refuses_rows_that_it_would_not_understand(trained):
    from common.errors import DataError
    from serving.predictor import Predictor

    with Predictor(next((trained / "run" / "export").iterdir())) as predictor:
        for row, message in (
            ({"text": "a good film"}, "row 1: unknown key 'text'; expected text_a, text_b"),
            ({"text_a": None}, "row 1: text_a is missing; give a text"),
            ({"text_a": " "}, "row 1: text_a is blank; give a text"),
            ({"text_a": 3}, "row 1: text_a is a int, expected text"),
            ({"text_a": "a", "text_b": "\ud83d"}, "row 1: text_b has half a character; correct how the text was read"),
        ):
            with pytest.raises(DataError) as refused:
                predictor.answer([{"text_a": "fine"}, row])
            assert str(refused.value) == message
        frame = pandas.DataFrame({"key": [4, 5], "text_a": ["a good film", "a bad film"]}, index=[10, 20])
        answered = predictor.answer_frame(frame)
        expected = predictor.answer([{"text_a": text} for text in frame["text_a"]])
    assert list(answered.index) == [10, 20]
    assert list(answered["key"]) == [4, 5]
    assert list(answered["label"]) == [answer["label"] for answer in expected]
    assert list(answered["p(pos)"]) == pytest.approx([answer["probabilities"]["pos"] for answer in expected], abs=1e-6)
