"""The encoder: upstream's numbers, names and shapes."""

import numpy as np
import pytest
import tensorflow as tf

import modeling
from modeling import BertConfig, BertModel, initialize_from_checkpoint

tf1 = tf.compat.v1
CONFIG = BertConfig(
    vocab_size=11, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
    max_position_embeddings=9, type_vocab_size=2,
)  # fmt: skip
IDS = np.array([[1, 5, 4, 2, 0], [1, 3, 2, 0, 0]], np.int32)
MASK = (IDS > 0).astype(np.int32)


def run_model(config, ids, mask, segments, checkpoint, fetch, **options):
    with tf.Graph().as_default(), tf1.Session() as sess:
        model = BertModel(config, False, tf.constant(ids), tf.constant(mask), tf.constant(segments), **options)
        initialize_from_checkpoint(tf1.trainable_variables(), checkpoint)
        sess.run(tf1.global_variables_initializer())
        return sess.run(fetch(model))


def everything(model):
    return model.get_embedding_output(), model.get_all_encoder_layers(), model.get_pooled_output()


@pytest.mark.parametrize("options", [{}, {"packed": True}, {"use_one_hot_embeddings": True}])
def test_forward_pass_is_upstreams(golden, options):
    expected = np.load(golden / "forward_tiny.npz")
    config = BertConfig.from_json_file(golden / "tiny" / "bert_config.json")
    inputs = [expected[name] for name in ("input_ids", "input_mask", "segment_ids")]
    embedding, layers, pooled = run_model(config, *inputs, golden / "tiny", everything, **options)
    shown = expected["input_mask"][..., np.newaxis] if options.get("packed") else 1
    np.testing.assert_allclose(embedding, expected["embedding"] * shown, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.stack(layers), expected["layers"] * shown, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pooled, expected["pooled"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [pytest.param({}, marks=pytest.mark.slow), {"packed": True}])
def test_forward_pass_of_real_weights_is_upstreams(golden, minilm, options):
    expected = np.load(golden / "forward_minilm_mrpc32.npz")
    config = BertConfig.from_json_file(minilm / "config.json")
    config.hidden_act = "gelu"  # the golden run used the tanh form on purpose
    inputs = [expected[name] for name in ("input_ids", "input_mask", "segment_ids")]
    pooled, sequence = run_model(
        config, *inputs, minilm, lambda model: (model.get_pooled_output(), model.get_sequence_output()[:2]), **options
    )
    np.testing.assert_allclose(pooled, expected["pooled"], rtol=1e-4, atol=1e-5)
    real = expected["input_mask"][:2].astype(bool)
    np.testing.assert_allclose(sequence[real], expected["sequence_first2"][real], rtol=1e-4, atol=1e-5)
    if not options:
        # What padding holds is read by nothing; a few of its values depend on the order a processor adds in.
        np.testing.assert_allclose(sequence, expected["sequence_first2"], rtol=1e-4, atol=5e-4)


def test_variables_are_those_of_googles_checkpoints(golden):
    config = BertConfig.from_json_file(golden / "tiny" / "bert_config.json")
    with tf.Graph().as_default():
        BertModel(config, True, tf.zeros([2, 6], tf.int32))
        ours = {variable.op.name: tuple(variable.shape) for variable in tf1.global_variables()}
        assert set(tf1.global_variables()) == set(tf1.trainable_variables())
    theirs = modeling.checkpoint_variables(golden / "tiny")
    assert ours == {name: shape for name, shape in theirs.items() if name.startswith("bert/")}


def test_initial_values():
    with tf.Graph().as_default(), tf1.Session() as sess:
        BertModel(BertConfig(2000, 64, 1, 2, 96, initializer_range=0.5), True, tf.zeros([2, 6], tf.int32))
        sess.run(tf1.global_variables_initializer())
        values = {variable.op.name: sess.run(variable) for variable in tf1.global_variables()}
    for name, value in values.items():
        if name.endswith(("beta", "bias")):
            assert not value.any()
        elif name.endswith("gamma"):
            assert (value == 1).all()
        else:  # a normal distribution cut at two deviations keeps 0.88 of its deviation
            assert abs(value).max() <= 1.0
            assert value.std() == pytest.approx(0.44, rel=0.15), name


def test_defaults_are_one_segment_without_padding_and_the_configuration_is_copied():
    config = BertConfig(**CONFIG.to_dict())
    with tf.Graph().as_default(), tf1.Session() as sess:
        short = BertModel(config, False, tf.constant(IDS[:1, :4]), scope="one")
        with tf1.variable_scope("one", reuse=True):
            pass
        assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.1, 0.1)
        with tf1.variable_scope("", reuse=True):
            ones, zeros = tf.ones([1, 4], tf.int32), tf.zeros([1, 4], tf.int32)
            explicit = BertModel(config, False, tf.constant(IDS[:1, :4]), ones, zeros, scope="one")
        sess.run(tf1.global_variables_initializer())
        left, right = sess.run([short.get_sequence_output(), explicit.get_sequence_output()])
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_dropout_only_while_training():
    def outputs(is_training):
        with tf.Graph().as_default(), tf1.Session() as sess:
            tf1.set_random_seed(1)
            model = BertModel(CONFIG, is_training, tf.constant(IDS), tf.constant(MASK))
            sess.run(tf1.global_variables_initializer())
            return [sess.run(model.get_sequence_output()) for _ in range(2)]

    first, second = outputs(is_training=True)
    assert abs(first - second).max() > 0.01
    first, second = outputs(is_training=False)
    assert (first == second).all()


def test_unknown_batch_and_length_at_graph_time():
    with tf.Graph().as_default(), tf1.Session() as sess:
        ids = tf1.placeholder(tf.int32, [None, None])
        model = BertModel(CONFIG, False, ids, tf.cast(ids > 0, tf.int32))
        assert model.get_sequence_output().shape.as_list() == [None, None, 8]
        assert model.get_pooled_output().shape.as_list() == [None, 8]
        sess.run(tf1.global_variables_initializer())
        assert sess.run(model.get_sequence_output(), {ids: IDS}).shape == (2, 5, 8)
        with pytest.raises(tf.errors.InvalidArgumentError) as excinfo:
            sess.run(model.get_sequence_output(), {ids: np.ones([1, 10], np.int32)})
    assert "Expected size[0] in [0, 9], but got 10" in str(excinfo.value)


def test_too_long_for_the_positions():
    with tf.Graph().as_default(), pytest.raises(ValueError) as excinfo:
        BertModel(CONFIG, False, tf.zeros([1, 10], tf.int32))
    assert str(excinfo.value) == "sequence length 10 exceeds max_position_embeddings 9"


def test_activations_against_their_definitions():
    from scipy.stats import norm

    x = np.linspace(-4, 4, 81).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session() as sess:
        tanh_form, exact = sess.run([modeling.gelu(x), modeling.gelu_erf(x)])
    np.testing.assert_allclose(exact, x * norm.cdf(x), atol=1e-6)
    np.testing.assert_allclose(
        tanh_form, x * 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), atol=1e-6
    )
    assert 1e-5 < abs(tanh_form - exact).max() < 1e-3


def test_get_activation():
    assert modeling.get_activation("linear") is None
    assert modeling.get_activation("") is None
    assert modeling.get_activation("GELU") is modeling.gelu
    assert modeling.get_activation(tf.nn.selu) is tf.nn.selu
    with pytest.raises(ValueError) as excinfo:
        modeling.get_activation("swish")
    assert str(excinfo.value) == "unknown activation 'swish', expected one of gelu, gelu_erf, linear, relu, tanh"


def test_layer_norm_against_its_definition():
    x = np.random.default_rng(3).normal(2, 3, [4, 16]).astype(np.float32)
    with tf.Graph().as_default(), tf1.Session() as sess:
        normalized = modeling.layer_norm(tf.constant(x))
        assert [v.op.name for v in tf1.global_variables()] == ["LayerNorm/beta", "LayerNorm/gamma"]
        sess.run(tf1.global_variables_initializer())
        expected = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
        np.testing.assert_allclose(sess.run(normalized), expected, rtol=1e-4, atol=1e-5)


def test_attention_layer_attends_across_lengths_and_keeps_to_the_mask():
    rng = np.random.default_rng(1)
    queries, memory = (rng.normal(size=[2, length, 6]).astype(np.float32) for length in (3, 5))
    mask = np.ones([2, 3, 5], np.int32)
    mask[:, :, 4] = 0
    changed = memory.copy()
    changed[:, 4] += 10
    with tf.Graph().as_default(), tf1.Session() as sess:
        source = tf1.placeholder(tf.float32, [2, 5, 6])
        layer = modeling.attention_layer(tf.constant(queries), source, tf.constant(mask), 2, 4)
        with tf1.variable_scope("", reuse=True):
            flat = modeling.attention_layer(
                tf.reshape(queries, [6, 6]), tf.reshape(source, [10, 6]), tf.constant(mask), 2, 4,
                do_return_2d_tensor=True, batch_size=2, from_seq_length=3, to_seq_length=5,
            )  # fmt: skip
            free = modeling.attention_layer(tf.constant(queries), source, None, 2, 4)
        sess.run(tf1.global_variables_initializer())
        base = sess.run(layer, {source: memory})
        assert base.shape == (2, 3, 8)
        np.testing.assert_allclose(sess.run(layer, {source: changed}), base, atol=1e-6)
        np.testing.assert_allclose(sess.run(flat, {source: memory}).reshape(2, 3, 8), base, atol=1e-6)
        assert abs(sess.run(free, {source: changed}) - sess.run(free, {source: memory})).max() > 1e-3
        with pytest.raises(ValueError) as excinfo:
            modeling.attention_layer(tf.zeros([6, 6]), tf.zeros([10, 6]))
    assert str(excinfo.value) == "attention_layer: matrices need batch_size, from_seq_length and to_seq_length"


def test_transformer_model_returns_one_or_all_layers():
    with tf.Graph().as_default():
        inputs = tf.zeros([2, 5, 8])
        mask = modeling.create_attention_mask_from_input_mask(inputs, tf.ones([2, 5], tf.int32))
        assert mask.shape == [2, 5, 5]
        sizes = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 4}
        layers = modeling.transformer_model(inputs, mask, **sizes, do_return_all_layers=True)
        assert [layer.shape for layer in layers] == [[2, 5, 8]] * 3
        with tf1.variable_scope("", reuse=True):
            assert modeling.transformer_model(inputs, mask, **sizes).shape == [2, 5, 8]
        with pytest.raises(ValueError) as excinfo:
            modeling.transformer_model(inputs, mask, **sizes | {"num_attention_heads": 3})
        assert str(excinfo.value) == "hidden_size 8 is not a multiple of num_attention_heads 3"
        with pytest.raises(ValueError) as excinfo:
            modeling.transformer_model(inputs, mask, **sizes | {"hidden_size": 12})
    assert str(excinfo.value) == "the input is 8 wide, but hidden_size is 12; the residuals need the same"


def test_embedding_functions():
    with tf.Graph().as_default(), tf1.Session() as sess:
        ids = tf.constant(IDS)
        words, table = modeling.embedding_lookup(ids, 11, 8)
        with tf1.variable_scope("", reuse=True):
            one_hot, _ = modeling.embedding_lookup(ids, 11, 8, use_one_hot_embeddings=True)
        assert table.op.name == "word_embeddings"
        output = modeling.embedding_postprocessor(
            words, use_token_type=True, token_type_ids=tf.zeros_like(ids), token_type_vocab_size=2, dropout_prob=0.0
        )
        sess.run(tf1.global_variables_initializer())
        left, right, normalized = sess.run([words, one_hot, output])
        np.testing.assert_array_equal(left, right)
        np.testing.assert_allclose(normalized.mean(-1), 0, atol=1e-5)
        with pytest.raises(ValueError) as excinfo:
            modeling.embedding_postprocessor(words, use_token_type=True)
    assert str(excinfo.value) == "use_token_type needs token_type_ids"


def test_shape_functions():
    with tf.Graph().as_default(), tf1.Session() as sess:
        tensor = tf1.placeholder(tf.float32, [None, 3, 4], name="input")
        first, *rest = modeling.get_shape_list(tensor, expected_rank=(2, 3))
        assert rest == [3, 4]
        assert sess.run(first, {tensor: np.zeros([7, 3, 4])}) == 7
        matrix = modeling.reshape_to_matrix(tensor)
        assert matrix.shape.as_list() == [None, 4]
        assert modeling.reshape_to_matrix(matrix) is matrix
        back = modeling.reshape_from_matrix(matrix[:, :2], modeling.get_shape_list(tensor))
        assert sess.run(back, {tensor: np.zeros([7, 3, 4])}).shape == (7, 3, 2)
        with pytest.raises(ValueError) as excinfo:
            modeling.assert_rank(tensor, 2, name="ids")
        assert str(excinfo.value) == "ids: rank 3 (shape (None, 3, 4)), expected 2"
        with pytest.raises(ValueError) as excinfo:
            modeling.reshape_to_matrix(tf.zeros([3], name="vector"))
    assert str(excinfo.value) == "vector:0: shape (3,), expected a rank of at least 2"


@pytest.mark.parametrize("name", ["gelu", "gelu_erf"])
def test_training_form_of_an_activation_has_the_same_values_and_slopes(name):
    from modeling.encoder.layers import training_form

    plain = modeling.get_activation(name)
    with tf.Graph().as_default(), tf1.Session() as sess:
        x = tf.constant(np.linspace(-12, 12, 201), tf.float32)
        results = []
        for form in (plain, training_form(plain)):
            values = form(x)
            results.append(sess.run([values, tf.gradients(values, x, grad_ys=tf.cos(x))[0]]))
    assert training_form(plain) is not plain
    assert training_form(tf.tanh) is tf.tanh
    for left, right in zip(*results, strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-5, atol=2e-6)


def test_layer_norm_gradient_is_that_of_its_definition():
    rng = np.random.default_rng(3)
    with tf.Graph().as_default(), tf1.Session() as sess:
        x, upstream = (tf.constant(rng.normal(1, 2, [3, 4, 8]), tf.float32) for _ in range(2))
        ours = modeling.layer_norm(x)
        beta, gamma = tf1.trainable_variables()
        mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
        plain = tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-12)
        sess.run(tf1.global_variables_initializer())
        gamma.assign(rng.normal(size=8)).op.run()
        beta.assign(rng.normal(size=8)).op.run()
        fetched = [[out, *tf.gradients(out, [x, gamma, beta], grad_ys=upstream)] for out in (ours, plain)]
        for left, right in zip(*sess.run(fetched), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("probability", [0.1, 0.5])
@pytest.mark.parametrize("shape", [[300, 401], [7, 3, 61, 53]])
def test_dropout_keeps_the_share_and_the_mean(probability, shape):
    with tf.Graph().as_default(), tf1.Session() as sess:
        tf1.set_random_seed(11)
        x = tf.ones(shape)
        dropped = modeling.dropout(x, probability)
        value, slope = sess.run([dropped, tf.gradients(dropped, x)[0]])
        again = sess.run(dropped)
    np.testing.assert_array_equal(value, slope)  # one mask for both passes
    zeros = value == 0
    np.testing.assert_allclose(value[~zeros], 1 / (1 - probability), rtol=1e-4)
    tolerance = 4 * np.sqrt(probability * (1 - probability) / value.size)
    assert abs(zeros.mean() - probability) < tolerance
    assert abs((zeros & (again == 0)).mean() - probability**2) < tolerance  # the next step draws anew
    neighbours = (zeros[..., 1:] & zeros[..., :-1]).mean()
    assert abs(neighbours - probability**2) < 2 * tolerance  # values of one draw are independent


def test_dropout_repeats_under_a_seed_and_leaves_all_at_zero():
    def draw():
        with tf.Graph().as_default(), tf1.Session() as sess:
            tf1.set_random_seed(5)
            return sess.run(modeling.dropout(tf.ones([1000]), 0.3))

    np.testing.assert_array_equal(draw(), draw())
    with tf.Graph().as_default():
        x = tf.ones([3])
        assert modeling.dropout(x, 0.0) is x
        assert modeling.dropout(x, None) is x


@pytest.mark.slow
def test_training_compiles_with_static_shapes():
    """What a TPU needs: no operation of the padded encoder or its gradient is beyond XLA."""

    def build():
        with tf.Graph().as_default(), tf1.Session() as sess:

            def step(ids):
                model = BertModel(CONFIG, True, ids, tf.cast(ids > 0, tf.int32), use_one_hot_embeddings=True)
                loss = tf.reduce_sum(model.get_pooled_output())
                return [loss, *tf.gradients(loss, tf1.trainable_variables()[:1])]

            with tf1.variable_scope("", use_resource=True):
                outputs = tf.xla.experimental.compile(step, [tf.constant(IDS)])
            sess.run(tf1.global_variables_initializer())
            return sess.run(outputs)

    loss, gradient = build()
    assert np.isfinite(loss)
    assert np.abs(gradient).max() > 0
