"""The same numbers on every device and after every interruption: what is asked of the lifecycle besides working."""

import copy
import dataclasses
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import run_classifier
from common.errors import CheckpointError, FlagError
from common.run_directory import RunDirectory
from estimator import devices, experiment
from estimator.config import DeviceSettings, ExperimentSettings, TrainingSettings
from estimator.experiment import Experiment
from estimator.model_fn import build_model_fn
from modeling.build import build_encoder
from modeling.config import BertConfig
from modeling.heads import classification as heads
from modeling.settings import FP16, ModelSettings
from processors.example_source import ExampleSource
from processors.tables.processor import TableProcessor
from processors.tables.spec import Columns, TableSpec
from tasks.base import DEV, TRAIN
from tasks.classification.task import ClassificationTask, LossSettings
from tests.support import tiny
from tokenization import BulkTokenizer

tf1 = tf.compat.v1
TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """60 training rows, two of three of them positive; 21 dev rows, so that the last batch of 8 is partial."""
    folder = tiny.write_table(tmp_path_factory.mktemp("data"), train=80, dev=21, test=11)
    lines = (folder / "train.tsv").read_text().splitlines()
    kept = [line for index, line in enumerate(lines) if not (line.endswith("\tneg") and index % 4 == 0)]
    (folder / "train.tsv").write_text("\n".join(kept) + "\n")
    return folder


@pytest.fixture(scope="module")
def make(data, tiny_model, tmp_path_factory):
    """Makes an `Experiment` on the tiny table that draws no random numbers while it trains."""
    folder = tmp_path_factory.mktemp("experiments")

    def build(name, device=None, loss=None, init_checkpoint=tiny_model, dropout=0.0, **training):
        processor = TableProcessor(TableSpec(columns=Columns("text", None, "label")), data_dir=str(data))
        tokenizer = BulkTokenizer(str(tiny_model / "vocab.txt"))
        task = ClassificationTask("table", ExampleSource(processor, str(data)), tokenizer, 24, loss or LossSettings())
        config = BertConfig.from_dict(tiny.CONFIG | {"classifier_dropout": dropout})
        model = ModelSettings(config, init_checkpoint and str(init_checkpoint))
        fast = {"train_batch_size": 8, "num_train_epochs": 1.4, "learning_rate": 1e-3, "log_every_n_steps": 1}
        settings = TrainingSettings(**{**fast, **training})
        (folder / name).mkdir(exist_ok=True)
        return Experiment(task, ExperimentSettings(folder / name, model, settings, device or DeviceSettings()))

    return build


def variables(made):
    """Every value in the latest checkpoint, optimizer slots included."""
    reader = tf.train.load_checkpoint(str(made.output_dir))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def losses(made):
    """Losses of the training steps, by step."""
    lines = [json.loads(line) for line in (made.output_dir / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["event"] == "train"}


def assert_equal_variables(left, right, atol=1e-6):
    left, right = variables(left), variables(right)
    assert left.keys() == right.keys()
    for name, value in left.items():
        np.testing.assert_allclose(value, right[name], rtol=1e-5, atol=atol, err_msg=name)


def answers(made):
    return np.loadtxt(made.output_dir / "test_results.tsv", delimiter="\t")


@pytest.fixture(scope="module")
def plain(make):
    """Training, evaluation and prediction on one device, as every other way must give them."""
    made = make("plain")
    assert made.train() == 10
    made.evaluate()
    assert made.predict() == 11
    return made


def scores(made):
    return json.loads((made.output_dir / "eval_results.json").read_text())


@pytest.mark.slow
def test_tpu_estimator_without_a_tpu_gives_the_same_numbers(make, plain):
    other = make("tpu", DeviceSettings(tpu_estimator_on_cpu=True, iterations_per_loop=1))
    assert other.train() == 10
    other.evaluate()
    assert other.predict() == 11  # five rows that only filled the last batch have no answer
    assert_equal_variables(other, plain, atol=1e-5)
    assert losses(other) == pytest.approx(losses(plain), abs=1e-5)
    assert scores(other) == pytest.approx(scores(plain), abs=1e-4)
    np.testing.assert_allclose(answers(other), answers(plain), atol=1e-5)


def test_training_step_compiled_by_xla_gives_the_same_loss_and_gradients(make):
    made = make("xla", DeviceSettings(pad_to_max_length=True))
    batches = made._inputs.input_fn(made.record_set(TRAIN), 8, 0)
    head = made.task.head(is_training=True)

    def run(compiled):
        with tf.Graph().as_default(), tf1.Session() as session:
            tf1.set_random_seed(3)
            features = tf1.data.make_one_shot_iterator(batches()).get_next()
            assert features["input_ids"].shape == (8, 24)

            def step():
                encoder = build_encoder(made.settings.model, head, features, is_training=True, packed=False)
                loss, _ = head.loss(head.logits(encoder, features, is_training=True), features)
                gradients = tf.gradients(loss, tf1.trainable_variables())
                return [loss, *(tf.convert_to_tensor(gradient) for gradient in gradients)]

            outputs = tf1.xla.experimental.compile(step) if compiled else step()
            clusters = [op for op in session.graph.get_operations() if "_xla_compile_id" in op.node_def.attr]
            assert bool(clusters) == compiled
            session.run(tf1.global_variables_initializer())
            return session.run(outputs)

    plain, compiled = run(compiled=False), run(compiled=True)
    assert 0.3 < plain[0] < 1.5
    for left, right in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-4, atol=1e-6)


def two_cpus():
    """A strategy over two devices that exist in sessions alone, as the Estimator's are."""
    from tensorflow.python.framework import ops

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops, "executing_eagerly_outside_functions", lambda: False)
        return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])


@pytest.fixture
def two_devices(monkeypatch):
    """Two logical devices in one process, as two GPUs would be."""
    common = devices._common

    def with_two_cpus(training):
        return {**common(training), "session_config": tf1.ConfigProto(device_count={"CPU": 2})}

    monkeypatch.setattr(devices, "_common", with_two_cpus)
    monkeypatch.setattr(devices, "_strategy", lambda gpus: two_cpus())


@pytest.mark.filterwarnings("ignore:To make it possible to preserve tf.data options:UserWarning")  # TensorFlow's own
def test_two_devices_share_the_global_batch(make, plain, two_devices):
    other = make("mirrored")
    assert other.train() == 10
    assert_equal_variables(other, plain, atol=1e-5)
    assert losses(other) == pytest.approx(losses(plain), abs=1e-4)
    other.evaluate()
    assert scores(other) == pytest.approx(scores(plain), abs=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:To make it possible to preserve tf.data options:UserWarning")  # TensorFlow's own
@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param({"gradient_accumulation_steps": 2}, marks=pytest.mark.slow)],
    ids=["whole", "parts"],
)
def test_two_devices_weigh_unequal_rows_as_one(make, request, settings):
    """The share of heavy rows differs between the devices at most steps; the denominator is that of all rows."""
    fast = {"loss": LossSettings([9.0, 1.0]), "num_train_epochs": 0.8}
    one = make("weighted", **fast)
    assert one.train() == 6
    request.getfixturevalue("two_devices")
    two = make(f"weighted_mirrored{len(settings)}", **fast, **settings)
    assert two.train() == 6
    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    assert_equal_variables(two, one, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:To make it possible to preserve tf.data options:UserWarning")  # TensorFlow's own
def test_two_devices_go_on_with_the_same_dropout(make, two_devices):
    settings = {"dropout": 0.3, "deterministic": True, "save_checkpoints_steps": 5}
    whole, stopped = make("two", **settings), make("two_stopped", **settings)
    assert whole.train() == 10
    for suffix in ("index", "data-00000-of-00001"):
        shutil.copy(whole.output_dir / f"model.ckpt-5.{suffix}", stopped.output_dir)
    (stopped.output_dir / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-5"\n')
    assert stopped.train() == 10
    assert_equal_variables(stopped, whole, atol=0.0)


def test_a_batch_that_devices_cannot_share_is_refused(make, two_devices):
    with pytest.raises(FlagError) as refused:
        make("odd", train_batch_size=9).train()
    assert str(refused.value) == "--train_batch_size=9 cannot be shared by 2 devices; give a multiple of 2"


def test_machines_take_turns_in_one_stream_of_batches(make):
    made = make("machines")
    records = made.record_set(TRAIN)
    whole = [
        batch["input_ids"].tolist() for batch in made._inputs.input_fn(records, 4, 0)().take(6).as_numpy_iterator()
    ]
    shares = [
        made._inputs.input_fn(records, 8, 0)(input_context=tf.distribute.InputContext(2, machine, 2)).take(3)
        for machine in range(2)
    ]
    first, second = ([batch["input_ids"].tolist() for batch in share.as_numpy_iterator()] for share in shares)
    assert [first[0], second[0], first[1], second[1], first[2], second[2]] == whole


class Interrupted(experiment.ProgressHook):
    """Stops after five steps as if the machine had been taken away, but for the checkpoint."""

    def after_run(self, run_context, run_values):
        super().after_run(run_context, run_values)
        if self._step >= 5:
            run_context.request_stop()


@pytest.mark.slow
def test_interrupted_and_resumed_is_as_never_interrupted(make, plain, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(experiment, "ProgressHook", Interrupted)
        make("resumed").train()
    resumed = make("resumed")
    assert resumed.global_step() == 5
    assert resumed.train() == 10
    assert resumed.global_step() == 10
    assert_equal_variables(resumed, plain)
    assert losses(resumed) == pytest.approx(losses(plain), abs=1e-6)


def test_seed_decides_everything(make, plain):
    again = make("again")
    again.train()
    assert losses(again) == pytest.approx(losses(plain), abs=1e-6)
    assert_equal_variables(again, plain)

    def order(made):
        batches = made._inputs.input_fn(made.record_set(TRAIN), 8, 0)()
        return [batch["input_ids"].tolist() for batch in batches.take(3).as_numpy_iterator()]

    assert order(again) == order(plain)
    assert order(make("other", seed=7)) != order(plain)


@pytest.mark.slow
def test_class_weights_count_in_training_alone(make, plain):
    counts = {"neg": 0, "pos": 0}
    for example in plain.task.examples(TRAIN):
        counts[example.label] += 1
    total = sum(counts.values())
    assert counts["neg"] < counts["pos"]
    balanced = make("balanced", loss=LossSettings("balanced"), num_train_epochs=0.4)
    by_count = [total / 2 / counts["neg"], total / 2 / counts["pos"]]
    explicit = make("explicit", loss=LossSettings(by_count), num_train_epochs=0.4)
    balanced.train()
    explicit.train()
    assert losses(balanced) == pytest.approx(losses(explicit), rel=1e-6)
    assert losses(balanced)[1] != pytest.approx(losses(plain)[1], abs=1e-4)
    for path in plain.output_dir.glob("model.ckpt*"):
        shutil.copy(path, explicit.output_dir)
    shutil.copy(plain.output_dir / "checkpoint", explicit.output_dir)
    assert explicit.evaluate() == pytest.approx(scores(plain), abs=1e-6)
    assert explicit.task.head(is_training=False).class_weights is None


@pytest.mark.slow
def test_label_smoothing_and_focus_count_in_training_alone(make, plain):
    shaped = make("shaped", loss=LossSettings(None, 0.2, 2.0), num_train_epochs=0.4)
    shaped.train()
    assert losses(shaped)[1] != pytest.approx(losses(plain)[1], abs=1e-4)
    trained, evaluated = (shaped.task.head(is_training=one) for one in (True, False))
    assert (trained.label_smoothing, trained.focal_gamma) == (0.2, 2.0)
    assert (evaluated.label_smoothing, evaluated.focal_gamma) == (0.0, 0.0)


def trained_with(run_script, tmp_path, *flags):
    """One short run through the script; gives standard error."""
    code, _, err = run_script(run_classifier.main, *TABLE, "--do_train", f"--output_dir={tmp_path / 'new'}", *flags)
    assert code == 0, err
    return err


def test_fine_tuned_weights_start_another_task_with_a_new_head(run_script, plain, tiny_model, tmp_path):
    folder = tmp_path / "moods"
    folder.mkdir()
    rows = [f"{text}\t{label if index % 3 else 'mixed'}\n" for index, (text, label) in enumerate(tiny.rows(16))]
    (folder / "train.tsv").write_text("text\tlabel\n" + "".join(rows))
    weights = f"--init_checkpoint={plain.output_dir / 'model.ckpt-10.index'}"
    flags = [f"--data_dir={folder}", weights, "--dev_fraction=0", "--learning_rate=0"]
    flags += [f"--vocab_file={tiny_model / 'vocab.txt'}", f"--bert_config_file={tiny_model / 'bert_config.json'}"]
    err = trained_with(run_script, tmp_path, *flags, "--num_train_epochs=0.5")
    assert "restored 23/25; new, as the shape differs: output_weights, output_bias\n" in err
    reader = tf.train.load_checkpoint(str(tmp_path / "new"))
    assert reader.get_variable_to_shape_map()["output_weights"] == [3, 16]
    name = "bert/encoder/layer_0/output/dense/kernel"
    np.testing.assert_array_equal(reader.get_tensor(name), variables(plain)[name])


@pytest.mark.parametrize("checkpoint", ["", "model.ckpt-10", "model.ckpt-10.index"])
@pytest.mark.parametrize("names", [("good", "bad"), ("pos", "neg"), ("neg", "pos")], ids="-".join)
def test_head_of_other_labels_is_restored_with_a_warning(plain, checkpoint, names, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    """As many labels, and so the same layer; but which output stands for which label is another matter."""
    shutil.copytree(plain.output_dir, tmp_path / "run")
    RunDirectory(tmp_path / "run").write({"labels": ["neg", "pos"]}, {}, {}, "{}")
    weights = str(tmp_path / "run" / checkpoint)
    settings = dataclasses.replace(plain.settings, output_dir=tmp_path / "new")
    settings = dataclasses.replace(settings, model=dataclasses.replace(settings.model, init_checkpoint=weights))
    task = copy.copy(plain.task)
    task.labels = list(names)
    Experiment(task, settings).check_weights()
    other = (
        f"--init_checkpoint={weights}: its output layer was trained for the labels neg, pos and goes on as one for "
        "good, bad, in this order; if these are the same labels, give them in the order of the checkpoint (--labels)"
    )
    matched = f"--init_checkpoint={weights}: has the labels in another order (neg, pos); they are matched by name"
    expected = {"good": [other], "pos": [matched], "neg": []}[names[0]]
    assert [record.getMessage() for record in caplog.records if "labels" in record.getMessage()] == expected


def test_shape_of_the_head_alone_may_differ(make, plain):
    wider = BertConfig.from_dict({**tiny.CONFIG, "intermediate_size": 64})
    model_fn = build_model_fn(ModelSettings(wider, str(plain.output_dir)), heads.ClassificationHead(3))
    with tf.Graph().as_default():
        ids = {name: tf.zeros([2, 4], tf.int32) for name in ("input_ids", "input_mask", "segment_ids")}
        with pytest.raises(CheckpointError) as refused:
            model_fn(ids, None, tf.estimator.ModeKeys.PREDICT, {})
    assert "intermediate/dense/kernel has shape (16, 64) in the model, (16, 32) in the checkpoint" in str(refused.value)


@pytest.mark.slow
def test_google_weights_by_prefix(run_script, data, tiny_model, tmp_path):
    flags = [f"--data_dir={data}", f"--init_checkpoint={tiny_model / 'bert_model.ckpt'}", "--learning_rate=0"]
    err = trained_with(run_script, tmp_path, *flags, "--max_train_examples=8", "--num_train_epochs=1")
    assert "restored 23/25; new: output_weights, output_bias\n" in err
    trained = tf.train.load_checkpoint(str(tmp_path / "new"))
    start = tf.train.load_checkpoint(str(tiny_model / "bert_model.ckpt"))
    for name in start.get_variable_to_shape_map():
        np.testing.assert_array_equal(trained.get_tensor(name), start.get_tensor(name))


@pytest.mark.slow
def test_hugging_face_weights_through_the_script(run_script, data, minilm, tmp_path):
    from safetensors import safe_open

    flags = [f"--data_dir={data}", f"--init_checkpoint={minilm}", "--max_train_examples=8", "--num_train_epochs=1"]
    err = trained_with(run_script, tmp_path, *flags, "--learning_rate=0")
    assert "restored 103/105; new: output_weights, output_bias\n" in err
    trained = tf.train.load_checkpoint(str(tmp_path / "new"))
    with safe_open(str(Path(minilm) / "model.safetensors"), "np") as start:
        expected = start.get_tensor("encoder.layer.5.output.dense.weight")
    np.testing.assert_array_equal(trained.get_tensor("bert/encoder/layer_5/output/dense/kernel"), expected.T)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"require_gpu": True},
            "--require_gpu: TensorFlow sees no GPU; check nvidia-smi, and CUDA and cuDNN as ",
        ),
        ({"num_gpus": 99}, "--num_gpus=99: TensorFlow sees "),
    ],
)
@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="needs a machine without a GPU")
def test_gpus_that_are_not_there_are_a_line(wanted, message):
    with pytest.raises(FlagError) as refused:
        devices.check_gpus(DeviceSettings(**wanted))
    assert str(refused.value).startswith(message)


def test_banner_says_where_the_graph_runs():
    assert ("CPU only" in devices.banner()) == (not tf.config.list_physical_devices("GPU"))


def test_dev_split_is_evaluated_as_it_stands(make):
    made = make("dev")
    assert made.record_set(DEV).num_records == 21
    assert made.record_set(DEV) is made.record_set(DEV)


@pytest.mark.filterwarnings("ignore:To make it possible to preserve tf.data options:UserWarning")  # TensorFlow's own
@pytest.mark.slow
def test_two_devices_go_on_from_a_checkpoint_without_a_scale(make, two_devices):
    assert make("scaled", train_batch_size=8, num_train_epochs=0.7).train() == 5
    made = make("scaled", device=DeviceSettings(precision=FP16), train_batch_size=8)
    assert made.train() == 10
    held = tf.train.load_checkpoint(str(made.output_dir))
    assert held.get_tensor("global_step") == 10
    assert held.get_tensor("loss_scale_good_steps") == 5
    assert held.get_tensor("loss_scale") == 2.0**15
