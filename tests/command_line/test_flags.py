"""Declared flags: each once, each with a scope; absl's conventions; help."""

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from command_line.flags import help as help_text
from command_line.flags.declaration import Flag, FlagSet, Group, Scope, default_of
from command_line.flags.parsing import parse
from command_line.reference import SCRIPTS
from common.errors import FlagError
from estimator.config import DeviceSettings, TrainingSettings
from modeling.settings import ModelSettings
from processors.choices.featurizer import JoiningSettings
from processors.pretraining.instances import InstanceSettings
from processors.pretraining.masking import MaskingSettings
from processors.tables.spec import TableFormat, TableSpec
from tasks.choices.task import ChoiceSettings
from tasks.classification.task import LossSettings
from tasks.pretraining.task import PretrainingSettings
from tasks.span.ranking import DecodingSettings
from tasks.span.task import SpanSettings

ROOT = Path(__file__).resolve().parents[2]

NOT_FLAGS = {
    ModelSettings: {
        "bert_config": "read from --bert_config_file",
        "reading": "--pooling, --concat_layers, --layer_mix, --head_layers and those beside them",
        "insertions": "parsed from --adapter_size or --lora_rank and those beside them",
        "is_cut": "--num_layers_used",
        "cached_as": "--cache_features",
        "added_rows": "told by --extra_tokens",
        "label_places": "told by the labels of the run and of its first weights",
        "base_fingerprint": "computed of what --init_checkpoint names",
    },
    TrainingSettings: {"frozen": "parsed from --freeze"},
    DeviceSettings: {"tpu_estimator_on_cpu": "checks the graph of a TPU without one"},
    LossSettings: {},
    SpanSettings: {"decoding": "settings of their own", "skip_bad_questions": "--on_bad_row=skip"},
    DecodingSettings: {},
    PretrainingSettings: {"next_sentence": "told by the records", "packed": "told by the records"},
    InstanceSettings: {"masking": "settings of their own", "next_sentence": "--no_nsp"},
    MaskingSettings: {},
    JoiningSettings: {},
    ChoiceSettings: {"joining": "settings of their own", "has_context": "--context", "has_question": "--question"},
    TableFormat: {},
    TableSpec: {
        "columns": "--text_a, --text_b, --label",
        "format": "settings of their own",
        "splits": "--train_file, --dev_file, --test_file",
        "rename": "declared tables only",
    },
}
"""Settings dataclasses, and their fields that are no flag, each with the reason."""

ONE = FlagSet(
    (
        Group(
            "Some",
            (
                Flag("count", int, 3, "How many.", Scope.FREE, minimum=1, is_main=True),
                Flag("folder", str, None, "Where.", Scope.FREE, is_path=True),
                Flag("way", ("up", "down"), "up", "Which.", Scope.FIXED),
                Flag("fast", bool, True, "Whether.", Scope.REMEMBERED),
            ),
        ),
    )
)


RUNTIME = {
    "use_tpu": False, "tpu_name": None, "tpu_zone": None, "gcp_project": None, "master": None, "num_tpu_cores": 8,
    "iterations_per_loop": 1000, "save_checkpoints_steps": 1000, "init_checkpoint": None, "do_train": False,
    "train_batch_size": 32, "learning_rate": 5e-5, "vocab_file": None, "bert_config_file": None, "output_dir": None,
    "do_lower_case": True,
}  # fmt: skip
FINE_TUNING = RUNTIME | {
    "do_predict": False, "predict_batch_size": 8, "num_train_epochs": 3.0, "warmup_proportion": 0.1
}  # fmt: skip
UPSTREAM = {
    "run_classifier": FINE_TUNING
    | {"data_dir": None, "task_name": None, "max_seq_length": 128, "do_eval": False, "eval_batch_size": 8},
    "run_squad": FINE_TUNING
    | {
        "train_file": None, "predict_file": None, "max_seq_length": 384, "doc_stride": 128, "max_query_length": 64,
        "n_best_size": 20, "max_answer_length": 30, "verbose_logging": False, "version_2_with_negative": False,
        "null_score_diff_threshold": 0.0,
    },
    "run_pretraining": RUNTIME
    | {
        "input_file": None, "max_seq_length": 128, "max_predictions_per_seq": 20, "do_eval": False,
        "eval_batch_size": 8, "num_train_steps": 100000, "num_warmup_steps": 10000, "max_eval_steps": 100,
    },
    "create_pretraining_data": {
        "input_file": None, "output_file": None, "vocab_file": None, "do_lower_case": True, "do_whole_word_mask": False,
        "max_seq_length": 128, "max_predictions_per_seq": 20, "random_seed": 12345, "dupe_factor": 10,
        "masked_lm_prob": 0.15, "short_seq_prob": 0.1,
    },
    "extract_features": {
        "input_file": None, "output_file": None, "vocab_file": None, "bert_config_file": None, "init_checkpoint": None,
        "layers": "-1,-2,-3,-4", "max_seq_length": 128, "do_lower_case": True, "batch_size": 32, "use_tpu": False,
        "master": None, "num_tpu_cores": 8, "use_one_hot_embeddings": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("script", UPSTREAM)
def test_upstreams_flags_have_upstreams_defaults(script):
    declared = {flag.name: flag.default for flag in SCRIPTS[script].flags}
    assert {name: declared[name] for name in UPSTREAM[script]} == UPSTREAM[script]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_flag_has_a_scope_and_a_sentence(script):
    for flag in SCRIPTS[script].flags:
        assert isinstance(flag.scope, Scope), flag.name
        assert flag.help.endswith("."), flag.name
        assert flag.default is None or isinstance(flag.default, (str,) if isinstance(flag.type, tuple) else flag.type)


def test_every_flag_is_declared_once():
    """Scripts share declarations; they may change default or help, never declare a name again."""
    declared = []
    for path in (ROOT / "command_line" / "flags").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Flag":
                declared += [ast.literal_eval(node.args[0])] if isinstance(node.args[0], ast.Constant) else []
    twice = {name for name in declared if declared.count(name) > 1}
    assert not twice


@pytest.mark.parametrize("settings", NOT_FLAGS, ids=lambda settings: settings.__name__)
def test_every_setting_is_a_flag_of_the_same_default(settings):
    flags = {flag.name: flag for script in SCRIPTS.values() for flag in script.flags}
    fields = {field.name for field in dataclasses.fields(settings)}
    assert not set(NOT_FLAGS[settings]) - fields
    names = {"pad": "pad_records", "seed": "seed", "sentence_order": "do_sop"}
    for name in fields - set(NOT_FLAGS[settings]):
        assert names.get(name, name) in flags, f"{settings.__name__}.{name} has no flag"


def test_a_repeated_name_is_refused():
    group = ONE.groups[0]
    with pytest.raises(ValueError, match="declared twice: count"):
        FlagSet((group, group.only("count")))
    with pytest.raises(ValueError, match="has no flag 'speed'"):
        group.only("speed")
    with pytest.raises(ValueError, match=r"SpanSettings\.decoding has no default"):
        default_of(SpanSettings, "decoding")


def test_absl_conventions(tmp_path):
    file = tmp_path / "flags.txt"
    file.write_text("--count=5\n--nofast\n")
    values = parse(["script", f"--flagfile={file}", "--way=down"], ONE)
    assert (values.count, values.fast, values.way, values.folder) == (5, False, "down", None)
    assert values.given == {"count", "fast", "way"}
    assert parse(["script", "-count", "7"], ONE).count == 7


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--count=0", "flag --count=0: 0 is not a positive integer"),
        ("--count=x", "flag --count=x: invalid literal"),
        ("--way=left", "flag --way=left: value should be one of <up|down>"),
        ("--speed=1", "Unknown command line flag 'speed'"),
        ("left", "unexpected argument 'left'; expected flags only, as in --flag=value"),
    ],
)
def test_unusable_arguments(argument, message):
    with pytest.raises(FlagError) as refused:
        parse(["script", argument], ONE)
    assert message.lower() in str(refused.value).lower()


def test_home_is_expanded_in_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    assert parse(["script", "--folder=~/runs"], ONE).folder == "/home/ada/runs"
    assert parse(["script", "--folder=~/a*,b~,~/c"], ONE).folder == "/home/ada/a*,b~,/home/ada/c"


def test_help_shows_the_main_flags_and_how_to_see_all():
    main = help_text.text("--help", "Does it.", ONE)
    assert "--count=N" in main
    assert "Default: 3." in main
    assert "--folder" not in main
    assert "3 more flags: --helpfull" in main
    full = help_text.text("--helpfull", "Does it.", ONE)
    assert "--folder=PATH" in full
    assert "--way=up|down" in full
    assert "--fast (or --nofast)" in full
    assert "--count" in help_text.text("--helpshort", "Does it.", ONE)


@pytest.mark.parametrize("flag", ["--help", "--helpfull", "--helpshort"])
def test_help_of_a_script(run_script, flag):
    import run_classifier

    code, out, err = run_script(run_classifier.main, flag)
    assert (code, err) == (0, "")
    assert "Fine-tune, evaluate, predict and export a text classifier." in out
    assert ("--tpu_zone" in out) == (flag == "--helpfull")


def test_a_script_defines_nothing_on_the_global_flags():
    code = "import run_classifier, run_squad\nfrom absl import flags\nassert 'output_dir' not in flags.FLAGS\n"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
