"""Every family computes what Hugging Face's transformers compute: hidden states, logits, gradients."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from modeling.checkpoints.first_weights import check_weights
from modeling.checkpoints.restore import checkpoint_variables, initialize_from_checkpoint
from modeling.config import BertConfig
from modeling.encoder.model import BertModel
from modeling.families.registry import FAMILIES, named
from modeling.heads.choices import ChoiceHead
from modeling.heads.classification import ClassificationHead
from modeling.heads.entities import WordTagHead
from modeling.heads.masked_lm import masked_lm_logits
from modeling.heads.span import SpanHead

v1 = tf.compat.v1
DATA = Path(__file__).resolve().parents[2] / "data" / "families"
NAMES = sorted(path.name for path in DATA.iterdir() if path.is_dir())
TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-4


class Reference:
    """A model of this folder: its files, inputs and outputs."""

    def __init__(self, name: str) -> None:
        self.family = named(name)
        with np.load(DATA / name / "expected.npz") as arrays:
            self._arrays = dict(arrays)
        self.mask = self._arrays["attention_mask"]
        self.features = {
            "input_ids": self._arrays["input_ids"].astype(np.int32),
            "input_mask": self.mask.astype(np.int32),
            "segment_ids": self._arrays.get("token_type_ids", np.zeros_like(self.mask)).astype(np.int32),
        }

    def folder(self, title: str) -> Path:
        return DATA / self.family.model_type / f"{self.family.title}{title}"

    def config(self, title: str) -> BertConfig:
        return BertConfig.from_json_file(self.folder(title) / "config.json")

    def output(self, title: str, name: str) -> np.ndarray:
        return self._arrays[f"{self.family.title}{title}/{name}"]

    def gradients(self, title: str) -> dict[str, np.ndarray]:
        """By our names, linear layers as ours."""
        found = {}
        for key in self._arrays:
            _, marked, theirs = key.partition(f"{title}/gradient:")
            ours = self.family.hugging_face.ours(theirs) if marked else None
            if ours is not None:
                value = self._arrays[key]
                found[ours] = value.T if ours.endswith("/kernel") else value
        return found

    def build(self, config: BertConfig, packed: bool, is_training: bool = False, **options) -> BertModel:
        inputs = {name: tf.constant(value) for name, value in self.features.items()}
        return BertModel(
            config, is_training, inputs["input_ids"], inputs["input_mask"], inputs["segment_ids"],
            scope="bert", packed=packed, **options,
        )  # fmt: skip

    def run(self, title: str, fetches):
        """Values of tensors with the weights of a head class."""
        with v1.Session() as session:
            report = initialize_from_checkpoint(v1.trainable_variables(), str(self.folder(title)))
            session.run(v1.global_variables_initializer())
            return report, session.run(fetches)


@pytest.fixture(params=NAMES)
def reference(request):
    with tf.Graph().as_default():
        yield Reference(request.param)


def test_every_family_has_a_reference():
    assert sorted(family.model_type for family in FAMILIES) == NAMES


@pytest.mark.parametrize("packed", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_hidden_states_and_logits(reference, packed):
    title = "ForSequenceClassification"
    encoder = reference.build(reference.config(title), packed)
    logits = ClassificationHead(3).logits(encoder, {}, is_training=False)
    layers = encoder.get_all_encoder_layers()
    report, (found, states) = reference.run(title, (logits, layers))
    assert report.new == report.unused == ()
    for index, state in enumerate(states):
        difference = np.abs(state - reference.output(title, f"hidden_{index + 1}"))[reference.mask == 1]
        assert difference.max() < TOLERANCE
    assert np.abs(found - reference.output(title, "logits")).max() < TOLERANCE


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"recompute": True}, marks=pytest.mark.slow)], ids=["kept", "recomputed"]
)
def test_gradients(reference, options):
    title = "ForSequenceClassification"
    config = reference.config(title)
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = config.classifier_dropout = 0.0
    encoder = reference.build(config, packed=True, is_training=True, **options)
    head = ClassificationHead(3)
    logits = head.logits(encoder, {}, is_training=True)
    features = {"label_ids": tf.constant(np.arange(len(reference.mask)) % 3, tf.int32)}
    loss, _ = head.loss(logits, features)
    variables = {one.op.name: one for one in v1.trainable_variables()}
    gradients = [tf.convert_to_tensor(one) for one in tf.gradients(loss, list(variables.values()))]
    _, (found_loss, found) = reference.run(title, (loss, gradients))
    assert found_loss == pytest.approx(reference.output(title, "loss"), abs=TOLERANCE)
    expected = reference.gradients(title)
    assert expected.keys() == variables.keys()
    for name, gradient in zip(variables, found, strict=True):
        assert np.abs(gradient - expected[name]).max() < GRADIENT_TOLERANCE, name


@pytest.mark.slow
def test_bf16_is_near(reference):
    title = "ForSequenceClassification"
    encoder = reference.build(reference.config(title), packed=True, compute_dtype=tf.bfloat16)
    logits = ClassificationHead(3).logits(encoder, {}, is_training=False)
    _, found = reference.run(title, logits)
    assert found == pytest.approx(reference.output(title, "logits"), abs=0.3)


def test_token_classification(reference):
    title = "ForTokenClassification"
    encoder = reference.build(reference.config(title), packed=True)
    logits = WordTagHead(5).logits(encoder, {}, is_training=False)
    report, found = reference.run(title, logits)
    assert [name for name in report.new if not name.startswith("bert/pooler/")] == []
    assert report.unused == ()
    assert np.abs(found - reference.output(title, "logits"))[reference.mask == 1].max() < TOLERANCE


@pytest.mark.slow
def test_question_answering(reference):
    title = "ForQuestionAnswering"
    encoder = reference.build(reference.config(title), packed=True)
    logits = SpanHead().logits(encoder, {"input_mask": tf.constant(reference.features["input_mask"])}, False)
    report, found = reference.run(title, logits)
    assert [name for name in report.new if not name.startswith("bert/pooler/")] == []
    for index, name in enumerate(("start_logits", "end_logits")):
        difference = np.abs(found[:, :, index] - reference.output(title, name))[reference.mask == 1]
        assert difference.max() < TOLERANCE


@pytest.mark.slow
def test_multiple_choice(reference):
    title = "ForMultipleChoice"
    expected = reference.output(title, "logits")
    encoder = reference.build(reference.config(title), packed=True)
    report, found = reference.run(title, ChoiceHead().logits(encoder, {}, is_training=False))
    assert report.new == report.unused == ()
    assert np.abs(found.reshape(expected.shape) - expected).max() < TOLERANCE


def test_masked_language_model(reference):
    title = "ForMaskedLM"
    if not reference.folder(title).exists():
        pytest.skip(f"{reference.family.title} has no masked-language head")
    config = reference.config(title)
    encoder = reference.build(config, packed=True)
    positions = tf.constant([[0, 1]] * len(reference.mask))
    report, found = reference.run(title, masked_lm_logits(encoder, positions, config))
    assert [name for name in report.new if not name.startswith("bert/pooler/")] == []
    assert np.abs(found - reference.output(title, "logits")[:, :2]).max() < TOLERANCE


def test_names_go_both_ways_and_the_whole_encoder_is_there(reference):
    names = reference.family.hugging_face
    for folder in sorted((DATA / reference.family.model_type).glob(f"{reference.family.title}*")):
        check_weights(BertConfig.from_json_file(folder / "config.json"), str(folder))
        held = checkpoint_variables(str(folder))
        problem_type = "multiple_choice" if folder.name.endswith("ForMultipleChoice") else None
        present = names.heads_of(held, problem_type)
        assert [f"{reference.family.title}{head.title}" for head in present] == [folder.name]
        own = names.of_class(present[0].title)
        assert all(own.ours(str(own.theirs(name, present))) == name for name in held)


def test_configurations_go_both_ways(reference):
    for folder in sorted((DATA / reference.family.model_type).glob(f"{reference.family.title}*")):
        config = BertConfig.from_json_file(folder / "config.json")
        assert BertConfig.from_dict(config.to_dict()) == config
        assert BertConfig.from_dict(config.hugging_face_dict()) == config
        assert config.hugging_face_dict()["model_type"] == reference.family.model_type
