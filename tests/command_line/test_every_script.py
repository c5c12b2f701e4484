"""Every script on every family: what runs, what is refused and why; `docs/families.md` has this table."""

import json
import shutil
from pathlib import Path

import pytest

import create_pretraining_data
import extract_features
import run_classifier
import run_multiple_choice
import run_ner
import run_pretraining
import run_seq2seq
import run_squad
from common.run_directory import RunDirectory
from modeling.families import registry
from serving.predictor import Predictor
from tests.support import tiny, tiny_choices, tiny_sentences

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "families"
FAMILIES = {family.model_type: family for family in registry.FAMILIES}
ALL = ["--do_train", "--do_eval", "--do_predict", "--do_export"]
SHORT = ["--max_seq_length=14", "--train_batch_size=4"]
ONE_EPOCH = [*SHORT, "--num_train_epochs=0.5"]

GUESSES, PAIRS = "cls/predictions/output_bias", "cls/seq_relationship/output_weights"


def refusals(family):
    """Why a family is refused, by script."""
    found = {}
    if family.tokenizer != "wordpiece":
        found["run_seq2seq"] = "writes with WordPiece vocabularies"
    if PAIRS in family.lacks:
        found["run_pretraining with pairs"] = family.lacks[PAIRS]
    if GUESSES in family.lacks:
        found |= dict.fromkeys(("run_pretraining", "run_pretraining with pairs"), family.lacks[GUESSES])
    return found


REFUSED = {(script, name): why for name, family in FAMILIES.items() for script, why in refusals(family).items()}
"""What a script refuses a family for; all other combinations run."""


def folder_of(family, head, folder):
    shutil.copytree(DATA / family.model_type / f"{family.title}{head}", folder)
    names = {"byte_bpe": ("vocab.json", "merges.txt"), "sentencepiece": ("spiece.model",)}.get(family.tokenizer, ())
    for name in names:
        shutil.copy(DATA / family.model_type / "tokenizer" / name, folder / name)
    if not names:
        (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tiny.TOKENS), encoding="utf-8")
    return folder, names[0] if names else "vocab.txt"


def classify(family, folder):
    data = tiny.write_table(folder / "data", train=16, dev=8, test=4)
    flags = ["--task_name=table", "--text_a=text", "--label=label", f"--data_dir={data}", *ONE_EPOCH, *ALL]
    return run_classifier, flags, {"text_a": "the film was good"}


def tag(family, folder):
    flags = [f"--data_dir={tiny_sentences.write_splits(folder / 'data')}", *ONE_EPOCH, *ALL]
    return run_ner, flags, {"text": "the film was good"}


def choose(family, folder):
    for seed, (name, count) in enumerate({"train": 8, "dev": 4, "test": 4}.items()):
        tiny_choices.write_rows(folder / "data" / f"{name}.csv", tiny_choices.questions(seed, count))
    flags = [f"--data_dir={folder / 'data'}", *tiny_choices.FLAGS, *ONE_EPOCH, *ALL]
    return run_multiple_choice, flags, {"context": "a day", "question": "the film was", "choices": ["good", "bad"]}


def answer(family, folder):
    context = "the film was good, and the food was very bad here"
    question = {"id": "q", "question": "was the film", "answers": [{"text": "good", "answer_start": 13}]}
    paragraph = {"context": context, "qas": [question | {"id": f"q{number}"} for number in range(4)]}
    path = folder / "questions.json"
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [paragraph]}]}))
    lengths = ["--doc_stride=3", "--max_query_length=4"]
    flags = [f"--train_file={path}", f"--predict_file={path}", *lengths, *ONE_EPOCH, *ALL]
    return run_squad, flags, {"question": "was the film", "context": context}


def write(family, folder):
    (folder / "data").mkdir()
    for name in ("train", "dev", "test"):
        (folder / "data" / f"{name}.tsv").write_text("source\ttarget\n" + "the film\tgood\na day\tfine\n" * 4)
    lengths = ["--max_seq_length=8", "--max_target_length=4", "--train_batch_size=4", "--num_train_epochs=0.5"]
    flags = [f"--data_dir={folder / 'data'}", "--source=source", "--target=target", *lengths, *ALL]
    return run_seq2seq, flags, {"source": "the film"}


def pretrain(family, folder, pairs=False):
    text = folder / "texts.txt"
    text.write_text(f"the film was {family.special_tokens.mask} here\n")
    lengths = ["--max_seq_length=14", "--max_predictions_per_seq=3"]
    (folder / "corpus.txt").write_text("a day\nfine food\n\nit was\nthe food\n\nhere\nvery good\n" * 2)
    records = [f"--input_file={folder / 'corpus.txt'}", f"--output_file={folder / 'rows'}", "--dupe_factor=1"]
    vocabulary = f"--vocab_file={folder / 'model' / folder_vocabulary(folder)}"
    create_pretraining_data.main(["script", *records, *lengths, vocabulary, *([] if pairs else ["--no_nsp"])])
    steps = ["--num_train_steps=1", "--num_warmup_steps=1", "--max_eval_steps=1", "--train_batch_size=2"]
    flags = [f"--input_file={folder / 'rows'}", f"--predict_file={text}", *lengths, *steps, *ALL]
    return run_pretraining, flags, {"text": text.read_text().strip()}


def pretrain_with_pairs(family, folder):
    return pretrain(family, folder, pairs=True)


def folder_vocabulary(folder):
    names = ("vocab.txt", "spiece.model", "vocab.json")
    return next(name for name in names if (folder / "model" / name).is_file())


def extract(family, folder):
    (folder / "texts.txt").write_text("the film was good\nfine food ||| it was\n")
    output = f"--output_file={folder / 'vectors.jsonl'}"
    return (
        extract_features,
        [f"--input_file={folder / 'texts.txt'}", output, "--max_seq_length=12", "--layers=-1"],
        None,
    )


CASES = {
    "run_classifier": (classify, "ForSequenceClassification"),
    "run_ner": (tag, "ForTokenClassification"),
    "run_multiple_choice": (choose, "ForMultipleChoice"),
    "run_squad": (answer, "ForQuestionAnswering"),
    "run_seq2seq": (write, "ForSequenceClassification"),
    "run_pretraining": (pretrain, "ForMaskedLM"),
    "run_pretraining with pairs": (pretrain_with_pairs, "ForMaskedLM"),
    "extract_features": (extract, "ForSequenceClassification"),
}
QUICK = {("run_seq2seq", "albert"), ("run_seq2seq", "roberta")}
"""Refused before anything is computed; every other combination is a slow trial."""


@pytest.mark.parametrize(
    ("script", "name"),
    [
        pytest.param(script, name, marks=[] if (script, name) in QUICK else pytest.mark.slow)
        for script in CASES
        for name in FAMILIES
    ],
)
def test_a_script_runs_on_a_family(script, name, tmp_path, run_script):
    family, (case, head) = FAMILIES[name], CASES[script]
    if not (DATA / name / f"{family.title}{head}").is_dir():  # a head that the family has not
        head = "ForSequenceClassification"
    model, _ = folder_of(family, head, tmp_path / "model")
    module, flags, row = case(family, tmp_path)
    run = tmp_path / "run"
    outputs = [f"--output_dir={run}"] if row else []
    code, _, err = run_script(module.main, f"--init_checkpoint={model}", *outputs, *flags)
    reason = REFUSED.get((script, name))
    if reason is not None:
        assert (code, err.count("error: ")) == (2, 1), err
        assert reason in err.splitlines()[-1]
        assert not run.exists()
        return
    assert code == 0, err
    if row is None:
        assert len((tmp_path / "vectors.jsonl").read_text().splitlines()) == 2
        return
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        (answer,) = predictor.answer([row])
    assert answer


def table():
    lines = [
        "| | " + " | ".join(family.title for family in FAMILIES.values()) + " |",
        "| --- |" + " --- |" * len(FAMILIES),
    ]
    for script in CASES:
        cells = ["no" if (script, name) in REFUSED else "yes" for name in FAMILIES]
        lines.append(f"| `{script.replace(' with', '.py` with', 1)} |" if " " in script else f"| `{script}.py` |")
        lines[-1] += " " + " | ".join(cells) + " |"
    return lines


def test_the_document_has_the_table():
    text = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in text
