"""Adapters in the files of peft and of adapters: both ways, against the libraries themselves where they are."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import convert_checkpoint
import run_classifier
from common.errors import CheckpointError
from modeling.checkpoints import adapter_hub, inserted_files
from modeling.config import BertConfig
from modeling.insertions import Adapters
from tests.command_line.test_run_classifier import TABLE, TRAINING
from tests.support import peers, tiny

TRAINED = {
    "peft": ["--lora_rank=2", "--lora_alpha=3", "--lora_targets=query,value,output"],
    "adapters": ["--adapter_size=4", "--noadapter_layer_norms"],
    "pfeiffer": ["--adapter_size=4", "--adapter=pfeiffer"],
}
FORMAT = {"peft": "peft", "adapters": "adapters", "pfeiffer": "adapters"}

PEER = """
import json, sys
import torch
from transformers import AutoTokenizer, BertForSequenceClassification
base, folder, texts, out = sys.argv[1:]
model = BertForSequenceClassification.from_pretrained(base, num_labels=2)
if {peft}:
    from peft import PeftModel
    model = PeftModel.from_pretrained(model, folder)
else:
    import adapters
    adapters.init(model)
    model.load_adapter(folder, set_active=True, use_safetensors=True)
model.eval()
texts = [json.loads(line)["text_a"] for line in open(texts)]
tokens = AutoTokenizer.from_pretrained(base)(texts, padding=True, truncation=True, max_length=24, return_tensors="pt")
with torch.no_grad():
    print(json.dumps(model(**tokens).logits.softmax(-1).tolist()))
if {peft}:
    model.save_pretrained(out)
else:
    model.save_adapter(out, model.active_adapters.first())
"""


@pytest.fixture(scope="module")
def base(two_layers, tmp_path_factory):
    """The tiny model as a folder of Hugging Face."""
    folder = tmp_path_factory.mktemp("base") / "hf"
    convert_checkpoint.main(["x", f"--init_checkpoint={two_layers}", f"--output_dir={folder}", "--format=huggingface"])
    return folder


def trained(folder, base, *given):
    tiny.write_table(folder / "data")
    arguments = [
        *TABLE, *TRAINING, f"--data_dir={folder / 'data'}", "--num_train_epochs=2", f"--init_checkpoint={base}", *given,
    ]  # fmt: skip
    run_classifier.main(["run_classifier.py", *arguments])
    return folder


@pytest.fixture(scope="module")
def runs(base, tmp_path_factory):
    """Trains a run of a kind once, and converts it."""
    made = {}

    def run(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            trained(folder, base, f"--output_dir={folder / 'run'}", "--do_train", "--do_predict", *TRAINED[kind])
            convert_checkpoint.main(
                ["x", f"--init_checkpoint={folder / 'run'}", f"--output_dir={folder / 'files'}",
                 f"--format={FORMAT[kind]}"]
            )  # fmt: skip
            made[kind] = folder
        return made[kind]

    return run


def probabilities(run):
    lines = (run / "predictions.jsonl").read_text().splitlines()
    return np.array([list(json.loads(line)["probabilities"].values()) for line in lines])


def test_files_have_the_names_that_peft_reads(runs, base):
    folder = runs("peft")
    settings = json.loads((folder / "files" / "adapter_config.json").read_text())
    assert (settings["peft_type"], settings["r"], settings["lora_alpha"]) == ("LORA", 2, 3.0)
    assert (settings["task_type"], settings["modules_to_save"]) == ("SEQ_CLS", ["classifier"])
    assert settings["base_model_name_or_path"] == str(base)
    tensors = load_file(folder / "files" / "adapter_model.safetensors")
    prefix = "base_model.model.bert.encoder.layer.1.attention.self.query"
    assert tensors[f"{prefix}.lora_A.weight"].shape == (2, 16)
    assert tensors[f"{prefix}.lora_B.weight"].shape == (16, 2)
    assert tensors["base_model.model.classifier.weight"].shape == (2, 16)


@pytest.mark.parametrize("kind", ["peft", pytest.param("pfeiffer", marks=pytest.mark.slow)])
def test_a_folder_is_read_as_it_was_trained(kind, runs, base, tmp_path, caplog):
    folder = runs(kind)
    shutil.copytree(folder / "data", tmp_path / "data")
    given = [f"--init_adapter={folder / 'files'}", "--do_predict", f"--output_dir={tmp_path / 'run'}"]
    caplog.set_level("INFO")
    trained(tmp_path, base, *given)
    np.testing.assert_allclose(probabilities(tmp_path / "run"), probabilities(folder / "run"), atol=1e-6)
    # Files of peft name no labels.
    assert ("they are taken in the order of this run: neg, pos" in caplog.text) == (kind == "peft")


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRAINED)
def test_the_library_computes_the_same_both_ways(kind, runs, base, tmp_path):
    module = FORMAT[kind]
    peers.python_with(module)
    folder = runs(kind)
    code = PEER.replace("{peft}", str(module == "peft"))
    printed = peers.run(module, code, base, folder / "files", folder / "run" / "predictions.jsonl", tmp_path / "theirs")
    np.testing.assert_allclose(json.loads(printed.splitlines()[-1]), probabilities(folder / "run"), atol=1e-5)
    given = [f"--init_adapter={tmp_path / 'theirs'}", "--do_predict", f"--output_dir={tmp_path / 'run'}"]
    trained(tmp_path, base, *given)
    np.testing.assert_allclose(probabilities(tmp_path / "run"), probabilities(folder / "run"), atol=1e-5)


@pytest.fixture
def files_with_head(tmp_path):
    """A folder in the format of `adapters` that changes nothing, with a head that always answers its first label."""
    config = BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 2})
    shapes = {"weights1": [16, 4], "biases1": [1, 4], "weights2": [4, 16], "biases2": [1, 16]}
    values = {
        f"bert/encoder/layer_{layer}/output/adapters/{leaf}": np.zeros(shape, np.float32)
        for layer in (0, 1)
        for leaf, shape in shapes.items()
    }
    values |= {"output_weights": np.zeros([2, 16], np.float32), "output_bias": np.array([3, -3], np.float32)}
    names, folder = config.family.hugging_face, tmp_path / "files"
    inserted, head = adapter_hub.tensors_of(values, names, names.heads_of(values, "single_label"))
    folder.mkdir()
    save_file(inserted, folder / adapter_hub.WEIGHTS)
    save_file(head, folder / adapter_hub.HEAD_WEIGHTS)
    adapters = Adapters(4, "pfeiffer", "relu", layer_norms=False)
    settings = adapter_hub.config_of(adapters, config, "BertForSequenceClassification")
    (folder / adapter_hub.CONFIG).write_text(json.dumps(settings))
    settings = adapter_hub.head_config_of(config, "BertForSequenceClassification", ["neg", "pos"])
    (folder / adapter_hub.HEAD_CONFIG).write_text(json.dumps(settings))
    return folder


LABELS = {
    "neg,pos": ("neg", "--init_adapter: restored"),
    "pos,neg": ("neg", "has the labels in another order (neg, pos); they are matched by name"),
    "cat,dog": ("cat", "its output layer was trained for the labels neg, pos and goes on as one for cat, dog, in this"),
}


@pytest.mark.parametrize("labels", LABELS)
def test_labels_of_a_head_are_matched_by_name(labels, files_with_head, base, tmp_path, run_script):
    (tmp_path / "test.tsv").write_text("text\nthe film was good\n")
    given = [
        *TABLE, "--max_seq_length=24", f"--data_dir={tmp_path}", f"--init_checkpoint={base}", f"--labels={labels}",
        f"--init_adapter={files_with_head}", "--do_predict", f"--output_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    code, _, err = run_script(run_classifier.main, *given)
    assert code == 0, err
    label, told = LABELS[labels]
    assert told in err
    assert "untrained" not in err
    (answer,) = map(json.loads, (tmp_path / "run" / "predictions.jsonl").read_text().splitlines())
    assert answer["label"] == label
    assert answer["probabilities"][label] == pytest.approx(1 / (1 + np.exp(-6)), abs=1e-5)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [({"label2id": {"a": 0, "b": 2}}, "label2id is not a name for each of 0, 1, ..."), (None, "cannot be read (")],
)
def test_labels_that_cannot_be_read_are_named(stated, expected, files_with_head):
    (files_with_head / adapter_hub.HEAD_CONFIG).write_text("{" if stated is None else json.dumps(stated))
    with pytest.raises(CheckpointError) as refused:
        inserted_files.read(files_with_head, BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 2}))
    assert f"head_config.json: {expected}" in str(refused.value)


def test_an_adapter_for_a_trained_run_is_not_read(runs, files_with_head, run_script, tmp_path):
    folder = runs("peft")
    run = shutil.copytree(folder / "run", tmp_path / "run")
    given = [*TABLE, f"--data_dir={folder / 'data'}", f"--output_dir={run}", f"--init_adapter={files_with_head}"]
    code, _, err = run_script(run_classifier.main, *given, "--do_eval")
    assert (code, f"--init_adapter={files_with_head} is not read: {run} is trained, and goes by" in err) == (0, True)


REFUSED = {
    "use_dora": (True, "use_dora is True, which is not computed here"),
    "rank_pattern": ({"query": 4}, "rank_pattern is {'query': 4}, which is not computed here"),
    "peft_type": ("PREFIX_TUNING", "peft_type is 'PREFIX_TUNING'; only LORA is computed here"),
    "bias": ("all", "bias is 'all', which is not computed here"),
    "r": (0, "r is 0"),
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_peft_asks_for_and_is_not_computed_is_named(key, runs, tmp_path):
    files = shutil.copytree(runs("peft") / "files", tmp_path / "files")
    value, expected = REFUSED[key]
    settings = json.loads((files / "adapter_config.json").read_text())
    (files / "adapter_config.json").write_text(json.dumps({**settings, key: value}))
    with pytest.raises(CheckpointError) as refused:
        inserted_files.read(files, BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 2}))
    assert expected in str(refused.value)


def test_a_part_that_would_be_lost_is_named(runs, tmp_path):
    files = shutil.copytree(runs("peft") / "files", tmp_path / "files")
    path = files / "adapter_model.safetensors"
    tensors = load_file(path)
    config = BertConfig.from_dict({**tiny.CONFIG, "num_hidden_layers": 2})
    save_file({**tensors, "base_model.model.other.weight": np.zeros(2, np.float32)}, path)
    with pytest.raises(CheckpointError, match=r"base_model.model.other.weight has no counterpart in Bert"):
        inserted_files.read(files, config)
    fewer = {name: value for name, value in tensors.items() if "layer.1.attention.self.query" not in name}
    save_file(fewer, path)
    with pytest.raises(CheckpointError, match="deltas of query in 1 of 2 layers"):
        inserted_files.read(files, config)
    with pytest.raises(CheckpointError, match="no adapter there"):
        inserted_files.read(tmp_path, config)


def test_flags_and_formats_that_contradict_are_refused(runs, base, run_script, tmp_path):
    folder = runs("peft")
    arguments = [*TABLE, *TRAINING, f"--data_dir={folder / 'data'}", f"--init_checkpoint={base}", "--do_predict"]
    given = [f"--init_adapter={folder / 'files'}", f"--output_dir={tmp_path / 'run'}", "--lora_rank=4"]
    code, _, err = run_script(run_classifier.main, *arguments, *given)
    assert (code, "--lora_rank=4 contradicts --init_adapter=" in err) == (2, True)
    files = [f"--init_checkpoint={folder / 'run'}", f"--output_dir={tmp_path / 'files'}", "--format=adapters"]
    code, _, err = run_script(convert_checkpoint.main, *files)
    assert (code, "--format=adapters holds what --adapter_size trains" in err) == (2, True)
    files[0] = f"--init_checkpoint={base}"
    code, _, err = run_script(convert_checkpoint.main, *files)
    assert (code, "the whole encoder was trained" in err) == (2, True)
    assert not (tmp_path / "files").exists()
