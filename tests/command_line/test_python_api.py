"""The scripts as functions: a notebook, exceptions in place of exits, tables that pandas reads back without loss."""

import json

import nbformat
import pandas
import pytest

from bert import evaluate, export, predict, read_predictions, train
from command_line.run_squad import SCRIPT as SQUAD
from common.errors import BertError, DataError, FlagError, RunDirectoryError
from processors import DataFrameProcessor, DataProcessor, InputExample
from serving.predictor import Predictor
from tasks.answers import beside
from tests.command_line.test_run_classifier import ROOT
from tests.support import tiny

ODD = [
    'quoted "text"',
    "with\nline\nbreaks",
    "comma, tab\tand; more",
    "carriage\rreturn",
    "NA",
    "001",
    "  blanks ",
    "好 film",
]


def frame(count, offset=0):
    return pandas.DataFrame(tiny.rows(count, offset), columns=["text", "label"]).set_index("text", drop=False)


@pytest.fixture(scope="module")
def notebook(tiny_model, tmp_path_factory):
    """Everything that the example notebook has defined at its end."""
    folder = tmp_path_factory.mktemp("notebook")
    tiny.write_table(folder / "data", train=48, dev=12, test=6)
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("DATA_DIR", folder / "data"), ("BERT", tiny_model), ("OUTPUT_DIR", folder / "run"), ("EPOCHS", 1),
        ):  # fmt: skip
            patch.setenv(name, str(value))
        patch.chdir(folder)
        cells = nbformat.read(ROOT / "examples" / "dataframe.ipynb", as_version=4).cells
        for cell in cells:
            if cell.cell_type == "code":
                source = cell.source.replace("max_seq_length=64", "max_seq_length=24")  # of the tiny model
                exec(compile(source, cell.id, "exec"), names)
    return names


@pytest.mark.slow
def test_the_notebook_runs(notebook):
    assert 0.0 <= notebook["scores"]["eval_accuracy"] <= 1.0
    answers = notebook["answers"]
    assert list(answers.columns) == ["text", "label", "predicted_label", "p(neg)", "p(pos)"]
    assert len(answers) == 6
    assert notebook["answer"].keys() == {"label", "probabilities"}


def test_its_export_answers_as_it_predicted(notebook):
    with Predictor(notebook["folder"]) as predictor:
        found = predictor.answer_frame(notebook["reviews"].frames["test"].rename(columns={"text": "text_a"}))
    assert list(found["predicted_label"]) == list(notebook["answers"]["predicted_label"])
    assert found["p(pos)"].to_numpy() == pytest.approx(notebook["answers"]["p(pos)"].to_numpy(), abs=1e-5)


def test_answers_stand_beside_their_rows_whatever_the_index(notebook):
    rows = pandas.DataFrame({"text_a": ["a good film", "a bad day", "dull"]})
    parts = pandas.concat([rows.iloc[:2], rows.iloc[2:].reset_index(drop=True)])  # the index is 0, 1, 0
    with Predictor(notebook["folder"]) as predictor:
        expected = [row["probabilities"]["pos"] for row in predictor.answer(rows.to_dict("records"))]
        found = predictor.answer_frame(parts)
        assert (list(found.index), list(found["text_a"])) == ([0, 1, 0], list(rows["text_a"]))
        assert list(found["p(pos)"]) == pytest.approx(expected, abs=1e-6)
        for wrong, message in (
            (rows.rename(columns={"text_a": "text"}), "the frame has no column 'text_a'; closest 'text'"),
            (pandas.concat([rows, rows], axis=1), "the frame has several columns 'text_a'"),
        ):
            with pytest.raises(DataError, match=message):
                predictor.answer_frame(wrong)
        with pytest.raises(DataError, match="row 0 is a str, expected texts by name, as in "):
            predictor.answer(["a good film"])
        for no_list in (None, rows, {"text_a": "a good film"}):
            with pytest.raises(DataError, match=r"answer takes a list of rows, found a \w+; put one row"):
                predictor.answer(no_list)


def test_mistakes_are_exceptions(notebook, tiny_model, tmp_path):
    reviews, output_dir = notebook["reviews"], notebook["output_dir"]
    start = {"init_checkpoint": str(tiny_model), "max_seq_length": 24}
    for call, kind, message in (
        (
            lambda: train(reviews, output_dir=output_dir, num_epochs=3),
            FlagError,
            "no flag 'num_epochs'; closest 'num",
        ),
        (lambda: train(reviews, output_dir=output_dir, learning_rate="high"), FlagError, "flag --learning_rate=high"),
        (lambda: evaluate(reviews, output_dir=output_dir, text_b="x"), RunDirectoryError, "--text_b=x contradicts"),
        (lambda: evaluate(output_dir=output_dir), BertError, "no task 'dataframe'"),
        (lambda: evaluate(reviews, output_dir=output_dir, optimizer="lamb"), RunDirectoryError, "cannot change within"),
        (lambda: predict(notebook["reviews"], output_dir=tmp_path), FlagError, "--bert_config_file is missing"),
        (lambda: evaluate(script=SQUAD, output_dir=tmp_path), FlagError, "--predict_file is missing"),
        (
            lambda: evaluate(DataFrameProcessor, output_dir=output_dir),
            FlagError,
            "data=DataFrameProcessor is a class; ",
        ),
        (lambda: evaluate(reviews, script=SQUAD, output_dir=tmp_path), FlagError, "but SquadScript reads files; give"),
        (lambda: predict(reviews, output_dir=output_dir, only_check_args=True), FlagError, "only_check_args prints, "),
        (lambda: evaluate(reviews, output_dir=output_dir, validate_only=True), FlagError, "validate_only prints, and"),
        (
            lambda: predict(reviews, output_dir=output_dir, predict_file="x"),
            FlagError,
            "=x: the processor dataframe decides",
        ),
        (
            lambda: train(reviews, output_dir=tmp_path, problem_type="regression", **start),
            FlagError,
            "=regression: the ",
        ),
        (lambda: predict(reviews, output_dir=output_dir, predict_file="-"), FlagError, "lines of standard input; use"),
        (lambda: evaluate(frame(8), output_dir=output_dir), FlagError, "data is a DataFrame; expected a processor, "),
    ):
        with pytest.raises(kind) as refused:
            call()
        assert message in str(refused.value)
    other = DataFrameProcessor(frame(8), frame(8), text_a="text", label="label", labels=["neg", "pos", "odd"])
    with pytest.raises(RunDirectoryError, match="labels"):
        evaluate(other, output_dir=output_dir)
    without = DataFrameProcessor(frame(8), text_a="text", label="label")
    with pytest.raises(DataError, match="no rows for the dev split"):
        evaluate(without, output_dir=output_dir)


def test_prediction_tables_come_back_as_they_were(notebook, tmp_path):
    rows = pandas.DataFrame({"text": ODD, "id": range(len(ODD))}, index=list("abcdefgh"))
    asked = DataFrameProcessor(
        notebook["reviews"].frames["train"].assign(id=0), test=rows, text_a="text", label="label", guid="id"
    )
    answers = predict(asked, output_dir=notebook["output_dir"])
    assert list(answers.index) == list("abcdefgh")
    assert list(answers["text"]) == ODD
    lines = read_predictions(notebook["output_dir"] / "predictions.jsonl")
    assert list(lines["text_a"]) == ODD
    table = pandas.read_csv(notebook["output_dir"] / "predictions.csv", keep_default_na=False, dtype={"text_a": str})
    assert list(table["text_a"]) == ODD
    assert table["pos"].to_numpy() == pytest.approx(lines["p(pos)"].to_numpy(), rel=1e-6)
    assert (table["label"] == lines["label"]).all()
    assert table["id"].dtype == int


def test_what_a_function_leaves_a_script_goes_on_with(notebook, run_script, monkeypatch, tmp_path):
    import run_classifier

    (tmp_path / "lines").write_text("a good film\n")
    with (tmp_path / "lines").open() as lines:
        monkeypatch.setattr("sys.stdin", lines)
        code, out, err = run_script(
            run_classifier.main, f"--output_dir={notebook['output_dir']}", "--do_predict", "--predict_file=-"
        )
    assert code == 0, err
    assert json.loads(out)["text_a"] == "a good film"
    assert export(output_dir=notebook["output_dir"], data=notebook["reviews"]).is_dir()


def test_rows_that_a_program_has_changed_are_answered_anew(notebook):
    rows = frame(6).rename(columns={"label": "stars"})
    asked = DataFrameProcessor(notebook["reviews"].frames["train"], test=rows, text_a="text", labels=["neg", "pos"])
    predict(asked, output_dir=notebook["output_dir"])
    rows.iloc[0, 0] = "another text"
    answers = predict(asked, output_dir=notebook["output_dir"], max_predict_examples=2)
    lines = read_predictions(notebook["output_dir"] / "predictions.jsonl")
    assert list(answers["text"]) == list(lines["text_a"]) == ["another text", rows.iloc[1, 0]]
    with pytest.raises(DataError, match="the frame has a column 'predicted_label' already"):
        beside(rows.assign(label=1, predicted_label=2), pandas.DataFrame({"label": ["pos"] * 6}))


@pytest.mark.slow
def test_rows_that_a_processor_holds_are_answered_anew(notebook):
    class Held(DataProcessor):
        def __init__(self, texts):
            self.texts = texts

        def get_labels(self):
            return ["neg", "pos"]

        def get_test_examples(self, data_dir):
            return [InputExample(str(number), text) for number, text in enumerate(self.texts)]

    for texts in (["a good film", "a bad film"], ["a dull day"]):
        answers = predict(Held(texts), output_dir=notebook["output_dir"], task_name="dataframe")
        assert list(answers["text_a"]) == texts
