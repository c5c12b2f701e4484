"""Every family through the scripts: trained, evaluated, predicted, exported, converted there and back."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import convert_checkpoint
import create_pretraining_data
import extract_features
import run_classifier
import run_ner
import run_pretraining
import run_squad
from common.run_directory import RunDirectory
from modeling.config import BertConfig
from modeling.families import registry
from processors.squad.examples import SquadReader
from processors.squad.windows import SpanFeaturizer
from serving.predictor import Predictor
from tests.support import tiny, tiny_sentences
from tests.support.families import DATA, model_folder
from tokenization.kinds import KINDS, Asked

FAMILIES = registry.FAMILIES
ELECTRA, ROBERTA, ALBERT = FAMILIES[2:5]
OTHER_HEADS = ("ForQuestionAnswering", "ForMaskedLM", "ForMultipleChoice")
TABLE = ["--task_name=table", "--text_a=text", "--label=label", "--max_seq_length=12", "--train_batch_size=8"]


def each(families, *quick):
    """A test of each family; of those that are not among the quick ones it is slow."""
    return pytest.mark.parametrize(
        "family",
        [pytest.param(one, marks=[] if one in quick else pytest.mark.slow, id=one.model_type) for one in families],
    )


@each(FAMILIES, ROBERTA)
def test_a_classifier_is_trained_and_exported(family, tmp_path, run_script):
    source = model_folder(family, tmp_path / "model", "ForSequenceClassification")
    data = tiny.write_table(tmp_path / "data", train=16, dev=8, test=4)
    run = tmp_path / "run"
    code, _, err = run_script(
        run_classifier.main, *TABLE, f"--data_dir={data}", f"--init_checkpoint={source}", f"--output_dir={run}",
        "--num_train_epochs=1", "--do_train", "--do_eval", "--do_predict", "--do_export",
    )  # fmt: skip
    assert code == 0, err
    assert "new, as the shape differs: output_weights, output_bias" in err
    assert len((run / "test_results.tsv").read_text().splitlines()) == 4
    assert BertConfig.from_json_file(run / "bert_config.json").model_type == family.model_type
    assert (run / "export").is_dir() == ("no text signature is exported" not in err) == (family is not ROBERTA)
    with (run / "predictions.jsonl").open() as lines:
        rows = [json.loads(line) for line in lines]
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        answers = predictor.answer([{"text_a": row["text_a"]} for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert answer["label"] == row["label"]
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-5)
    code, _, err = run_script(run_classifier.main, *TABLE, f"--data_dir={data}", f"--output_dir={run}", "--do_eval")
    assert code == 0, err


@each(FAMILIES)
def test_words_are_tagged_and_the_export_tags_them_alike(family, tmp_path, run_script):
    source = model_folder(family, tmp_path / "model", "ForSequenceClassification")
    data, run = tiny_sentences.write_splits(tmp_path / "data"), tmp_path / "run"
    code, _, err = run_script(
        run_ner.main, f"--data_dir={data}", f"--init_checkpoint={source}", f"--output_dir={run}", "--use_crf",
        "--max_seq_length=12", "--num_train_epochs=1", "--do_train", "--do_eval", "--do_predict", "--do_export",
    )  # fmt: skip
    assert code == 0, err
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        answers = predictor.answer([{"text": row["text"]} for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        assert [answer[name] for name in ("tokens", "tags")] == [row[name] for name in ("tokens", "tags")]
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-4)


def write_questions(path: Path) -> Path:
    """Questions whose answers are a word, a word without the comma behind it, and several words."""
    context = "the film was good, and the food was very bad here. it was a superb day"
    answers = {"was the film": "good", "the food": "very bad", "a day": "superb"}
    questions = [
        {"id": f"q{number}", "question": question, "answers": [{"text": text, "answer_start": context.index(text)}]}
        for number, (question, text) in enumerate(answers.items())
    ]
    paragraph = {"context": context, "qas": questions}
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [paragraph]}]}))
    return path


@each(FAMILIES)
def test_questions_are_answered_and_exported(family, tmp_path, run_script):
    source = model_folder(family, tmp_path / "model", "ForQuestionAnswering")
    file, run = write_questions(tmp_path / "questions.json"), tmp_path / "run"
    code, _, err = run_script(
        run_squad.main, f"--init_checkpoint={source}", f"--train_file={file}", f"--predict_file={file}",
        f"--output_dir={run}", "--max_seq_length=14", "--doc_stride=3", "--max_query_length=4", "--train_batch_size=4",
        "--num_train_epochs=1", "--do_train", "--do_predict", "--do_eval", "--do_export",
    )  # fmt: skip
    assert code == 0, err
    (paragraph,) = json.loads(file.read_text())["data"][0]["paragraphs"]
    context = paragraph["context"]
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        found = predictor.answer([{"question": one["question"], "context": context} for one in paragraph["qas"]])
    expected = json.loads((run / "predictions.json").read_text())
    assert [one["answer"] for one in found] == [expected[one["id"]] for one in paragraph["qas"]]
    assert all(one["answer"] and context[one["start"] : one["end"]] == one["answer"] for one in found)


@each(FAMILIES, *FAMILIES)
def test_answers_to_learn_are_found_in_the_tokens(family, tmp_path):
    source = model_folder(family, tmp_path / "model", "ForQuestionAnswering")
    kind = KINDS[family.tokenizer]
    vocab_file = next(source / name for name in kind.names if (source / name).is_file())
    tokenizer = kind.load(vocab_file, Asked(), family.special_tokens)
    featurizer = SpanFeaturizer(tokenizer, 100, 50, 20)
    examples = list(SquadReader(write_questions(tmp_path / "questions.json"), learns=True, is_training=True))
    for example, (window,) in zip(examples, featurizer.featurize(examples), strict=True):
        ids = window["input_ids"][window["start_positions"] : window["end_positions"] + 1]
        assert tokenizer.text(tokenizer.convert_ids_to_tokens(ids)) == example.orig_answer_text


@each(FAMILIES, ALBERT)
def test_convert_there_and_back(family, tmp_path, run_script):
    for head in ("ForSequenceClassification", "ForTokenClassification", *OTHER_HEADS):
        if not (DATA / family.model_type / f"{family.title}{head}").is_dir():
            continue
        source = model_folder(family, tmp_path / head, head)
        for before, after, target in (
            (source, f"{head}-tf", "tensorflow"),
            (tmp_path / f"{head}-tf", f"{head}-hf", "huggingface"),
        ):
            code, out, err = run_script(
                convert_checkpoint.main, f"--init_checkpoint={before}", f"--output_dir={tmp_path / after}",
                f"--format={target}",
                # A TensorFlow folder has the same variables as one with a score.
                *(["--problem_type=multiple_choice"] if head == "ForMultipleChoice" and before != source else []),
            )  # fmt: skip
            assert code == 0, err
            assert "no counterpart" not in out
        given, found = (load_file(folder / "model.safetensors") for folder in (source, tmp_path / f"{head}-hf"))
        assert given.keys() == found.keys()
        assert all(np.array_equal(given[name], found[name]) for name in given)
        configs = [BertConfig.from_json_file(folder / "config.json") for folder in (source, tmp_path / f"{head}-hf")]
        assert configs[0] == configs[1]
        written = json.loads((tmp_path / f"{head}-hf" / "config.json").read_text())
        assert written["architectures"] == [f"{family.title}{head}"]
        stated = json.loads((source / "config.json").read_text()).get("id2label")
        assert stated is None or written["id2label"] == stated


@each(FAMILIES)
def test_vectors_are_extracted(family, tmp_path, run_script):
    source = model_folder(family, tmp_path / "model", "ForQuestionAnswering")
    (tmp_path / "texts.txt").write_text("the film was good\nfine food ||| it was\n")
    code, _, err = run_script(
        extract_features.main, f"--init_checkpoint={source}", f"--input_file={tmp_path / 'texts.txt'}",
        f"--output_file={tmp_path / 'vectors.jsonl'}", "--max_seq_length=12", "--layers=-1",
    )  # fmt: skip
    assert code == 0, err
    first = json.loads((tmp_path / "vectors.jsonl").read_text().splitlines()[0])
    assert first["features"][0]["token"] == family.special_tokens.cls
    if family.tokenizer == "wordpiece":  # newer folders have no vocab.txt
        (source / "vocab.txt").unlink()
        tiny.write_tokenizer_json(source / "tokenizer.json")
        code, _, err = run_script(
            extract_features.main, f"--init_checkpoint={source}", f"--input_file={tmp_path / 'texts.txt'}",
            f"--output_file={tmp_path / 'others.jsonl'}", "--max_seq_length=12", "--layers=-1",
        )  # fmt: skip
        assert code == 0, err
        assert (tmp_path / "others.jsonl").read_bytes() == (tmp_path / "vectors.jsonl").read_bytes()


GUESSING = [one for one in FAMILIES if "cls/predictions/output_bias" not in one.lacks]
WITHOUT_PAIRS = [one for one in GUESSING if "cls/seq_relationship/output_weights" in one.lacks]


def write_corpus(path: Path) -> Path:
    sentences = ["a day", "fine", "it was", "here", "the food"]
    documents = ["".join(f"{sentences[(first + step) % 5]}\n" for step in range(2 + first)) for first in range(5)]
    path.write_text("\n".join(documents))
    return path


@each(GUESSING)
def test_masked_language_models_are_pretrained_and_fill_masks(family, tmp_path, run_script):
    source = model_folder(family, tmp_path / "model", "ForMaskedLM")
    kind, lengths = KINDS[family.tokenizer], ["--max_seq_length=14", "--max_predictions_per_seq=3"]
    vocab_file = next(source / name for name in kind.names if (source / name).is_file())
    code, _, err = run_script(
        create_pretraining_data.main, f"--input_file={write_corpus(tmp_path / 'corpus.txt')}", *lengths,
        f"--output_file={tmp_path / 'rows'}", f"--vocab_file={vocab_file}", "--dupe_factor=1",
        "--no_nsp" if family in WITHOUT_PAIRS else "--do_sop",
    )  # fmt: skip
    assert code == 0, err
    special = family.special_tokens
    assert padding(tmp_path / "rows") == {special.pad_id}
    text, run = tmp_path / "texts.txt", tmp_path / "run"
    text.write_text(f"the film was {special.mask} here\n{special.mask} food\n")
    code, _, err = run_script(
        run_pretraining.main, f"--init_checkpoint={source}", f"--input_file={tmp_path / 'rows'}", *lengths,
        f"--output_dir={run}", "--train_batch_size=4", "--num_train_steps=2", "--num_warmup_steps=1", "--do_train",
        "--do_predict", f"--predict_file={text}", "--do_export", "--top_k=3",
    )  # fmt: skip
    assert code == 0, err
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    with Predictor(RunDirectory(run).latest_export()) as predictor:
        answers = predictor.answer([{"text": line} for line in text.read_text().splitlines()])
    assert [len(answer["masks"]) for answer in answers] == [1, 1]
    for row, answer in zip(rows, answers, strict=True):
        for mine, theirs in zip(answer["masks"][0], row["masks"][0], strict=True):
            assert mine["piece"] == theirs["piece"]
            assert mine["probability"] == pytest.approx(theirs["probability"], rel=1e-4)


def test_records_with_pairs_are_refused_where_the_family_has_no_head_for_them(tmp_path, run_script):
    source = model_folder(ROBERTA, tmp_path / "model", "ForMaskedLM")
    lengths = ["--max_seq_length=14", "--max_predictions_per_seq=3"]
    arguments = [f"--input_file={write_corpus(tmp_path / 'corpus.txt')}", f"--vocab_file={source / 'vocab.json'}"]
    code, _, err = run_script(
        create_pretraining_data.main, *arguments, *lengths, f"--output_file={tmp_path / 'rows'}", "--dupe_factor=1"
    )
    assert code == 0, err
    code, _, err = run_script(
        run_pretraining.main, f"--init_checkpoint={source}", f"--input_file={tmp_path / 'rows'}", *lengths,
        f"--output_dir={tmp_path / 'run'}", "--do_train",
    )  # fmt: skip
    assert code == 2
    assert "records with next sentences, but Roberta has no head for them: it was trained without next sentences" in err
    code, _, err = run_script(
        create_pretraining_data.main, *arguments, f"--output_file={tmp_path / 'others'}", "--do_sop", "--no_nsp"
    )
    assert code == 2
    assert "--do_sop makes pairs, and --no_nsp none; leave one of them out" in err


def padding(path: Path) -> set[int]:
    """Ids of what the masks of records leave out."""
    import tensorflow as tf

    found: set[int] = set()
    for record in tf.data.TFRecordDataset(str(path)):
        fields = tf.train.Example.FromString(record.numpy()).features.feature
        ids, mask = (fields[name].int64_list.value for name in ("input_ids", "input_mask"))
        found |= {index for index, is_real in zip(ids, mask, strict=True) if not is_real}
    return found


def test_pretraining_is_refused_where_the_family_lacks_a_head(tmp_path, run_script):
    source = model_folder(ELECTRA, tmp_path / "model", "ForQuestionAnswering")
    (tmp_path / "texts.txt").write_text("the [MASK] was good\n")
    code, _, err = run_script(
        run_pretraining.main, f"--init_checkpoint={source}", f"--output_dir={tmp_path / 'run'}", "--max_seq_length=12",
        f"--predict_file={tmp_path / 'texts.txt'}", "--do_predict",
    )  # fmt: skip
    assert code == 2
    assert "Electra has no masked-language head: its discriminator tells replaced tokens and predicts none" in err
