"""What protocols of tensors get is what the text signature of the export gives, for every kind of export.

So is what is tokenized and answered in NumPy, around the ids signature.
"""

import numpy as np
import pytest

from modeling.config import BertConfig
from processors.entities.featurizer import labels_of_types
from processors.entities.source import SentenceFiles
from processors.entities.tagged_file import FileForm
from serving.predictor import Predictor
from tasks import exports
from tasks.entities.task import EntitySettings, EntityTask
from tasks.pretraining.task import PretrainingSettings, PretrainingTask
from tasks.span.ranking import DecodingSettings
from tasks.span.task import SpanSettings, SpanTask
from tests.support import serving, tiny
from tokenization import BulkTokenizer

TEXTS = [text for text, _ in tiny.rows(3)]
MASKED = ["the film was [MASK] .", "[MASK] food was very [MASK]", "a good day"]


def check(export, problem_type, columns, atol=1e-5):
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    with Predictor(export) as predictor:
        expected = predictor.run(columns)
        found = exports.reader(problem_type).outputs(predictor.answer(rows))
        for texts in (columns, serving.difficult_texts(export)):
            serving.check_same(serving.by_text_rows(export, texts), predictor.run(texts), atol)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if values.dtype == object:
            assert found[name] == np.vectorize(bytes.decode, otypes=[object])(values).tolist()
        else:
            np.testing.assert_allclose(np.array(found[name], values.dtype), values, atol=1e-6)


@pytest.mark.parametrize(
    "problem_type",
    ["single_label", *(pytest.param(one, marks=pytest.mark.slow) for one in ("multi_label", "regression"))],
)
def test_labels(tiny_model, tmp_path, classifier_export, problem_type):
    single = problem_type == "single_label"
    export = classifier_export if single else serving.export_classifier(tiny_model, tmp_path, problem_type)
    check(export, problem_type, {"text_a": TEXTS})


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"pooling": "none", "layers": [-1, 0], "shows_tokens": True},
        pytest.param({"pooling": "mean", "uses_special_tokens": False}, marks=pytest.mark.slow),
    ],
)
def test_vectors(tiny_model, tmp_path, settings):
    tokens = ["", "good\x1fqqq\x1f\x1f##s", ""]
    columns = {"text_a": TEXTS, "text_b": ["", "", "a day"], "tokens": tokens}
    check(serving.export_vectors(tiny_model, tmp_path, **settings), "vectors", columns)


@pytest.mark.slow
def test_choices(tiny_model, tmp_path):
    choices = [["good", "bad", "", "a day"], ["food .", "", "the film", ""]]
    columns = {"context": TEXTS[:2], "question": ["the film was", "very"], "choices": choices}
    check(serving.export_choices(tiny_model, tmp_path), "multiple_choice", columns)


@pytest.mark.slow
def test_masks(tiny_model, tmp_path):
    settings = PretrainingSettings(max_seq_length=24, max_predictions_per_seq=4)
    tokenizer = BulkTokenizer(tiny_model / "vocab.txt")
    task = PretrainingTask(BertConfig.from_dict(tiny.CONFIG), settings, {}, tokenizer)
    check(serving.export_random(task, tmp_path), "masked_lm", {"text": MASKED})


@pytest.mark.slow
@pytest.mark.parametrize(
    "decoding",
    [DecodingSettings(version_2_with_negative=True), pytest.param(DecodingSettings(5, 4), marks=pytest.mark.slow)],
)
def test_spans(tiny_model, tmp_path, decoding):
    settings = SpanSettings(max_seq_length=24, doc_stride=8, max_query_length=8, decoding=decoding)
    task = SpanTask(BulkTokenizer(tiny_model / "vocab.txt"), settings, {}, null_threshold=-0.01)
    context = " ".join(TEXTS * 3)
    columns = {"question": ["was it good ?", "the day", "a"], "context": [context, TEXTS[0], "\u200b"]}
    check(serving.export_random(task, tmp_path), "span", columns)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("use_crf", "scheme", "labels"),
    [
        (False, "iob2", labels_of_types(["good", "bad"])),
        pytest.param(True, "bioes", labels_of_types([""]), marks=pytest.mark.slow),
        pytest.param(True, "none", ["NN", "VB"], marks=pytest.mark.slow),
    ],
)
def test_entities(tiny_model, tmp_path, use_crf, scheme, labels):
    source = SentenceFiles({}, FileForm(), scheme, labels)
    task = EntityTask(BulkTokenizer(tiny_model / "vocab.txt"), source, EntitySettings(12, use_crf=use_crf))
    # In the graph a field adds up in float32, over texts of hundreds of words.
    atol = 5e-4 if use_crf else 1e-5
    columns = {"text": [*TEXTS, " ".join(TEXTS * 3), "zz", "\u200b"]}
    check(serving.export_random(task, tmp_path), "entities", columns, atol)
