"""The in-graph form of the featurizer, in every way of joining and cutting."""

import itertools
from types import SimpleNamespace

import pytest
import tensorflow as tf

from common.errors import ExportError
from export.savedmodel import check_parity
from processors.choices.featurizer import JOINS, SEPARATE, ChoiceFeaturizer, JoiningSettings
from processors.choices.trimming import CUTS
from processors.records.featurizer import TRUNCATIONS
from tasks.choices.signature import ChoiceTextSignature
from tasks.choices.task import ChoiceSettings
from tokenization import BulkTokenizer

PARTS = [(True, True), (True, False), (False, True)]
DEFAULT = (JoiningSettings("fill", "context", "head_tail", 20), 32, (True, True))
WAYS = [  # each takes seconds
    *((JoiningSettings(join, cut), 32, (True, True)) for join, cut in itertools.product(JOINS, CUTS)),
    *((JoiningSettings(truncation=truncation), 64, (True, True)) for truncation in TRUNCATIONS[1:]),
    *((JoiningSettings(), 64, parts) for parts in PARTS[1:]),
    (JoiningSettings(SEPARATE), 9, (False, True)),
    (JoiningSettings(max_choice_length=10), 32, (True, True)),
    (JoiningSettings(SEPARATE, max_choice_length=10), 32, (True, True)),
]


@pytest.fixture(scope="module")
def tokenizer(vocab_dir):
    return BulkTokenizer(str(vocab_dir / "bert-base-uncased" / "vocab.txt"))


def signature_of(tokenizer, joining, max_seq_length, parts):
    return ChoiceTextSignature(tokenizer, ChoiceSettings(max_seq_length, joining, *parts))


@pytest.mark.parametrize(
    ("joining", "max_seq_length", "parts"),
    [pytest.param(*DEFAULT, id="default"), *(pytest.param(*way, marks=pytest.mark.slow) for way in WAYS)],
)
def test_the_graph_makes_the_featurizers_sequences(joining, max_seq_length, parts, tokenizer):
    task = SimpleNamespace(featurizer=ChoiceFeaturizer(tokenizer, max_seq_length, joining))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        check_parity(session, task, signature_of(tokenizer, joining, max_seq_length, parts))


@pytest.mark.slow
def test_another_way_of_joining_is_noticed(tokenizer):
    task = SimpleNamespace(featurizer=ChoiceFeaturizer(tokenizer, 32, JoiningSettings("fill")))
    signature = signature_of(tokenizer, JoiningSettings("blank"), 32, (True, True))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session, pytest.raises(ExportError, match="differs from"):
        check_parity(session, task, signature)


def test_settings_make_the_same_signature_again(tokenizer, tmp_path):
    import json

    signature = signature_of(tokenizer, JoiningSettings("separate", "longest", "tail"), 32, (False, True))
    again = ChoiceTextSignature.of_export(tokenizer, json.loads(json.dumps(signature.settings())), tmp_path)
    assert again.settings() == signature.settings()
    assert signature.settings()["inputs"] == ["question", "choices"]
