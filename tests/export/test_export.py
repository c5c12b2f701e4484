"""An export that would answer differently from the model is never written; a broken one is said to be broken."""

import shutil

import pytest
import tensorflow as tf

from common.errors import ExportError
from export.savedmodel import ExportSettings, export_saved_model
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.settings import ModelSettings
from processors.base import DataProcessor
from processors.example_source import ExampleSource
from processors.graph import tokenizer
from serving.predictor import Predictor
from tasks.classification.task import ClassificationTask
from tests.support import tiny
from tokenization import BulkTokenizer


class Reviews(DataProcessor):
    def get_labels(self):
        return ["neg", "pos"]


@pytest.fixture(scope="module")
def task(tiny_model):
    return ClassificationTask("reviews", ExampleSource(Reviews(), ""), BulkTokenizer(tiny_model / "vocab.txt"), 24)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, task):
    """A checkpoint with the head's weights beside the encoder's."""
    prefix = str(tmp_path_factory.mktemp("checkpoint") / "model.ckpt")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        encoder = BertModel(BertConfig.from_dict(tiny.CONFIG), False, tf.zeros([1, 4], tf.int32))
        task.head(is_training=False).logits(encoder, {}, False)
        session.run(tf.compat.v1.global_variables_initializer())
        return tf.compat.v1.train.Saver().save(session, prefix, write_meta_graph=False)


def export(task, checkpoint, folder, **options):
    model = ModelSettings(BertConfig.from_dict(tiny.CONFIG))
    return export_saved_model(task, model, checkpoint, folder.parent, ExportSettings(**options))


class CarelessTokenizer(tokenizer.GraphTokenizer):
    """Does not drop control characters, as many BERT tokenizers do not."""

    def __call__(self, texts, words=None):
        return super().__call__(tf.strings.regex_replace(texts, "\\x01", " "))


def test_a_tokenizer_that_differs_is_found_out_and_nothing_is_written(task, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(tokenizer.IN_GRAPH, "wordpiece", lambda one: CarelessTokenizer(one.vocab, one.do_lower_case))
    with pytest.raises(ExportError) as refused:
        export(task, checkpoint, tmp_path / "export")
    assert "the in-graph tokenizer differs from the featurizer in input_ids of" in str(refused.value)
    assert "no export was written" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "export").iterdir()) == list((tmp_path / "export_ids").iterdir()) == []


def test_checkpoint_of_another_task_leaves_nothing(task, tiny_model, tmp_path):
    with pytest.raises(ExportError) as refused:
        export(task, str(tiny_model / "bert_model.ckpt"), tmp_path / "export")
    assert "by tf.compat.v1.get_variable alone, or check that the checkpoint is of this task" in str(refused.value)
    assert list((tmp_path / "export").iterdir()) == []


@pytest.mark.slow
def test_two_exports_within_a_second_have_folders_of_their_own(task, checkpoint, tmp_path):
    first = export(task, checkpoint, tmp_path / "export")
    second = export(task, checkpoint, tmp_path / "export", frozen_graph=True)
    assert int(second.name) > int(first.name)
    names = {"frozen_graph.pb", "frozen_graph.json", "frozen_graph_text.pb", "frozen_graph_text.json"}
    assert not names & {path.name for path in first.iterdir()}
    assert names <= {path.name for path in second.iterdir()}
    assert {path.name for path in (tmp_path / "export_ids").iterdir()} == {first.name, second.name}
    with Predictor(first) as one, Predictor(second) as other:
        rows = [{"text_a": "the film", "text_b": "was good"}, {"text_a": "a day", "text_b": None}]
        assert one.answer(rows) == other.answer(rows)
        assert one.answer([]) == []


@pytest.mark.parametrize(
    ("signatures", "folders"),
    [
        ("ids", ["export_ids"]),
        *(
            pytest.param(*one, marks=pytest.mark.slow)
            for one in (("both", ["export", "export_ids"]), ("text", ["export"]))
        ),
    ],
)
def test_which_exports_are_written(task, checkpoint, tmp_path, signatures, folders):
    made = export(task, checkpoint, tmp_path / "export", signatures=signatures, frozen_graph=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == folders
    assert made.parent.name == folders[0]
    assert (made / "frozen_graph.pb").is_file()
    assert (made / "frozen_graph_text.pb").is_file() == (signatures != "ids")


@pytest.mark.slow
def test_only_core_operations_are_in_what_has_ids_alone(task, checkpoint, tmp_path):
    export(task, checkpoint, tmp_path / "export")
    (folder,) = (tmp_path / "export_ids").iterdir()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder))
    assert set(loaded.signature_def) == {"serving_default", "examples"}
    used = {node.op for node in loaded.graph_def.node}
    used |= {node.op for function in loaded.graph_def.library.function for node in function.node_def}
    assert not [op for op in used if "Wordpiece" in op or "Normalize" in op or "Regex" in op or "Unicode" in op]


@pytest.fixture(scope="module")
def ids_signatures(task, checkpoint, tmp_path_factory):
    """Both signatures on ids, as functions of what they take, which give probabilities."""
    made = export(task, checkpoint, tmp_path_factory.mktemp("ids") / "export", signatures="ids")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(made)).signature_def

        def asked(name):
            ends = loaded[name]
            return lambda **given: session.run(
                ends.outputs["probabilities"].name, {ends.inputs[key].name: value for key, value in given.items()}
            )

        yield asked("serving_default"), asked("examples")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("input_mask", (1, 4)), ("input_mask", (2, 3)), ("segment_ids", (1, 4)), ("segment_ids", (2, 5))],
)
def test_ids_of_different_shapes_are_refused(ids_signatures, name, shape):
    serving_default, _ = ids_signatures
    given = {"input_ids": [[2, 5, 16, 3]] * 2, "input_mask": [[1] * 4] * 2, "segment_ids": [[0] * 4] * 2}
    assert serving_default(**given).shape == (2, 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{name}_has_the_shape_of_input_ids"):
        serving_default(**given | {name: [[0] * shape[1]] * shape[0]})


@pytest.mark.parametrize("beyond", [2**32, -(2**32), 2**33])
def test_an_id_beyond_int32_is_not_taken_for_another(ids_signatures, beyond):
    _, examples = ids_signatures

    def serialized(first):
        values = {"input_ids": [2, first, 16, 3], "input_mask": [1] * 4, "segment_ids": [0] * 4}
        lists = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=v)) for name, v in values.items()}
        return tf.train.Example(features=tf.train.Features(feature=lists)).SerializeToString()

    assert examples(examples=[serialized(5)]).shape == (1, 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"= -?214748364\d is not in \[0, "):
        examples(examples=[serialized(5 + beyond)])


def test_an_answer_does_not_depend_on_the_rows_beside_it(task, checkpoint, tmp_path):
    with Predictor(export(task, checkpoint, tmp_path / "export")) as predictor:
        rows = [{"text_a": text} for text, _ in tiny.rows(12)]
        together = predictor.answer(rows)
        for row, answer in zip(rows, together, strict=True):
            (alone,) = predictor.answer([row])
            assert alone["label"] == answer["label"]
            assert alone["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-6)


@pytest.mark.slow
def test_many_rows_are_answered_in_batches_of_similar_length(task, checkpoint, tmp_path, monkeypatch):
    rows = [{"text_a": text} for text, _ in tiny.rows(12)]
    batches = []
    with Predictor(export(task, checkpoint, tmp_path / "export")) as predictor:
        together = predictor.answer(rows)
        run = predictor.run

        def noted(inputs):
            batches.append([len(text) for text in inputs["text_a"]])
            return run(inputs)

        monkeypatch.setattr(predictor, "run", noted)
        found = predictor.answer(rows, batch_size=5)
    assert [len(batch) for batch in batches] == [5, 5, 2]
    lengths = [length for batch in batches for length in batch]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > lengths[-1]
    for answer, other in zip(found, together, strict=True):
        assert answer["label"] == other["label"]
        assert answer["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


@pytest.mark.parametrize("damage", ["absent", pytest.param("empty file", marks=pytest.mark.slow), "no variables"])
def test_what_is_no_export_is_said_in_one_line(task, checkpoint, tmp_path, damage):
    folder = tmp_path / "nothing"
    if damage != "absent":
        folder = export(task, checkpoint, tmp_path / "export")
    if damage == "empty file":
        (folder / "saved_model.pb").write_bytes(b"")
    if damage == "no variables":
        shutil.rmtree(folder / "variables")
    with pytest.raises(ExportError) as broken:
        Predictor(folder)
    assert str(folder) in str(broken.value)


def test_assets_that_are_damaged_are_said_in_one_line(task, checkpoint, tmp_path):
    folder = export(task, checkpoint, tmp_path / "export")
    settings = folder / "assets" / "tokenizer.json"
    for content in (
        b"",
        b"\xff",
        b"[1]",
        b"{}",
        b'{"problem_type": 5}',
        b'{"problem_type": "span", "inputs": [1]}',
        None,
    ):
        settings.unlink()
        if content is not None:
            settings.write_bytes(content)
        with pytest.raises(ExportError) as broken:
            Predictor(folder)
        assert str(broken.value).startswith(f"{settings}: ")
        assert str(broken.value).endswith("; export again")
    settings.parent.rename(tmp_path / "assets")
    with pytest.raises(ExportError, match=r"tokenizer\.json: cannot be read"):
        Predictor(folder)
    assert "\n" not in str(broken.value)
