"""Token classification end to end, through the script's own main."""

import io
import json
import shutil
from pathlib import Path

import pytest

import run_ner
from processors.entities.tagged_file import read_sentences
from processors.entities.tags import BIOES, spans_of_tags
from serving.lines import answer_lines
from serving.predictor import Predictor
from tasks import exports
from tests.support import tiny_sentences

ROOT = Path(__file__).resolve().parents[2]
TRAINING = [
    "--max_seq_length=16", "--train_batch_size=8", "--learning_rate=5e-3", "--num_train_epochs=5",
    "--log_every_n_steps=50",
]  # fmt: skip
KINDS = {
    "crf": ("iob2", "{word}\t{tag}", ["--use_crf"]),
    "softmax": (BIOES, "{word} NN {tag}", ["--label_all_tokens", "--window_overlap=6"]),
}


def run(*arguments):
    run_ner.main(["run_ner.py", *arguments])


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module", params=["crf", pytest.param("softmax", marks=pytest.mark.slow)])
def trained(request, tiny_model, tmp_path_factory):
    """One run that does everything: the name of its kind, its data, its output directory."""
    folder = tmp_path_factory.mktemp(f"ner-{request.param}")
    scheme, form, flags = KINDS[request.param]
    data = tiny_sentences.write_splits(folder / "data", scheme, form)
    run(
        f"--data_dir={data}", f"--init_checkpoint={tiny_model}", f"--output_dir={folder / 'run'}", *TRAINING, *flags,
        "--do_train", "--do_eval", "--do_predict", "--do_export",
    )  # fmt: skip
    return request.param, data, folder / "run"


def test_one_run_leaves_scores_tags_and_exports(trained):
    kind, data, folder = trained
    scores = load(folder / "eval_results.json")
    assert scores["eval_f1[bad]"] > 0.9  # one word tells; for the other type, the word before it does, too
    assert scores["eval_accuracy"] > 0.9
    gold = list(read_sentences(data / "dev.conll"))
    counted = scores["eval_entities[bad]"] + scores["eval_entities[good]"]
    assert counted == sum(len(list(spans_of_tags(sentence.tags))) for sentence in gold)
    if kind == "crf":
        assert scores["eval_strict_f1"] == scores["eval_f1"] > 0.8  # the scheme is kept
    assert (folder / "labels.txt").read_text(encoding="utf-8").split() == ["O", "B-bad", "I-bad", "B-good", "I-good"]
    assert load(folder / "run.json")["identity"]["tag_scheme"] == KINDS[kind][0]
    (header, *rows) = (folder / "confusion_matrix.csv").read_text(encoding="utf-8").splitlines()
    assert header == "gold \\ predicted,O,bad,good"
    assert sum(int(cell) for row in rows for cell in row.split(",")[1:]) == sum(len(one.words) for one in gold)
    assert (folder / "confusion_matrix.png").stat().st_size > 1000


def test_every_word_of_every_sentence_has_one_tag(trained):
    kind, data, folder = trained
    given = list(read_sentences(data / "test.conll"))
    assert max(len(sentence.words) for sentence in given) > 16
    assert any("\u200b" in sentence.words for sentence in given)
    blocks = (folder / "predictions.conll").read_text(encoding="utf-8").removesuffix("\n\n").split("\n\n")
    rows = [[line.split("\t") for line in block.split("\n")] for block in blocks]
    assert [[row[:-1] for row in sentence] for sentence in rows] == [sentence.columns for sentence in given]
    answers = lines_of(folder / "predictions.jsonl")
    assert [answer["tokens"] for answer in answers] == [sentence.words for sentence in given]
    assert [answer["line"] for answer in answers] == [sentence.line for sentence in given]
    for sentence, answer in zip(rows, answers, strict=True):
        written = [(start, end, of) for start, end, of in spans_of_tags(row[-1] for row in sentence)]
        assert written == [(start, end, of) for start, end, of in spans_of_tags(answer["tags"])]
    letters = {row[-1][0] for sentence in rows for row in sentence}
    assert letters <= set("OBI") if kind == "crf" else "S" in letters


def test_entities_are_characters_of_the_text(trained):
    _, _, folder = trained
    answers = lines_of(folder / "predictions.jsonl")
    found = [(answer, entity) for answer in answers for entity in answer["entities"]]
    assert {entity["type"] for _, entity in found} == {"good", "bad"}
    for answer in answers:
        assert [answer["text"][start:end] for start, end in answer["offsets"]] == answer["tokens"]
        assert all(0 < probability <= 1 for probability in answer["probabilities"])
    for answer, entity in found:
        assert answer["text"][entity["start"] : entity["end"]] == entity["text"]
        first = [start for start, _ in answer["offsets"]].index(entity["start"])
        assert entity["probability"] <= answer["probabilities"][first] + 1e-6


def test_conlleval_gets_word_tag_and_prediction(trained):
    _, data, folder = trained
    blocks = (folder / "label_test.txt").read_text(encoding="utf-8").removesuffix("\n\n").split("\n\n")
    rows = [[line.split(" ") for line in block.split("\n")] for block in blocks]
    given = list(read_sentences(data / "test.conll"))
    assert [[word for word, _, _ in sentence] for sentence in rows] == [sentence.words for sentence in given]
    for sentence, expected in zip(rows, given, strict=True):
        assert list(spans_of_tags(gold for _, gold, _ in sentence)) == list(spans_of_tags(expected.tags))
    assert [[tag for *_, tag in sentence] for sentence in rows] == [
        answer["tags"] for answer in lines_of(folder / "predictions.jsonl")
    ]


def test_words_without_tags_are_predicted_alike_by_the_directory_alone(trained, tmp_path):
    """Labels and scheme are those of the run; a file of one column and JSON lines have no tags."""
    _, data, folder = trained
    before = lines_of(folder / "predictions.jsonl")
    copy = shutil.copytree(folder, tmp_path / "run")
    words = [sentence.words for sentence in read_sentences(data / "test.conll")]
    record = (copy / "run.json").read_text(encoding="utf-8")
    (copy / "run.json").write_text(record.replace(str(data), "/no/such"), encoding="utf-8")  # the data has moved
    plain, as_json = tmp_path / "words.txt", tmp_path / "words.jsonl"
    plain.write_text("".join("".join(f"{word}\n" for word in sentence) + "\n" for sentence in words), encoding="utf-8")
    as_json.write_text("".join(json.dumps({"tokens": sentence}) + "\n" for sentence in words), encoding="utf-8")
    for path in (plain, as_json):
        run(f"--predict_file={path}", "--do_predict", f"--output_dir={copy}", "--predict_batch_size=3")
        after = lines_of(copy / "predictions.jsonl")
        assert [answer["tags"] for answer in after] == [answer["tags"] for answer in before]
        assert not (copy / "label_test.txt").exists()
    assert (copy / "predictions.conll").read_text(encoding="utf-8").count("\n\n") == len(words)


def test_any_window_gives_every_word_a_tag(trained, tmp_path):
    _, data, folder = trained
    copy = shutil.copytree(folder, tmp_path / "run")
    run(f"--predict_file={data / 'test.conll'}", "--do_predict", f"--output_dir={copy}", "--max_seq_length=5",
        "--window_overlap=1")  # fmt: skip
    answers = lines_of(copy / "predictions.jsonl")
    assert [answer["tokens"] for answer in answers] == [s.words for s in read_sentences(data / "test.conll")]


# The second tokenizes in this process.
@pytest.mark.parametrize("exports", ["export", pytest.param("export_ids", marks=pytest.mark.slow)])
def test_the_export_answers_as_the_prediction_does(trained, exports):
    _, _, folder = trained
    expected = lines_of(folder / "predictions.jsonl")
    with Predictor(next((folder / exports).iterdir())) as predictor:
        answers = predictor.answer([{"text": row["text"]} for row in expected], batch_size=7)
    for row, answer in zip(expected, answers, strict=True):
        for name in ("tokens", "offsets", "tags"):
            assert answer[name] == row[name]
        assert answer["probabilities"] == pytest.approx(row["probabilities"], abs=1e-4)
        for one, other in zip(answer["entities"], row["entities"], strict=True):
            assert one.pop("probability") == pytest.approx(other.pop("probability"), abs=1e-4)
            assert one == other


def test_the_export_takes_words_as_they_are(trained):
    import tensorflow as tf

    _, _, folder = trained
    expected = lines_of(folder / "predictions.jsonl")
    width = max(len(row["tokens"]) for row in expected)
    tokens = [row["tokens"] + [""] * (width - len(row["tokens"])) for row in expected]
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        export = str(next((folder / "export").iterdir()))
        loaded = v1.saved_model.loader.load(session, [v1.saved_model.tag_constants.SERVING], export)
        signature = loaded.signature_def["tokens"]
        fetched = {name: end.name for name, end in signature.outputs.items()}
        found = session.run(fetched, {signature.inputs["tokens"].name: tokens})
    for answer, row in zip(exports.reader("entities").answers(found, len(expected)), expected, strict=True):
        assert [answer[name] for name in ("tokens", "offsets", "tags")] == [
            row[name] for name in ("tokens", "offsets", "tags")
        ]
        spans = [(entity["start"], entity["end"], entity["text"]) for entity in row["entities"]]
        assert [(entity["start"], entity["end"], entity["text"]) for entity in answer["entities"]] == spans


def test_lines_are_answered_from_the_export(trained, tmp_path):
    _, _, folder = trained
    expected = lines_of(folder / "predictions.jsonl")[:3]
    source, sink = tmp_path / "lines", io.StringIO()
    rows = [expected[0]["text"], json.dumps({"text": expected[1]["text"], "key": 1}), expected[2]["text"]]
    source.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    with Predictor(next((folder / "export").iterdir())) as predictor, source.open("rb") as stream:
        assert answer_lines(predictor, stream, sink, 8) == 3
    answers = [json.loads(line) for line in sink.getvalue().splitlines()]
    assert [answer["tags"] for answer in answers] == [row["tags"] for row in expected]
    assert [answer.get("key") for answer in answers] == [None, 1, None]


def test_a_directory_keeps_its_head_and_scheme(trained, capfd):
    kind, data, folder = trained
    other = f"--use_crf={str(kind != 'crf').lower()}"
    for flag in (other, "--tag_scheme=bmes"):
        with pytest.raises(SystemExit) as left:
            run("--do_eval", flag, f"--output_dir={folder}")
        assert left.value.code == 2
        assert f"{flag} contradicts --output_dir={folder}" in capfd.readouterr().err
    run("--do_eval", f"--tag_scheme={KINDS[kind][0]}", f"--output_dir={folder}", f"--data_dir={data}")


@pytest.mark.slow
def test_parts_of_speech_are_scored_by_word(tiny_model, tmp_path):
    made = [[(word, tag.replace("-", "+")) for word, tag in words] for words in tiny_sentences.sentences(5, 30)]
    for name in ("train", "dev"):
        text = "".join("".join(f"{word} {tag}\n" for word, tag in words) + "\n" for words in made)
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    run(f"--data_dir={tmp_path}", f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'run'}", *TRAINING,
        "--tag_scheme=none", "--do_train", "--do_eval", "--do_predict", f"--predict_file={tmp_path / 'dev.txt'}",
        "--use_crf", "--pad_to_max_length", "--max_words=14")  # fmt: skip
    scores = load(tmp_path / "run" / "eval_results.json")
    assert not any("f1" in name for name in scores)
    assert scores["eval_accuracy"] > 0.8
    (first, *_) = lines_of(tmp_path / "run" / "predictions.jsonl")
    assert first["entities"] == []
    assert set(first["tags"]) <= {"O", "B+good", "I+good", "B+bad"}


def test_validation_describes_every_split_and_names_every_problem(tiny_model, tmp_path, run_script):
    data = tiny_sentences.write_splits(tmp_path)
    flags = ["--validate_only", f"--init_checkpoint={tiny_model}", "--max_seq_length=16"]
    code, out, _ = run_script(run_ner.main, f"--data_dir={data}", *flags)
    assert code == 0
    assert f"train: {data / 'train.conll'}: 100 sentences, " in out
    assert "scheme iob2" in out
    assert "entities: bad " in out
    bad = tmp_path / "bad.conll"
    bad.write_text("a O\nb\n\nc I+x\n\nd B-x\ne O O\nf I-x\n", encoding="utf-8")
    code, out, err = run_script(run_ner.main, f"--train_file={bad}", *flags)
    assert code == 2
    assert "3 problems:" in out
    for line in (2, 4, 7):
        assert f"{bad}:{line}: " in out
    assert f"error: 3 rows cannot be used, the first: {bad}:2: found 1 columns, expected 2" in err
    bad.write_text("a O\nb\n\n", encoding="utf-8")  # nothing to learn is left
    code, out, err = run_script(run_ner.main, f"--train_file={bad}", *flags)
    assert (code, out.splitlines()[0]) == (2, "1 problems:")
    assert f"error: 1 rows cannot be used, the first: {bad}:2: found 1 columns" in err
    code, out, err = run_script(run_ner.main, f"--data_dir={data}", "--max_words=8", *flags)
    assert code == 2
    assert "--max_words=8; give a larger number, or split the sentence" in err
    assert f"error: {out.count('a window of the sentence')} rows" in err or "... and " in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to do: give at least one of --do_train"),
        (["--do_train", "--output_dir=x"], "--train_file is missing; give it, or a folder with train.* as --data_dir"),
        (["--do_eval", "--output_dir=x"], "--dev_file is missing; give it, or a folder with dev.* as --data_dir"),
        (["--do_predict", "--output_dir=x"], "--predict_file or --test_file is missing; give it"),
        (["--do_train", "--output_dir=x", "--train_file=absent.txt"], "absent.txt: no such file to read the train"),
        (["--do_train", "--output_dir=x", "--tag_column=tag"], "--tag_column=tag: expected a number, counted from 0"),
        (["--do_train", "--output_dir=x", "--predict_file=a"], "--predict_file needs --do_predict; add it"),
        (["--do_train", "--output_dir=x", "--data_dir=absent"], "--data_dir=absent: no such folder"),
        (["--validate_only", "--data_dir=absent"], "--data_dir=absent: no such folder; give the folder of the data"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(arguments, message, run_script):
    code, _, err = run_script(run_ner.main, *arguments)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--use_crf", "--label_all_tokens"], "--label_all_tokens has no meaning for --use_crf"),
        (["--crf_learning_rate=0.1"], "--crf_learning_rate needs --use_crf; add it, or give --head_learning_rate"),
        (["--window_overlap=14"], "--window_overlap=14: windows of --max_seq_length=16 hold 14 tokens of text"),
    ],
)
def test_heads_and_windows_that_cannot_be(tiny_model, tmp_path, run_script, flags, message):
    data = tiny_sentences.write_splits(tmp_path / "data")
    code, _, err = run_script(
        run_ner.main, f"--data_dir={data}", f"--init_checkpoint={tiny_model}", "--do_train", *flags,
        f"--output_dir={tmp_path / 'run'}", "--max_seq_length=16",
    )  # fmt: skip
    assert code == 2
    assert message in err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_scores_between_tags_have_a_rate_of_their_own(tiny_model, tmp_path):
    import tensorflow as tf

    data = tiny_sentences.write_splits(tmp_path / "data")
    run(f"--data_dir={data}", f"--init_checkpoint={tiny_model}", f"--output_dir={tmp_path / 'run'}", *TRAINING,
        "--do_train", "--use_crf", "--learning_rate=0", "--crf_learning_rate=0.1", "--num_train_epochs=0.2",
        "--warmup_proportion=0")  # fmt: skip
    paths = str(tmp_path / "run" / "model.ckpt-0"), tf.train.latest_checkpoint(str(tmp_path / "run"))
    first, last = map(tf.train.load_checkpoint, paths)
    moved = {
        name for name in first.get_variable_to_shape_map()
        if "/adam_" not in name and name != "global_step" and (first.get_tensor(name) != last.get_tensor(name)).any()
    }  # fmt: skip
    assert moved == {"crf/transitions", "crf/start", "crf/end"}


@pytest.mark.slow
def test_a_dev_tag_that_training_lacks_is_named_before_anything_is_written(tiny_model, tmp_path, run_script):
    data = tiny_sentences.write_splits(tmp_path / "data")
    (data / "dev.conll").write_text("film\tO\n\nday\tB-place\n", encoding="utf-8")
    flags = [f"--data_dir={data}", f"--init_checkpoint={tiny_model}", "--do_train", "--do_eval", *TRAINING]
    code, _, err = run_script(run_ner.main, *flags, f"--output_dir={tmp_path / 'run'}")
    assert code == 2
    assert f"{data / 'dev.conll'}:3: in the sentence that starts here found tag 'B-place', which is not among" in err
    assert not (tmp_path / "run" / "run.json").exists()
    code, _, err = run_script(
        run_ner.main, *flags, f"--output_dir={tmp_path / 'other'}", "--labels=bad,good,place", "--num_train_epochs=1"
    )
    assert code == 0, err
    assert load(tmp_path / "other" / "eval_results.json")["eval_entities[place]"] == 1


@pytest.mark.slow
def test_sentences_of_a_users_class(tiny_model, tmp_path, run_script):
    data, made = tmp_path / "data", tiny_sentences.sentences(3, 30)
    data.mkdir()
    kinds = {"good": "person", "bad": "place"}
    renamed = [[(word, tag[:2] + kinds.get(tag[2:], tag[2:])) for word, tag in words] for words in made]
    for split, rows in (("train", renamed[:20]), ("test", renamed[20:])):
        text = "".join(" ".join(f"{word}/{tag}" for word, tag in words) + "\n" for words in rows)
        (data / f"{split}.slashed").write_text(text, encoding="utf-8")
    module = f"--processor_module={ROOT / 'examples' / 'custom_sentences.py'}"
    flags = [module, f"--data_dir={data}", f"--init_checkpoint={tiny_model}", "--max_seq_length=16"]
    code, out, err = run_script(run_ner.main, "--validate_only", *flags)
    assert code == 2  # it has no dev rows
    assert "train: " in out
    assert "dev.slashed" in err
    run(*flags, "--do_train", "--do_predict", "--num_train_epochs=1", "--train_batch_size=8",
        f"--output_dir={tmp_path / 'run'}")  # fmt: skip
    answers = lines_of(tmp_path / "run" / "predictions.jsonl")
    assert [answer["tokens"] for answer in answers] == [[word for word, _ in words] for words in renamed[20:]]
    assert "code" in load(tmp_path / "run" / "run.json")["identity"]
    code, _, err = run_script(run_ner.main, *flags, "--do_train", "--tag_scheme=iob2", f"--output_dir={tmp_path / 'x'}")
    assert code == 2
    assert "--tag_scheme describes files, but --processor_module names a class that reads them" in err


def test_a_class_that_shuffles_has_no_scores_of_other_sentences(tiny_model, tmp_path, run_script):
    data = tmp_path / "data"
    data.mkdir()
    rows = ["Ann/B-person sleeps/O", "in/O Rome/B-place", "Bob/B-person Gray/I-person", "Oslo/B-place waits/O"] * 8
    for split in ("train", "dev", "test"):
        (data / f"{split}.slashed").write_text("\n".join(rows) + "\n", encoding="utf-8")
    code_of = (ROOT / "examples" / "custom_sentences.py").read_text(encoding="utf-8")
    lines = 'read_text(encoding="utf-8").splitlines()\n'
    assert lines in code_of
    module = tmp_path / "shuffling.py"
    module.write_text(code_of.replace(lines, lines + "        __import__('random').shuffle(lines)\n"), encoding="utf-8")
    flags = [
        f"--processor_module={module}", f"--data_dir={data}", f"--init_checkpoint={tiny_model}", "--max_seq_length=16",
        f"--output_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    for action, split in (("--do_eval", "dev"), ("--do_predict", "test")):
        code, _, err = run_script(run_ner.main, *flags, action)
        assert code == 2
        assert f"the {split} split gives other rows, or in another order, than when its 32 examples" in err
    assert not (tmp_path / "run" / "eval_results.json").exists()
    assert not (tmp_path / "run" / "predictions.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "flags", "expected"),
    [("ner-en", [], "163 sentences"), ("ner-zh", ["--by_character"], "162 sentences")],
)
def test_the_example_sets_can_be_read(tiny_model, run_script, name, flags, expected):
    data = ROOT / "examples" / name
    code, out, err = run_script(
        run_ner.main, "--validate_only", f"--data_dir={data}", f"--init_checkpoint={tiny_model}", "--max_seq_length=32",
        *flags,
    )  # fmt: skip
    assert code == 0, err
    assert expected in out
    assert out.count("  entities: ") == 3
