"""Both decoders: taught as they write, with a cache as without, the source seen and the rest of the target not."""

import numpy as np
import pytest
import tensorflow as tf

from modeling.config import BertConfig
from modeling.decoder.settings import DECODERS, PREFIX, DecodingSettings, TokenIds
from modeling.encoder.attention import transformer_model
from modeling.encoder.model import BertModel
from modeling.heads.sequence import IDS, LOG_PROBABILITIES, LOSSES, SequenceHead

v1 = tf.compat.v1
CONFIG = BertConfig(
    vocab_size=23, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
    max_position_embeddings=40, type_vocab_size=2, initializer_range=0.4,
)  # fmt: skip
TOKENS = TokenIds(begin=2, end=3, pad=0, never=(0, 1, 2, 4))
LONGEST = 12
GREEDY = DecodingSettings(max_length=LONGEST)


class Model:
    """A random model in a session: what it writes, and what given targets cost.

    Args:
      decoder: its kind.
      packed: whether padding is left out.
      settings: how it writes.
    """

    def __init__(self, decoder, packed=True, settings=GREEDY):
        self.decoder, self.graph = decoder, tf.Graph()
        with self.graph.as_default():
            v1.set_random_seed(3)
            names = ("input_ids", "input_mask", "segment_ids", "target_ids")
            self.features = {name: v1.placeholder(tf.int32, [None, None], name) for name in names}
            inputs = (self.features[name] for name in names[:3])
            self.encoder = BertModel(CONFIG, False, *inputs, scope="bert", packed=packed)
            self.head = head = SequenceHead(CONFIG, TOKENS, settings, decoder, num_layers=2 if decoder != PREFIX else 0)
            self.outputs = head.logits(self.encoder, self.features, is_training=False)
            self.outputs["loss"] = head.loss(self.outputs, self.features)[0]
            self.session = v1.Session()
            self.session.run(v1.global_variables_initializer())
            (bias,) = [one for one in v1.global_variables() if one.op.name == "cls/predictions/output_bias"]
            likely_end = np.where(np.arange(CONFIG.vocab_size) == TOKENS.end, 1.5, 0.0)
            self.session.run(bias.assign(likely_end))

    def run(self, names, sources, targets):
        """Outputs by name for sources of ids, and targets that are ended."""
        feed = {
            "input_ids": filled(sources),
            "input_mask": filled([[1] * len(row) for row in sources]),
            "segment_ids": filled([[0] * len(row) for row in sources]),
            "target_ids": filled(targets),
        }
        return self.session.run(
            {name: self.outputs[name] for name in names}, {self.features[name]: feed[name] for name in feed}
        )


def filled(rows):
    longest = max(map(len, rows))
    return [[*row, *[0] * (longest - len(row))] for row in rows]


def random_rows(count, shortest, longest, seed):
    generator = np.random.default_rng(seed)
    return [
        generator.integers(5, CONFIG.vocab_size, generator.integers(shortest, longest + 1)).tolist()
        for _ in range(count)
    ]


def sources_of(count, seed=0):
    return [[2, *row, 3] for row in random_rows(count, 1, 9, seed)]


def targets_of(count, seed=1):
    return [[*row, 3] for row in random_rows(count, 1, 8, seed)]


@pytest.fixture(scope="module", params=DECODERS)
def model(request):
    return Model(request.param)


def greedy_without_cache(model, sources):
    """Every token from a new pass over all tokens before it."""
    written = [[] for _ in sources]
    is_open = [True] * len(sources)
    for _ in range(LONGEST):
        # What follows a text is asked for by the loss of each token that may follow.
        candidates = [token for token in range(CONFIG.vocab_size) if token not in TOKENS.never]
        rows = [[*text, token] for text in written for token in candidates]
        repeated = [source for source in sources for _ in candidates]
        losses = model.run([LOSSES], repeated, rows)[LOSSES]
        last = np.array([losses[index, len(row) - 1] for index, row in enumerate(rows)])
        best = last.reshape(len(sources), -1).argmin(axis=1)
        for index, place in enumerate(best):
            if is_open[index]:
                written[index].append(candidates[place])
                is_open[index] = candidates[place] != TOKENS.end
        if not any(is_open):
            break
    return written


def check_greedy(model, count):
    sources = sources_of(count)
    found = model.run([IDS, LOG_PROBABILITIES], sources, targets_of(count))
    expected = greedy_without_cache(model, sources)
    assert [[token for token in row[0].tolist() if token] for row in found[IDS]] == expected
    ended = [len(text) for text in expected if text[-1] == TOKENS.end]
    assert ended  # some texts end by themselves
    assert len(set(map(len, expected))) > 2
    return found


def test_greedy_with_a_cache_equals_greedy_without(model):
    check_greedy(model, 24)


@pytest.mark.slow
def test_greedy_with_a_cache_equals_greedy_without_on_a_thousand_inputs(model):
    check_greedy(model, 1000)


def test_padding_changes_nothing(model):
    """Neither that of other rows of a batch, nor whether it is computed."""
    sources, targets = sources_of(6), targets_of(6)
    names = [LOSSES, IDS, LOG_PROBABILITIES]
    together = model.run(names, sources, targets)
    for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
        alone = model.run(names, [source], [target])
        np.testing.assert_allclose(alone[LOSSES][0], together[LOSSES][index, : len(target)], atol=1e-5)
        assert together[LOSSES][index, len(target) :].sum() == 0
        ids = together[IDS][index, 0]
        assert alone[IDS][0, 0].tolist() == ids[ids != 0].tolist()
        np.testing.assert_allclose(alone[LOG_PROBABILITIES], together[LOG_PROBABILITIES][index : index + 1], atol=1e-4)
    padded = Model(model.decoder, packed=False).run([*names, "loss"], sources, targets)
    for name, values in model.run([*names, "loss"], sources, targets).items():
        np.testing.assert_allclose(values, padded[name], atol=1e-4)


def test_a_token_depends_on_the_source_and_on_what_stands_before_it(model):
    source, target = [2, 7, 8, 9, 3], [10, 11, 12, 13, 3]
    losses = lambda s, t: model.run([LOSSES], [s], [t])[LOSSES][0]  # noqa: E731
    base = losses(source, target)
    changed = losses(source, [10, 11, 17, 13, 3])
    np.testing.assert_allclose(changed[:2], base[:2], atol=1e-6)
    assert np.abs(changed[2:] - base[2:]).min() > 1e-4
    assert np.abs(losses([2, 7, 8, 15, 3], target) - base).min() > 1e-4


def test_a_prefix_is_one_pass_of_bert_under_a_mask():
    """The joint sequence through BERT's own layers: what predicts a token is the output at the token before it."""
    model = Model(PREFIX)
    source, target = [2, 7, 8, 9, 3], [10, 11, 12, 3]
    ids = [*source, *target[:-1]]
    read = len(source)
    mask = np.tril(np.ones([len(ids), len(ids)]))
    mask[:read, :read], mask[:read, read:] = 1, 0
    with model.graph.as_default(), v1.variable_scope("bert", reuse=True):
        joint = BertModel(CONFIG, False, tf.constant([ids]), token_type_ids=tf.constant([[0] * read + [1] * 3]),
                          scope=v1.get_variable_scope())  # fmt: skip
        with v1.variable_scope(v1.get_variable_scope()), v1.variable_scope("encoder"):
            outputs = transformer_model(
                joint.get_embedding_output(), tf.constant(mask[np.newaxis], tf.float32), CONFIG.hidden_size, 2, 2, 24,
                hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            )  # fmt: skip
    with model.graph.as_default(), v1.variable_scope("", reuse=True):
        from modeling.heads.masked_lm import token_scores

        logs = tf.nn.log_softmax(token_scores(outputs[0], model.encoder.get_embedding_table(), CONFIG))
    found = model.session.run(logs)
    expected = [-found[read - 1 + place, token] for place, token in enumerate(target)]
    np.testing.assert_allclose(model.run([LOSSES], [source], [target])[LOSSES][0], expected, atol=1e-5)


def test_gradients_reach_every_variable(model):
    with model.graph.as_default():
        variables = [one for one in v1.trainable_variables() if "pooler" not in one.name]
        gradients = tf.gradients(model.outputs["loss"], variables)
        lacking = [one.name for one, gradient in zip(variables, gradients, strict=True) if gradient is None]
    assert not lacking


def test_what_no_text_has_is_never_written(model):
    found = model.run([IDS], sources_of(20, 5), targets_of(20))[IDS]
    assert not {1, 2, 4} & set(found.ravel().tolist())
