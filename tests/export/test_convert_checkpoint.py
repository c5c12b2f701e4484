"""Weights from one format to the other and back: through the script's own main, and by the names alone."""

import json
import resource
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file, save_file

import convert_checkpoint
import modeling
import run_classifier
from export import conversion
from modeling import BertConfig, BertModel
from modeling.checkpoints.huggingface_files import architectures, model_settings
from modeling.checkpoints.variable_names import is_bookkeeping
from modeling.families import bert
from modeling.families.configuration import ACTIVATIONS
from tests.support import tiny
from tokenization import BulkTokenizer

tf1 = tf.compat.v1
NAMES = bert.FAMILY.hugging_face
DATA = ".data-00000-of-00001"
TRAINING = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=24", "--train_batch_size=8"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_model):
    """A short run that leaves the optimizer's slots, labels and predictions."""
    folder = tmp_path_factory.mktemp("trained")
    tiny.write_table(folder / "data")
    run_classifier.main(
        [
            "run_classifier.py", *TRAINING, f"--data_dir={folder / 'data'}", f"--init_checkpoint={tiny_model}",
            f"--output_dir={folder / 'run'}", "--num_train_epochs=2", "--learning_rate=2e-3", "--do_train",
            "--do_predict", "--eval_every_n_steps=8", "--keep_best_checkpoint",
        ]
    )  # fmt: skip
    return folder / "run"


@pytest.fixture
def convert(run_script):
    """Converts and gives the printed lines."""

    def run(source, target, *flags, to="huggingface"):
        arguments = [f"--init_checkpoint={source}", f"--output_dir={target}", f"--format={to}", *flags]
        code, out, err = run_script(convert_checkpoint.main, *arguments)
        assert code == 0, err
        return out.splitlines()

    return run


@pytest.fixture
def refused(run_script):
    """The one line that a refused conversion leaves."""

    def run(*flags):
        code, out, err = run_script(convert_checkpoint.main, *flags)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        return line

    return run


def weights(checkpoint):
    """Every variable but those of the optimizer, and the step, by name."""
    names = [name for name in modeling.checkpoint_variables(checkpoint) if not is_bookkeeping(name)]
    return {name: modeling.read_tensor(checkpoint, name) for name in names}


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert found[name].shape == value.shape, name
        assert found[name].tobytes() == value.tobytes(), name


def save_checkpoint(folder, tensors):
    """Writes a TensorFlow checkpoint of arrays by name."""
    with tf.Graph().as_default(), tf1.Session() as session:
        save = tf.raw_ops.SaveV2(
            prefix=str(folder / "bert_model.ckpt"), tensor_names=list(tensors), shape_and_slices=[""] * len(tensors),
            tensors=[tf.constant(value) for value in tensors.values()],
        )  # fmt: skip
        session.run(save)


@pytest.fixture
def altered(tiny_model, tmp_path):
    """Makes a copy of the tiny model with more variables and other settings in its configuration."""

    def make(variables, **settings):
        folder = tmp_path / "altered"
        shutil.copytree(tiny_model, folder)
        save_checkpoint(folder, weights(tiny_model) | variables)
        (folder / "bert_config.json").write_text(json.dumps(tiny.CONFIG | settings), encoding="utf-8")
        return folder

    return make


def classifier(outputs):
    rng = np.random.default_rng(3)
    shapes = {"output_weights": [outputs, tiny.CONFIG["hidden_size"]], "output_bias": [outputs]}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def parsed(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_round_trip_of_a_run_keeps_every_bit(trained, tmp_path, convert):
    lines = convert(trained, tmp_path / "hf" / "run")
    assert lines[0] == (
        f"{tmp_path / 'hf' / 'run'}: Hugging Face weights (BertForSequenceClassification) of {trained}/model.ckpt-16, "
        "every variable read back and equal"
    )
    assert lines[1].startswith("converted: 25 variables: bert/embeddings/* (5), bert/encoder/layer_0/* (16)")
    assert lines[1].endswith("bert/pooler/* (2), output_bias, output_weights")
    assert lines[2:] == [
        "left out: 50 variables of the optimizer",
        "left out: global_step (the format has no step)",
        f"warning: {trained / 'best'} holds the best checkpoint of this run; what was converted is the latest",
    ]
    lines = convert(tmp_path / "hf" / "run", tmp_path / "back", to="tensorflow")
    assert not [line for line in lines if line.startswith(("left out", "warning"))]
    assert_same_bits(weights(tmp_path / "back"), weights(trained))
    for name in ("bert_config.json", "labels.txt", "vocab.txt"):
        assert (tmp_path / "back" / name).read_bytes() == (trained / name).read_bytes()
    assert not list(tmp_path.rglob(".*"))


def test_files_of_a_hugging_face_folder(trained, tmp_path, convert):
    convert(trained / "best", tmp_path / "hf", "--problem_type=multi_label")
    convert(trained / "best", tmp_path / "as_trained")
    config = parsed(tmp_path / "hf" / "config.json")
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "neg", "1": "pos"}
    assert config["label2id"] == {"neg": 0, "pos": 1}
    assert config["problem_type"] == "multi_label_classification"
    assert parsed(tmp_path / "as_trained" / "config.json")["problem_type"] == "single_label_classification"
    assert (config["hidden_act"], config["layer_norm_eps"]) == ("gelu_new", 1e-12)
    tokenizer = parsed(tmp_path / "hf" / "tokenizer_config.json")
    assert (tokenizer["tokenizer_class"], tokenizer["do_lower_case"]) == ("BertTokenizer", True)
    assert tokenizer["model_max_length"] == tiny.CONFIG["max_position_embeddings"]
    path = tmp_path / "hf" / "model.safetensors"
    theirs, ours = load_file(path), weights(trained / "best")
    name = "bert/encoder/layer_0/intermediate/dense/kernel"
    np.testing.assert_array_equal(theirs["bert.encoder.layer.0.intermediate.dense.weight"], ours[name].T)
    np.testing.assert_array_equal(theirs["classifier.weight"], ours["output_weights"])
    header = path.read_bytes()[8:400]
    assert b'"__metadata__":{"format":"pt"}' in header
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "hf" / "config.json").stat().st_mode)


def test_tensorflow_to_tensorflow_leaves_the_optimizer_out(trained, tmp_path, convert):
    lines = convert(trained / "model.ckpt-8.index", tmp_path / "small", to="tensorflow")
    assert lines[2:] == ["left out: 50 variables of the optimizer"]
    found = modeling.checkpoint_variables(tmp_path / "small")
    assert found.keys() == weights(trained / "model.ckpt-8").keys() | {"global_step"}
    assert_same_bits(weights(tmp_path / "small"), weights(trained / "model.ckpt-8"))
    small, whole = tmp_path / "small" / f"model.ckpt{DATA}", trained / f"model.ckpt-8{DATA}"
    assert small.stat().st_size == pytest.approx(whole.stat().st_size / 3, rel=0.01)


def test_converted_weights_predict_as_the_run_did(trained, tmp_path, convert, run_script):
    """Our graph gives the same from either format."""
    expected = np.loadtxt(trained / "test_results.tsv")
    convert(trained / "best", tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "tf", to="tensorflow")
    for folder in (tmp_path / "hf", tmp_path / "tf"):
        np.testing.assert_allclose(probabilities(folder, trained), expected, rtol=0, atol=1e-6)


def probabilities(folder, run):
    """Of the rows of the run's test split, by a graph that starts from a folder's weights."""
    config = BertConfig.from_json_file(modeling.find_beside(folder).config_file)
    tokenizer = BulkTokenizer(str(folder / "vocab.txt"), do_lower_case=True)
    found = []
    with tf.Graph().as_default(), tf1.Session() as session:
        ids = tf1.placeholder(tf.int32, [None, None])
        head = modeling.ClassificationHead(2)
        logits = head.logits(BertModel(config, False, ids), {}, is_training=False)
        modeling.initialize_from_checkpoint(tf1.trainable_variables(), str(folder))
        session.run(tf1.global_variables_initializer())
        answers = head.predictions(logits, {})["probabilities"]
        for line in (run.parent / "data" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
            pieces = ["[CLS]", *tokenizer.tokenize(line.split("\t")[0])[:22], "[SEP]"]
            found += session.run(answers, {ids: [[tokenizer.vocab[piece] for piece in pieces]]}).tolist()
    return found


@pytest.mark.parametrize("folder", ["golden/tiny", "data/checkpoints/tf1-keras-bert-toy"])
def test_names_of_googles_checkpoints_go_both_ways(shared, folder):
    names = [name for name in modeling.checkpoint_variables(shared / folder) if not is_bookkeeping(name)]
    assert len(names) >= 46
    theirs = [NAMES.theirs(name, NAMES.heads) for name in names]
    assert all(name is not None and "/" not in name for name in theirs)
    assert [NAMES.ours(name) for name in theirs] == names


def test_names_of_hugging_faces_checkpoints_go_both_ways(shared, minilm):
    for folder in (minilm, shared / "data" / "checkpoints" / "hf-tiny-bert-safetensors"):
        names = [name for name in load_file(folder / "model.safetensors") if not name.endswith("position_ids")]
        assert [NAMES.theirs(NAMES.ours(name), ()) for name in names] == names
        assert [NAMES.theirs(NAMES.ours(name), NAMES.heads) for name in names] == ["bert." + name for name in names]


def test_what_has_no_counterpart_keeps_its_name():
    for name in (
        "my/dense/kernel",
        "bert/encoder/layer_x/output/dense/kernel",
        "cls/predictions/transform/dense/gamma",
    ):
        assert NAMES.theirs(name, NAMES.heads) is NAMES.ours(name) is None


def test_all_heads_of_one_checkpoint(golden, vocab_dir, tmp_path, convert):
    vocab = f"--vocab_file={vocab_dir / 'bert-base-uncased' / 'vocab.txt'}"
    lines = convert(golden / "tiny", tmp_path / "hf", vocab)
    assert "(BertForSequenceClassification, BertForQuestionAnswering, BertForPreTraining)" in lines[0]
    theirs = load_file(tmp_path / "hf" / "model.safetensors")
    heads = {name for name in theirs if not name.startswith("bert.")}
    assert heads == {
        "classifier.weight", "classifier.bias", "qa_outputs.weight", "qa_outputs.bias", "cls.predictions.bias",
        "cls.predictions.transform.dense.weight", "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight", "cls.predictions.transform.LayerNorm.bias",
        "cls.seq_relationship.weight", "cls.seq_relationship.bias",
    }  # fmt: skip
    assert parsed(tmp_path / "hf" / "config.json")["id2label"] == {"0": "LABEL_0", "1": "LABEL_1"}
    convert(tmp_path / "hf", tmp_path / "tf", to="tensorflow")
    assert_same_bits(weights(tmp_path / "tf"), weights(golden / "tiny"))
    assert not (tmp_path / "tf" / "labels.txt").exists()


def test_classes_by_head():
    words = {"cls/predictions/output_bias"}
    assert architectures(bert.FAMILY, {"bert/pooler/dense/bias"}) == ["BertModel"]
    assert architectures(bert.FAMILY, words) == ["BertForMaskedLM"]
    assert architectures(bert.FAMILY, words | {"cls/seq_relationship/output_weights"}) == ["BertForPreTraining"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_configuration_goes_both_ways(activation):
    config = BertConfig.from_dict(tiny.CONFIG | {"hidden_act": activation, "hidden_dropout_prob": 0.25})
    settings = model_settings(config, {"output_weights"}, ["a", "b"], "multi_label")
    assert settings["hidden_act"] == {"gelu": "gelu_new", "gelu_erf": "gelu"}.get(activation, activation)
    assert BertConfig.from_dict(settings) == config


def test_an_encoder_alone_and_its_exact_activation(minilm, tmp_path, convert):
    lines = convert(minilm, tmp_path / "tf", to="tensorflow")
    assert lines[2:] == [
        "left out: embeddings.position_ids (nothing reads it)",
        "warning: hidden_act is gelu_erf, the exact form, which the scripts here compute and google-research/bert does "
        "not know; its gelu is the tanh form",
    ]
    assert parsed(tmp_path / "tf" / "bert_config.json")["hidden_act"] == "gelu_erf"
    convert(tmp_path / "tf", tmp_path / "hf")
    assert parsed(tmp_path / "hf" / "config.json")["hidden_act"] == "gelu"
    found, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path / "hf", minilm))
    del expected["embeddings.position_ids"]
    assert_same_bits(found, expected)


def test_what_has_no_counterpart_is_kept_and_named(altered, tmp_path, convert):
    mine = np.arange(6, dtype=np.float32).reshape(2, 3)
    source = altered({"mine/dense/kernel": mine})
    told = "warning: no counterpart, kept under their own names: mine/dense/kernel; no model reads them"
    assert convert(source, tmp_path / "hf")[-1] == told
    np.testing.assert_array_equal(load_file(tmp_path / "hf" / "model.safetensors")["mine/dense/kernel"], mine)
    assert convert(tmp_path / "hf", tmp_path / "tf", to="tensorflow")[-1] == told
    assert_same_bits(weights(tmp_path / "tf"), weights(source))


def test_copies_and_what_is_none(altered, tmp_path, convert):
    convert(altered({"cls/predictions/output_bias": np.ones([40], np.float32)}), tmp_path / "hf")
    path = tmp_path / "hf" / "model.safetensors"
    theirs = load_file(path)
    table, bias = theirs["bert.embeddings.word_embeddings.weight"], theirs["cls.predictions.bias"]
    save_file(theirs | {"cls.predictions.decoder.weight": table, "cls.predictions.decoder.bias": bias + 1}, path)
    lines = convert(tmp_path / "hf", tmp_path / "tf", to="tensorflow")
    assert lines[2:] == [
        "left out: cls.predictions.decoder.bias (differs from cls.predictions.bias, which is read in its place)",
        "left out: cls.predictions.decoder.weight (a copy of bert.embeddings.word_embeddings.weight)",
    ]


def test_half_precision_becomes_single(tiny_model, tmp_path, convert):
    convert(tiny_model, tmp_path / "hf")
    path = tmp_path / "hf" / "model.safetensors"
    halves = {name: value.astype(np.float16) for name, value in load_file(path).items()}
    save_file(halves, path)
    convert(tmp_path / "hf", tmp_path / "tf", to="tensorflow")
    expected = halves["embeddings.word_embeddings.weight"].astype(np.float32)
    np.testing.assert_array_equal(weights(tmp_path / "tf")["bert/embeddings/word_embeddings"], expected)


def test_doubles_become_single_and_it_says_so(altered, tmp_path, convert):
    source = altered({name: value.astype(np.float64) for name, value in classifier(2).items()})
    assert convert(source, tmp_path / "hf")[-1] == "converted to float32: output_bias, output_weights"
    assert load_file(tmp_path / "hf" / "model.safetensors")["classifier.weight"].dtype == np.float32


def test_casing_goes_along(altered, tmp_path, convert, refused):
    source = altered(classifier(3), hidden_act="relu")
    (source / "labels.txt").write_text("eins\nzwei\ndrei\n", encoding="utf-8")
    convert(source, tmp_path / "hf", "--nodo_lower_case")
    convert(tmp_path / "hf", tmp_path / "tf", to="tensorflow")
    convert(tmp_path / "tf", tmp_path / "again")
    assert parsed(tmp_path / "again" / "tokenizer_config.json")["do_lower_case"] is False
    again = parsed(tmp_path / "again" / "config.json")
    assert again == parsed(tmp_path / "hf" / "config.json")
    assert (again["hidden_act"], list(again["id2label"].values())) == ("relu", ["eins", "zwei", "drei"])
    line = refused(
        f"--init_checkpoint={tmp_path / 'hf'}", f"--output_dir={tmp_path / 'b'}", "--format=tensorflow",
        "--do_lower_case",
    )  # fmt: skip
    assert line.startswith(f"error: --do_lower_case=true, but {tmp_path / 'hf' / 'tokenizer_config.json'} says")


def test_what_the_tokenizer_is_asked_for_goes_along(tiny_model, tmp_path, convert):
    source = Path(shutil.copytree(tiny_model, tmp_path / "source"))
    stated = {"strip_accents": False, "tokenize_chinese_chars": False, "tokenizer_class": "BertJapaneseTokenizer"}
    (source / "tokenizer_config.json").write_text(json.dumps(stated))
    (source / "added_tokens.json").write_text('{"<e1>": 40}')
    convert(source, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "tf", to="tensorflow")
    for folder in (tmp_path / "hf", tmp_path / "tf"):
        assert stated.items() <= parsed(folder / "tokenizer_config.json").items()
        assert parsed(folder / "added_tokens.json") == {"<e1>": 40}


def test_a_score_without_a_word_on_it_is_a_regression(altered, tmp_path, convert):
    convert(altered(classifier(1)), tmp_path / "hf")
    config = parsed(tmp_path / "hf" / "config.json")
    assert (config["problem_type"], config["id2label"]) == ("regression", {"0": "LABEL_0"})


def test_a_folder_that_is_empty_is_filled(tiny_model, tmp_path, convert):
    (tmp_path / "hf").mkdir()
    convert(tiny_model, tmp_path / "hf")
    found = sorted(path.name for path in (tmp_path / "hf").iterdir())
    assert found == ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]


def test_flags_that_cannot_be(tiny_model, tmp_path, refused):
    source, target, to = f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'new'}", "--format=huggingface"
    told = "is missing; give it (--help says what it means)"
    assert refused(target, to) == f"error: --init_checkpoint {told}"
    assert refused(source, to) == f"error: --output_dir {told}"
    assert refused(source, target) == f"error: --format {told}"
    assert "huggingface|tensorflow" in refused(source, target, "--format=onnx")
    for path in (tiny_model / "vocab.txt", tiny_model / "vocab.txt" / "new"):
        assert refused(source, f"--output_dir={path}", to) == (
            f"error: --output_dir={path}: {tiny_model / 'vocab.txt'} is a file; expected a folder; choose another"
        )
    assert refused(source, f"--output_dir={tiny_model}", to) == (
        f"error: --output_dir={tiny_model} holds bert_config.json, ...; expected a new or empty folder; choose "
        "another, or empty it"
    )
    assert list(tmp_path.iterdir()) == []


def test_sources_that_cannot_be_converted(altered, golden, tmp_path, refused):
    target = [f"--output_dir={tmp_path / 'new'}", "--format=huggingface"]
    assert refused(f"--init_checkpoint={tmp_path / 'none'}", *target).startswith(
        f"error: {tmp_path / 'none'}: no checkpoint there; looked for {tmp_path / 'none'}.index"
    )
    assert refused(f"--init_checkpoint={golden / 'tiny'}", *target) == (
        "error: --vocab_file is missing: the folder of --init_checkpoint holds no vocab.txt or tokenizer.json; give "
        "its path"
    )
    source = altered(classifier(3))
    flag = f"--init_checkpoint={source}"
    (source / "labels.txt").write_text("a\nb\n", encoding="utf-8")
    assert refused(flag, *target) == (
        f"error: {source / 'bert_model.ckpt'}: its classifier has 3 outputs, but 2 labels stand beside it (a, b); "
        "correct or remove labels.txt (or id2label in config.json)"
    )
    (source / "labels.txt").unlink()
    (source / "config.json").write_text('{"id2label": {"1": "a"}}', encoding="utf-8")
    assert refused(flag, *target) == (
        f"error: {source / 'config.json'}: id2label is not a name for each of 0, 1, ...; correct it, or remove it"
    )
    (source / "config.json").write_text("{", encoding="utf-8")
    assert refused(flag, *target).startswith(f"error: {source / 'config.json'}: not readable as JSON (")
    (source / "config.json").unlink()
    other = tmp_path / "other.json"
    other.write_text(json.dumps(tiny.CONFIG | {"num_hidden_layers": 3}), encoding="utf-8")
    assert "holds 1 encoder layers, but the model configuration has 3" in refused(
        flag, *target, f"--bert_config_file={other}"
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("to", ["huggingface", "tensorflow"])
def test_a_disk_without_room_leaves_nothing(tiny_model, tmp_path, refused, to):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        line = refused(f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'new'}", f"--format={to}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line.startswith(f"error: {tmp_path / 'new'}: cannot be written (")
    assert "File too large" in line
    assert line.endswith("); free disk space or check permissions")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tiny_model, refused):
    assert refused(f"--init_checkpoint={tiny_model}", "--output_dir=/proc/new", "--format=tensorflow") == (
        "error: /proc/new: cannot be written (No such file or directory); free disk space or check permissions"
    )


def test_what_reads_back_differently_is_not_kept(tiny_model, tmp_path, refused, monkeypatch):
    write = conversion.write_safetensors

    def damaging(tensors, path, *further):
        write(tensors, path, *further)
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)

    monkeypatch.setattr(conversion, "write_safetensors", damaging)
    line = refused(f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'new'}", "--format=huggingface")
    assert line.startswith(f"error: {tmp_path / 'new'}: ")
    assert "read back with other values than were written; nothing is kept; check the disk" in line
    assert list(tmp_path.iterdir()) == []
