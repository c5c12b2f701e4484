"""Parts of the encoder that training leaves as they are: no gradient, no slots, no decay, and no work below them."""

import json
import logging
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

import create_pretraining_data
import run_classifier
import run_pretraining
import run_squad
from common.errors import FlagError
from estimator.config import ADAMW, LAMB
from estimator.model_fn import GraphSettings, Schedule, build_model_fn
from modeling import BertConfig
from modeling.heads.masked_lm import PretrainingHead
from modeling.parameter_groups import ParameterTable
from modeling.settings import BF16, FP16, ModelSettings
from modeling.training.freezing import FrozenParts, parse_frozen_parts
from tests.command_line import test_run_squad
from tests.command_line.test_run_classifier import TABLE, TRAINING
from tests.estimator.test_devices import two_devices  # noqa: F401 - a fixture
from tests.modeling.training.test_accumulation import TRAIN, batch
from tests.support import tiny
from tests.support.graphs import initialize_by_name

tf1 = tf.compat.v1
CONFIG = BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 3})
FROZEN = "embeddings,0-1"


@pytest.mark.parametrize(
    ("text", "layers", "shown"),
    [
        ("embeddings,0-5", 12, "embeddings,0-5"),
        ("3", 12, "3"),
        ("5,1-2, 2 ,0,pooler", 6, "0-2,5,pooler"),
        ("encoder", 3, "embeddings,0-2"),
        ("pooler,encoder,1", 2, "embeddings,0-1,pooler"),
        ("0-0,2", 4, "0,2"),
        ("", 12, ""),
        (None, 12, ""),
    ],
)
def test_list_is_read_and_shown(text, layers, shown):
    frozen = parse_frozen_parts(text, layers)
    assert str(frozen) == shown
    assert bool(frozen) == bool(shown)
    assert parse_frozen_parts(shown, layers) == frozen


PARTS = "expected embeddings, encoder, pooler, a layer from 0 to 5, or a range of layers such as 0-5"
ERRORS = {
    "embedings,0": f"--freeze=embedings,0: 'embedings' is no part of the model; {PARTS}",
    "0,,1": f"--freeze=0,,1: '' is no part of the model; {PARTS}",
    "-1": f"--freeze=-1: '-1' is no part of the model; {PARTS}",
    "output_weights": f"--freeze=output_weights: 'output_weights' is no part of the model; {PARTS}",
    "6": "--freeze=6: there is no layer 6: the model has 6 layers; give numbers from 0 to 5",
    "pooler,3-11": "--freeze=pooler,3-11: there is no layer 11: the model has 6 layers; give numbers from 0 to 5",
    "pooler,4-2": "--freeze=pooler,4-2: the range 4-2 is reversed; give 2-4",
}


@pytest.mark.parametrize("text", ERRORS)
def test_list_that_cannot_be_used_is_named(text):
    with pytest.raises(FlagError) as refused:
        parse_frozen_parts(text, 6)
    assert str(refused.value) == ERRORS[text]


def test_layer_is_known_by_its_whole_number():
    table = ParameterTable(FrozenParts(layers=(1,)).groups())
    assert not table.of("bert/encoder/layer_1/output/dense/kernel").is_trained
    for name in ("bert/encoder/layer_11/output/dense/kernel", "bert/pooler/dense/bias", "output_weights", "cls/bert/"):
        assert table.of(name).is_trained


def training_spec(text, optimizer=ADAMW, model=None, **settings):
    """The graph of pretraining on one batch, which has a head with an own use of the word vectors."""
    features = {name: tf.constant(value) for name, value in batch().items()}
    graph = GraphSettings(frozen=parse_frozen_parts(text, CONFIG.num_hidden_layers), **settings)
    schedule = Schedule(1e-2, 10, 0, optimizer)
    return build_model_fn(model or ModelSettings(CONFIG), PretrainingHead(CONFIG), schedule, graph)(
        features, None, TRAIN, {}
    )


def trained_once(text, optimizer=ADAMW, **settings):
    """Variables before and after an update from weights given by their names; slots only after it."""
    with tf.Graph().as_default(), tf1.Session() as session:
        spec = training_spec(text, optimizer, **settings)
        initialize_by_name(session)
        weights = {variable.op.name: variable for variable in tf1.trainable_variables()}
        before = session.run(weights)
        session.run(spec.train_op)
        return before, session.run({variable.op.name: variable for variable in tf1.global_variables()})


def gradients(after):
    """Clipped gradients of the first update, as the slots have them."""
    return {name.removesuffix("/adam_m"): value / 0.1 for name, value in after.items() if name.endswith("/adam_m")}


@pytest.fixture(scope="module")
def whole_gradients():
    """Clipped gradients where everything is trained."""
    return gradients(trained_once("")[1])


def flat(values, names):
    return np.concatenate([values[name].ravel() for name in sorted(names)])


@pytest.mark.parametrize(
    ("text", "settings", "tolerance"),
    [
        (FROZEN, {}, 1e-5),
        pytest.param(FROZEN, {"packed": False}, 1e-5, marks=pytest.mark.slow),
        pytest.param(FROZEN, {"optimizer": LAMB}, 1e-5, marks=pytest.mark.slow),
        pytest.param(FROZEN, {"micro_batches": 4}, 1e-5, marks=pytest.mark.slow),
        pytest.param("embeddings,0", {"micro_batches": 4, "recompute": True}, 1e-5, marks=pytest.mark.slow),
        pytest.param("1,pooler", {"recompute": True}, 1e-5, marks=pytest.mark.slow),
        pytest.param(FROZEN, {"precision": BF16}, 0.1, marks=pytest.mark.slow),
        pytest.param(FROZEN, {"precision": FP16, "micro_batches": 2}, 0.02, marks=pytest.mark.slow),
    ],
)
def test_only_the_rest_is_trained_and_clipped_by_its_own_norm(text, settings, tolerance, whole_gradients):
    before, after = trained_once(text, **settings)
    table = ParameterTable(parse_frozen_parts(text, 3).groups())
    frozen = {name for name in before if not table.of(name).is_trained}
    trained = before.keys() - frozen
    assert {name for name in before if f"{name}/adam_m" in after and f"{name}/adam_v" in after} == trained
    assert gradients(after).keys() == trained
    assert before.keys() <= after.keys()
    for name, value in before.items():
        assert np.array_equal(after[name], value) == (name in frozen), name
    expected = flat(whole_gradients, trained)
    found = flat(gradients(after), trained)
    # A part of what was clipped to norm 1: the rest of it is now clipped to that norm itself.
    assert 0.05 < np.linalg.norm(expected) < 0.999
    if parse_frozen_parts(text, 3).embeddings:
        np.testing.assert_allclose(np.linalg.norm(found), 1.0, rtol=1e-4)
    direction = expected / np.linalg.norm(expected)
    assert np.linalg.norm(found / np.linalg.norm(found) - direction) < tolerance


@pytest.mark.parametrize(
    ("text", "without", "last"),
    [
        (FROZEN, ["embeddings", "encoder/layer_0", "encoder/layer_1"], "encoder/layer_2"),
        ("encoder", ["embeddings", "encoder"], "pooler"),
        pytest.param("0-1", [], "embeddings", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("packed", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_backward_pass_ends_at_the_lowest_part_that_is_trained(text, without, last, packed):
    with tf.Graph().as_default() as graph:
        training_spec(text, packed=packed)
        backward = {op.name for op in graph.get_operations() if op.name.startswith("gradients/")}
    assert any(name.startswith(f"gradients/bert/{last}/") for name in backward)
    for part in without:
        assert not [name for name in backward if name.startswith(f"gradients/bert/{part}/")]


@pytest.mark.parametrize(
    ("text", "again"),
    [pytest.param("", 2, marks=pytest.mark.slow), pytest.param("embeddings,0", 1, marks=pytest.mark.slow), (FROZEN, 0)],
)
def test_frozen_layers_are_not_computed_again(text, again):
    with tf.Graph().as_default() as graph:
        training_spec(text, recompute=True)
        probabilities = [op for op in graph.get_operations() if op.type == "Softmax"]
    assert len(probabilities) == 3 + again


@pytest.mark.slow
def test_nothing_frozen_is_the_graph_without_the_setting():
    def names(frozen):
        with tf.Graph().as_default() as graph:
            training_spec(frozen)
            return [op.name for op in graph.get_operations()]

    assert names("") == names(None)


def test_new_weights_that_stay_random_are_named(two_layers, tmp_path, caplog):
    """The pooler is no part of every published encoder."""
    config = BertConfig.from_dict(tiny.CONFIG | {"num_hidden_layers": 2})
    reader = tf.train.load_checkpoint(str(two_layers))
    names = [name for name in reader.get_variable_to_shape_map() if not name.startswith("bert/pooler")]
    with tf.Graph().as_default(), tf1.Session() as session:
        for name in names:
            tf1.get_variable(name, initializer=reader.get_tensor(name))
        session.run(tf1.global_variables_initializer())
        weights = tf1.train.Saver().save(session, str(tmp_path / "model.ckpt"))
    with tf.Graph().as_default():
        training_spec("0,pooler", model=ModelSettings(config, weights))
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [message for message in warned if "--freeze" in message] == [
        "--freeze=0,pooler keeps random weights: the checkpoint lacks bert/pooler/dense/kernel, "
        "bert/pooler/dense/bias; train them"
    ]


def is_weight(name):
    return name != "global_step" and not name.endswith(("adam_m", "adam_v"))


def values(folder):
    """Everything in the latest checkpoint of a run, or in a checkpoint."""
    reader = tf.train.load_checkpoint(str(folder))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def assert_frozen(folder, start, is_frozen):
    """Checks a run directory's checkpoint against the values that it began with."""
    found = values(folder)
    start = {name: value for name, value in values(start).items() if is_weight(name)}
    assert any(is_frozen(name) for name in start)
    for name, value in start.items():
        assert np.array_equal(found[name], value) == is_frozen(name), name
        assert (f"{name}/adam_m" in found) == (not is_frozen(name)), name


def below_layer_1(name):
    return name.startswith(("bert/embeddings/", "bert/encoder/layer_0/"))


@pytest.fixture(scope="module")
def run_flags(tmp_path_factory, two_layers):
    """Flags of a short training; its data."""
    data = tiny.write_table(tmp_path_factory.mktemp("data"), train=32)
    return [*TABLE, *TRAINING, f"--data_dir={data}", f"--init_checkpoint={two_layers}", "--num_train_epochs=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, run_flags):
    """A run with the lower half of the encoder frozen; the tests of this module look at what it left."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    run_classifier.main(["script", *run_flags, f"--output_dir={folder}", "--freeze=0,embeddings", "--do_train"])
    return folder


@pytest.mark.slow
def test_frozen_weights_are_those_of_the_beginning(trained, two_layers):
    assert_frozen(trained, two_layers, below_layer_1)
    held = values(trained)
    assert {"output_weights/adam_m", "bert/encoder/layer_1/output/dense/kernel/adam_v"} <= held.keys()
    assert json.loads((trained / "run.json").read_text())["flags"]["freeze"] == "0,embeddings"


@pytest.mark.slow
def test_later_runs_answer_without_the_flag_and_go_on_with_it(trained, run_flags, run_script, two_layers):
    where = f"--output_dir={trained}"
    code, _, err = run_script(run_classifier.main, where, "--do_eval", "--do_predict", "--do_export")
    assert code == 0, err
    assert "frozen" not in err
    assert len((trained / "test_results.tsv").read_text().splitlines()) == 10
    assert list((trained / "export").iterdir())
    changed = ["--num_train_epochs=2", "--freeze=embeddings,0-0"]
    code, _, err = run_script(run_classifier.main, *run_flags, where, "--do_train", *changed)
    assert code == 0, err
    whole = sum(np.prod(value.shape, dtype=int) for name, value in values(trained).items() if is_weight(name))
    below = sum(np.prod(value.shape, dtype=int) for name, value in values(two_layers).items() if below_layer_1(name))
    assert re.findall(r"frozen: .*", err) == [
        f"frozen: embeddings,0; {whole - below:,} of {whole:,} parameters are trained"
    ]
    assert values(trained)["global_step"] == 8
    assert_frozen(trained, two_layers, below_layer_1)


def test_training_on_with_other_parts_frozen_is_refused(trained, run_flags, run_script):
    before = (trained / "run.json").read_bytes()
    given = [f"--output_dir={trained}", "--do_train", "--num_train_epochs=9", "--freeze=embeddings"]
    code, _, err = run_script(run_classifier.main, *run_flags, *given)
    assert code == 2
    assert re.fullmatch(
        f"error: --freeze=embeddings contradicts --output_dir={trained}, which was trained with "
        r"--freeze=(embeddings,0-0|0,embeddings); this flag cannot change within a run; leave it out, or choose "
        "another --output_dir\n",
        err,
    )
    assert (trained / "run.json").read_bytes() == before


@pytest.mark.slow
def test_training_on_freezes_the_same_parts_in_any_spelling(trained, run_flags, run_script, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    frozen = []
    for epochs, given in ((3, []), (4, ["--freeze=0, embeddings"])):
        flags = [f"--output_dir={run}", "--do_train", f"--num_train_epochs={epochs}", *given]
        code, _, err = run_script(run_classifier.main, *run_flags, *flags)
        assert code == 0, err
        frozen += re.findall(r"frozen: (\S+);", err)
    assert frozen == ["embeddings,0", "embeddings,0"]


def test_remedy_works(trained, run_flags, run_script, tmp_path):
    flags = [f"--init_checkpoint={trained}", f"--output_dir={tmp_path / 'next'}", "--freeze=encoder", "--do_train"]
    code, _, err = run_script(run_classifier.main, *run_flags, *flags)
    assert code == 0, err
    assert "restored 41/41\n" in err
    assert_frozen(tmp_path / "next", trained, lambda name: name.startswith(("bert/emb", "bert/enc")))


def test_unusable_list_is_one_line_before_anything_is_written(run_flags, run_script, tmp_path):
    flags = [*run_flags, f"--output_dir={tmp_path / 'run'}", "--do_train", "--freeze=embeddings,2"]
    code, _, err = run_script(run_classifier.main, *flags)
    assert code == 2
    assert err == (
        "error: --freeze=embeddings,2: there is no layer 2: the model has 2 layers; give numbers from 0 to 1\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
@pytest.mark.filterwarnings("ignore:To make it possible to preserve tf.data options:UserWarning")  # TensorFlow's own
def test_two_devices_keep_the_same_parts(run_flags, run_script, tmp_path, trained, two_layers):
    flags = [*run_flags, f"--output_dir={tmp_path / 'run'}", "--do_train", "--freeze=embeddings,0"]
    code, _, err = run_script(run_classifier.main, *flags)
    assert code == 0, err
    assert err.count("frozen: ") == 1
    assert_frozen(tmp_path / "run", two_layers, below_layer_1)
    assert values(tmp_path / "run").keys() == values(trained).keys()


@pytest.mark.slow
def test_word_vectors_that_guesses_are_compared_with_stay_as_they_are(run_script, two_layers, tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(text for text, _ in tiny.rows(24)), encoding="utf-8")
    shape = ["--max_seq_length=24", "--max_predictions_per_seq=4"]
    create_pretraining_data.main([
        "script", *shape, f"--input_file={tmp_path}/text.txt", f"--output_file={tmp_path}/records",
        f"--vocab_file={two_layers / 'vocab.txt'}",
    ])  # fmt: skip
    code, _, err = run_script(
        run_pretraining.main, *shape, f"--input_file={tmp_path}/records", f"--init_checkpoint={two_layers}",
        "--do_train", "--freeze=embeddings", "--train_batch_size=4", "--num_train_steps=2", "--num_warmup_steps=1",
        "--learning_rate=1e-2", f"--output_dir={tmp_path / 'run'}", "--gradient_accumulation_steps=2",
    )  # fmt: skip
    assert code == 0, err
    assert_frozen(tmp_path / "run", two_layers, lambda name: name.startswith("bert/embeddings/"))
    assert "cls/predictions/output_bias/adam_m" in values(tmp_path / "run")


@pytest.mark.slow
def test_answers_are_learnt_on_a_frozen_encoder(run_script, tmp_path):
    """From scratch, which is said; a second run goes on from the slots of the head alone."""
    train_file = f"--train_file={test_run_squad.example_file('en', 'train')}"
    flags = [
        *test_run_squad.write_model(tmp_path, "en"), *test_run_squad.LENGTHS, train_file, "--max_train_examples=8",
        "--train_batch_size=4", f"--output_dir={tmp_path / 'run'}", "--freeze=encoder", "--do_train",
        "--version_2_with_negative",
    ]  # fmt: skip
    code, _, err = run_script(run_squad.main, *flags, "--num_train_epochs=0.5")
    assert code == 0, err
    assert "--freeze=embeddings,0 without --init_checkpoint: these parts keep random weights" in err
    first = values(tmp_path / "run")
    assert {name for name in first if name.endswith("/adam_m")} == {
        "cls/squad/output_weights/adam_m", "cls/squad/output_bias/adam_m",
    }  # fmt: skip
    code, _, err = run_script(run_squad.main, *flags, "--num_train_epochs=1")
    assert code == 0, err
    second = values(tmp_path / "run")
    assert second["global_step"] > first["global_step"]
    for name, value in first.items():
        if name.startswith("bert/"):
            np.testing.assert_array_equal(second[name], value)
