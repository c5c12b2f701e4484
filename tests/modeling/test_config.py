"""BertConfig: both file formats, and a message for everything that can be wrong in one."""

import json
import subprocess
import sys

import pytest

from common.errors import ConfigError
from modeling.config import BertConfig

GOOGLE = {"vocab_size": 100, "hidden_size": 12, "num_attention_heads": 3, "type_vocab_size": 2}
HUGGING_FACE = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": 100, "hidden_size": 12} | {
    "num_attention_heads": 3,
    "hidden_act": "gelu",
}


def write(folder, content, name="bert_config.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refusal(content):
    with pytest.raises(ConfigError) as excinfo:
        BertConfig.from_dict(content, "bert_config.json")
    message = str(excinfo.value)
    assert "\n" not in message
    return message


def test_constructor_takes_upstream_positions_and_defaults():
    assert BertConfig(30522).to_dict() == {
        "vocab_size": 30522,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512,
        "type_vocab_size": 16,
        "initializer_range": 0.02,
    }
    assert BertConfig(7, 8, 9, 4).num_hidden_layers == 9


def test_file_round_trip(tmp_path):
    config = BertConfig.from_json_file(write(tmp_path, GOOGLE))
    text = config.to_json_string()
    assert text.startswith('{\n  "attention_probs_dropout_prob": 0.1,\n')
    assert BertConfig.from_json_file(write(tmp_path, text, "again.json")) == config


def test_keys_of_the_multilingual_release_have_no_effect():
    extra = {"directionality": "bidi", "pooler_fc_size": 768, "pooler_type": "first_token_transform"}
    assert BertConfig.from_dict(GOOGLE | extra) == BertConfig.from_dict(GOOGLE)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("gelu", "gelu_erf"), ("gelu_new", "gelu"), ("gelu_pytorch_tanh", "gelu"), ("relu", "relu")],
)
def test_hugging_face_gelu_is_the_exact_one(written, meant):
    assert BertConfig.from_dict(HUGGING_FACE | {"hidden_act": written}).hidden_act == meant
    assert BertConfig.from_dict(GOOGLE | {"hidden_act": "gelu"}).hidden_act == "gelu"
    assert BertConfig.from_dict(GOOGLE | {"hidden_act": "gelu_new"}).hidden_act == "gelu"
    assert BertConfig.from_dict(GOOGLE | {"hidden_act": "gelu_erf"}).hidden_act == "gelu_erf"


def test_hugging_face_defaults_and_open_keys():
    config = BertConfig.from_dict(HUGGING_FACE | {"id2label": {"0": "a"}, "classifier_dropout": None, "num_labels": 3})
    assert config.type_vocab_size == 2
    assert BertConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
    ],
)
def test_hugging_face_keys_that_change_numbers_are_refused(key, value):
    message = refusal(HUGGING_FACE | {key: value})
    assert message.startswith(f"bert_config.json: {key} is {value!r}, but this encoder computes ")


def test_an_unknown_family_is_named():
    told = "bert_config.json: model_type is 'gpt2', known: "
    assert refusal(HUGGING_FACE | {"model_type": "gpt2"}).startswith(told)
    with pytest.raises(ValueError) as raised:
        BertConfig(10, model_type="gpt2")
    assert str(raised.value).startswith("BertConfig: model_type is 'gpt2', known: ")


def test_epsilon_of_layer_normalization_is_computed():
    config = BertConfig.from_dict(HUGGING_FACE | {"layer_norm_eps": 1e-5})
    assert config.layer_norm_eps == 1e-5
    assert config.to_dict()["layer_norm_eps"] == 1e-5
    assert BertConfig.from_dict(config.to_dict()) == config


def test_embeddings_of_another_width_are_refused_where_the_family_has_none():
    told = "bert_config.json: embedding_size is 8 and hidden_size 12, but embeddings of Bert are as wide as its layers"
    assert refusal(HUGGING_FACE | {"embedding_size": 8}).startswith(told)
    assert BertConfig.from_dict(GOOGLE | {"embedding_size": 12}).hidden_size == 12


def test_the_dropout_of_a_classifier_is_read_and_null_is_the_default():
    assert BertConfig.from_dict(HUGGING_FACE | {"classifier_dropout": 0.3}).classifier_dropout == 0.3
    assert BertConfig.from_dict(HUGGING_FACE | {"classifier_dropout": None}).classifier_dropout == 0.1


def test_the_width_is_checked_when_the_graph_is_built():
    config = BertConfig(99, hidden_size=37)
    assert json.loads(config.to_json_string())["hidden_size"] == 37
    with pytest.raises(ValueError) as raised:
        config.check_heads("bert_config.json")
    assert str(raised.value) == (
        "bert_config.json: hidden_size 37 is not a multiple of num_attention_heads 12; every head needs the same width"
    )


def test_an_activation_may_be_a_function():
    assert BertConfig(9, hidden_act=abs).hidden_act is abs


def test_published_configurations(shared, minilm):
    folder = shared / "data" / "checkpoints"
    toy = BertConfig.from_json_file(folder / "tf1-keras-bert-toy" / "bert_config.json")
    assert (toy.hidden_size, toy.hidden_act) == (4, "gelu")
    tiny = BertConfig.from_json_file(folder / "hf-tiny-bert-safetensors" / "config.json")
    assert (tiny.hidden_size, tiny.hidden_act) == (32, "gelu_erf")
    real = BertConfig.from_json_file(minilm / "config.json")
    assert (real.num_hidden_layers, real.vocab_size, real.hidden_act) == (6, 30522, "gelu_erf")


def test_unknown_keys_are_attributes_with_a_warning(caplog):
    config = BertConfig.from_dict(GOOGLE | {"hiden_size": 8, "num_labels": 3}, "bert_config.json")
    assert (config.hiden_size, config.num_labels) == (8, 3)
    assert "hiden_size" not in config.to_dict()
    assert "bert_config.json: unknown keys have no effect: 'hiden_size' (closest 'hidden_size')" in caplog.text
    told = "bert_config.json: unknown key 'hiden_size', closest 'hidden_size', "
    assert refusal(HUGGING_FACE | {"hiden_size": 8}).startswith(told)


@pytest.mark.parametrize("change", [{"use_relative_position": True}, {"num_hidden_groups": 2}])
def test_keys_that_change_the_numbers_are_refused(change):
    (key,) = change
    assert f"{key} is {change[key]!r}, but this encoder computes" in refusal(GOOGLE | change)


def test_heads_are_checked_for_the_graph():
    config = BertConfig.from_dict(GOOGLE | {"num_attention_heads": 5}, "bert_config.json")
    with pytest.raises(ValueError, match="hidden_size 12 is not a multiple of num_attention_heads 5"):
        config.check_heads()


def test_missing_vocab_size():
    assert refusal({"hidden_size": 12}).startswith("bert_config.json: vocab_size is missing")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hidden_size": "12"}, "hidden_size is '12', expected a whole number of at least 1"),
        ({"hidden_size": 0}, "hidden_size is 0, expected a whole number of at least 1"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True, expected a whole number"),
        ({"vocab_size": None}, "vocab_size is None, expected a whole number"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob is 1.0, expected a number from 0 to below 1"),
        ({"initializer_range": "small"}, "initializer_range is 'small', expected a number"),
        ({"hidden_act": "swish"}, "hidden_act is 'swish', expected one of gelu, gelu_accurate, gelu_erf, gelu_fast, "),
        ({"hidden_act": ["gelu"]}, "hidden_act is ['gelu'], expected one of"),
        ({"layer_norm_eps": -1}, "layer_norm_eps is -1, expected a number from 0 to below 1"),
    ],
)
def test_unusable_values(change, told):
    assert refusal(GOOGLE | change).startswith("bert_config.json: " + told)


def test_unusable_hugging_face_activation():
    assert "hidden_act is 'quick_gelu', expected one of gelu, " in refusal(HUGGING_FACE | {"hidden_act": "quick_gelu"})
    assert "hidden_act is ['gelu']" in refusal(HUGGING_FACE | {"hidden_act": ["gelu"]})


def test_unusable_files(tmp_path):
    cases = {
        "missing.json": (None, "cannot read the model configuration"),
        "list.json": ("[1]", "found list, expected one JSON object"),
        "text.json": ('{\n"vocab_size": ,}', "not JSON: Expecting value in line 2"),
        "deep.json": ("[" * 200_000, "not a model configuration: "),
        "long.json": (f'{{"vocab_size": {"9" * 5000}}}', "not a model configuration: Exceeds the limit"),
    }
    for name, (content, told) in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_text(content)
        with pytest.raises(ConfigError) as excinfo:
            BertConfig.from_json_file(path)
        assert str(excinfo.value).startswith(f"{path}: {told}")


def test_vocabulary_must_fit():
    config = BertConfig.from_dict(GOOGLE)
    config.check_vocabulary(100, "vocab.txt")
    with pytest.raises(ConfigError) as excinfo:
        config.check_vocabulary(101, "vocab.txt")
    assert str(excinfo.value).startswith("vocab.txt: 101 entries, but vocab_size of the model configuration is 100;")


def test_configuration_and_search_need_no_tensorflow():
    code = (
        "import sys, modeling; modeling.BertConfig(10); modeling.find_beside('nowhere/model.ckpt'); dir(modeling); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_loads():
    import modeling

    assert [name for name in modeling.__all__ if not hasattr(modeling, name)] == []
    assert not hasattr(modeling, "no_such_name")
