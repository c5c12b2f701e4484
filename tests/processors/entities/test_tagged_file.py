"""Files of tagged sentences: every form gives the same sentences, nothing vanishes, errors name their line."""

import json

import pytest

from common.errors import DataError
from processors.entities.columns import Columns, read_columns
from processors.entities.sentence import split_words
from processors.entities.tagged_file import FileForm, inspect_tags, read_sentences, read_tagged
from processors.entities.tags import NONE, SchemeDetector


def write(tmp_path, content, name="train.conll"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def write_rows(tmp_path, *rows, name="train.jsonl"):
    return write(tmp_path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), name)


def words_and_tags(sentences):
    return [(sentence.line, sentence.words, sentence.tags) for sentence in sentences]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("blank", ["", "\t", "  "])
def test_tabs_line_ends_byte_order_marks_and_blank_lines(tmp_path, end, mark, blank):
    lines = ["Ada\tB-person", "Lovelace\tI-person", blank, blank, "#tag\tO", "x\u00a0y\tO", "#\tO"]
    path = write(tmp_path, mark + end.join(lines).encode("utf-8"))
    assert words_and_tags(read_sentences(path)) == [
        (1, ["Ada", "Lovelace"], ["B-person", "I-person"]),
        (5, ["#tag", "x\u00a0y", "#"], ["O", "O", "O"]),
    ]


def test_blanks_document_starts_and_comments(tmp_path):
    text = "# id = 1\n-DOCSTART- -X- -X- O\n\nEU  NNP I-NP I-ORG\n# a remark of five words\n# id = 2\n. . O O\n"
    sentences = list(read_sentences(write(tmp_path, text)))
    assert words_and_tags(sentences) == [(4, ["EU", "."], ["I-ORG", "O"])]
    assert sentences[0].columns == [["EU", "NNP", "I-NP", "I-ORG"], [".", ".", "O", "O"]]


def test_other_columns_and_files_without_tags(tmp_path):
    path = write(tmp_path, "1 Ada NNP\n2 codes VBZ\n")
    assert words_and_tags(read_columns(path, Columns(1, 2))) == [(1, ["Ada", "codes"], ["NNP", "VBZ"])]
    path = write(tmp_path, "Ada\ncodes\n\nWell\n")
    assert words_and_tags(read_columns(path, Columns(0, None))) == [(1, ["Ada", "codes"], None), (4, ["Well"], None)]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("Ada\tB-person\nLovelace\n", Columns(), r"train.conll:2: found 1 columns, expected 2 as in the first line"),
        ("Ada\tB-person\n#ada\n", Columns(), r"train.conll:2: found 1 columns, expected 2"),
        ("Ada\tB-person\n# a\tO\tx\n", Columns(), r"train.conll:2: found 3 columns, expected 2"),
        ("Ada\tB-person\n\tO\n", Columns(), r"train.conll:2: the word is empty, expected a word with its tag"),
        ("Ada\tB-person\nis\t\n", Columns(), r"train.conll:2: the tag is empty, expected a word with its tag"),
        ("Ada O\n", Columns(3, -1), "the token column is 3, but lines have 2 columns"),
        ("Ada O\n", Columns(0, -3), "the tag column is -3, but lines have 2 columns"),
        ("Ada\n", Columns(), "token and tag are both read from column 0 of 1; expected two columns"),
        ("\n\n", Columns(), "has no words, expected a word and its tag a line"),
        ("Ada\tO\r\rcodes\tO\r", Columns(), r"train.conll:1: found a line break without a newline \(a lone carriage"),
        (
            "Ada\tO\nis\tO\rcodes\tO\n",
            Columns(),
            r"train.conll:2: found a line break without a newline .*; convert the",
        ),
    ],
)
def test_errors_of_column_files_name_their_line(tmp_path, text, columns, message):
    with pytest.raises(DataError, match=message):
        list(read_columns(write(tmp_path, text), columns))


CONLLU = [
    "# sent_id = 1", "# text = del dia", "1-2\tdel\t_", "1\tde\tADP", "2\tel\tDET", "2.1\tx\t_", "3\tdia\tNOUN", "",
    "1\t1-2\tNUM",
]  # fmt: skip


def test_lines_of_conllu_that_are_no_words_are_left_out_and_counted(tmp_path):
    filled = [line + "\t_" * 7 if "\t" in line else line for line in CONLLU]
    path = write(tmp_path, "\n".join(filled) + "\n")
    columns = Columns(1, 2)
    sentences = list(read_columns(path, columns))
    assert words_and_tags(sentences) == [(4, ["de", "el", "dia"], ["ADP", "DET", "NOUN"]), (9, ["1-2"], ["NUM"])]
    assert [sentence.left_out for sentence in sentences] == [2, 0]
    by_name = list(read_columns(path, Columns(0, 2)))
    assert by_name[0].words == ["1-2", "1", "2", "2.1", "3"]  # numbers are asked for
    other = list(read_columns(write(tmp_path, "\n".join(CONLLU) + "\n"), columns))
    assert len(other[0].words) == 5  # three columns may be anything


def test_a_scheme_that_tags_do_not_tell_is_said(tmp_path, caplog):
    path = write(tmp_path, "a B-x\nb E-x\nc O\n")
    assert inspect_tags(path).scheme == "bioes"
    assert f"{path}: no entity has three words or more, so that its tags are the same in bioes and bmes" in caplog.text
    assert "taken for bioes; give --tag_scheme where it is the other" in caplog.text
    caplog.clear()
    assert inspect_tags(path, scheme="bmes").scheme == "bmes"
    assert inspect_tags(write(tmp_path, "a B-x\nb I-x\nc E-x\n")).scheme == "bioes"
    assert not caplog.text


def test_the_forms_of_json_lines_agree(tmp_path):
    text = "彭博CEO, Ada!"
    rows = (
        {"tokens": ["彭", "博", "CEO", ",", "Ada", "!"], "tags": ["B-org", "I-org", "O", "O", "B-name", "O"]},
        {"text": text, "entities": [[7, 10, "name"], [0, 2, "org"]]},
        {"text": text, "label": {"org": {"彭博": [[0, 1]]}, "name": {"Ada": [[7, 9]]}}},
    )
    for row in rows:
        (sentence,) = read_sentences(write_rows(tmp_path, row))
        assert (sentence.words, sentence.tags) == (rows[0]["tokens"], rows[0]["tags"])
    assert [text[start:end] for start, end in sentence.offsets] == sentence.words
    (letters,) = read_sentences(write_rows(tmp_path, rows[2]), FileForm(by_character=True))
    assert letters.words == list("彭博CEO,Ada!")
    assert letters.tags[6:9] == ["B-name", "I-name", "I-name"]


def test_rows_to_predict_need_no_tags(tmp_path):
    form = FileForm(Columns(0, None))
    (sentence,) = read_sentences(write_rows(tmp_path, {"text": "Ada codes."}), form)
    assert (sentence.words, sentence.tags) == (["Ada", "codes", "."], None)
    (sentence,) = read_sentences(write_rows(tmp_path, {"tokens": ["Ada"]}), form)
    assert (sentence.words, sentence.tags) == (["Ada"], None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "found 2 tokens and 1 tags, expected a tag for each token"),
        (
            {"tokens": ["a", ""], "tags": ["O", "O"]},
            r'"tokens"\[1\] is \'\', expected text; leave the word and its tag',
        ),
        ({"tokens": ["a"], "tags": [3]}, r'"tags"\[0\] is 3, expected text; write tags as names'),
        ({"tokens": [], "tags": []}, '"tokens" is empty, expected at least one'),
        ({"tokens": ["a"]}, '"tags" is missing, expected a list of text'),
        ({"tokens": "a", "tags": ["O"]}, '"tokens" is str, expected a list of text'),
        ({"tokens": ["a", ""], "tags": ["O", "O"]}, r"\"tokens\"\[1\] is '', expected text"),
        ({"text": "a"}, 'found the keys \'text\', expected "tokens" and "tags", or "text"'),
        ({"text": "a", "entities": [], "label": {}}, 'found both "entities" and "label"'),
        ({"text": 3, "entities": []}, '"text" is int, expected text'),
        ({"text": "  ", "entities": []}, "the text has no word, expected at least one"),
        ({"text": "ab", "entities": {}}, '"entities" is dict, expected a list'),
        ({"text": "ab", "entities": [[0, 1]]}, r"found the entity \[0, 1\], expected \[start, end, type\]"),
        ({"text": "ab", "entities": [[True, 2, "x"]]}, r"found the entity \[True, 2, 'x'\], expected"),
        ({"text": "ab c", "entities": [[0, 1, "x"]]}, "cuts the word 'ab' apart, expected whole words"),
        ({"text": "ab cd", "entities": [[0, 4, "x"]]}, "cuts the word 'cd' apart, expected whole words"),
        ({"text": "ab", "entities": [[0, 3, "x"]]}, r"entity \[0, 3, 'x'\] does not fit the text of 2 characters"),
        ({"text": "ab", "entities": [[1, 1, "x"]]}, r"entity \[1, 1, 'x'\] does not fit"),
        ({"text": "a  b", "entities": [[1, 3, "x"]]}, "covers whitespace alone, expected words"),
        ({"text": "a b", "entities": [[0, 3, "x"], [2, 3, "y"]]}, "entities 'x' and 'y' overlap at word 1"),
        ({"text": "ab", "label": []}, '"label" is list, expected {type'),
        ({"text": "ab", "label": {"x": []}}, r"\"label\" has \[\] for 'x', expected {type"),
        ({"text": "ab", "label": {"x": {"b": [[0, 1]]}}}, r"entity 'x' \[0, 1\] is 'ab' in the text, expected 'b'"),
        ({"text": "ab", "label": {"x": {"ab": [0, 1]}}}, "found the entity 0, expected"),
    ],
)
def test_errors_of_json_lines_name_their_line(tmp_path, row, message):
    with pytest.raises(DataError, match=r"train\.jsonl:1: .*" + message):
        list(read_sentences(write_rows(tmp_path, row)))


def test_files_of_mixed_forms_broken_lines_and_no_rows(tmp_path):
    tagged, spans = {"tokens": ["a"], "tags": ["O"]}, {"text": "a", "entities": []}
    with pytest.raises(DataError, match=r":2: found a row with 'entities', expected 'tokens' as in the rows before"):
        list(read_sentences(write_rows(tmp_path, tagged, spans)))
    with pytest.raises(DataError, match=r":1: not JSON"):
        list(read_sentences(write(tmp_path, "{\n", "train.jsonl")))
    with pytest.raises(DataError, match="has no rows, expected one sentence a line"):
        list(read_sentences(write(tmp_path, "\n", "train.jsonl")))


def test_a_file_becomes_iob2_and_what_is_ill_formed_is_counted(tmp_path):
    path = write(tmp_path, "a I-x\nb B-x\nc O\n\nd I-y\n")
    counts = inspect_tags(path)
    assert counts == ("iob1", 2, 4, 0, ("O", "B-x", "B-y"))
    assert [sentence.tags for sentence in read_tagged(path, counts.scheme)] == [["B-x", "B-x", "O"], ["B-y"]]
    path = write(tmp_path, "a B-x\nb I-x\nc O\nd I-y\n")
    counts = inspect_tags(path)
    assert (counts.scheme, counts.ill_formed) == ("iob2", 1)
    assert [sentence.tags for sentence in read_tagged(path, "iob2")] == [["B-x", "I-x", "O", "B-y"]]


def test_tags_that_are_no_spans_stay_as_they_are(tmp_path):
    path = write(tmp_path, "Ada NNP\ncodes VBZ\n")
    assert inspect_tags(path, scheme=NONE).tags == ("NNP", "VBZ")
    assert [sentence.tags for sentence in read_tagged(path, NONE)] == [["NNP", "VBZ"]]
    with pytest.raises(DataError, match=r"train.conll:1: in the sentence that starts here found tag 'NNP', expected O"):
        inspect_tags(path)


def test_what_contradicts_the_asked_scheme_is_an_error(tmp_path):
    path = write(tmp_path, "a O\n\nb S-x\n")
    with pytest.raises(DataError, match=r"train.conll:3: in the sentence that starts here found tag 'S-x', expected"):
        inspect_tags(path, scheme="iob2")
    with pytest.raises(DataError, match=r"--tag_scheme=iob3 is not known, expected one of iob1, iob2, bioes"):
        inspect_tags(path, scheme="iob3")
    with pytest.raises(DataError, match=r"train.conll: tags begin with I, M, O, which are letters of several"):
        inspect_tags(write(tmp_path, "a I-x\nb M-x\nc O\n"))
    with pytest.raises(DataError, match=r"train.conll:1: the sentence has no tags, expected one for each word"):
        inspect_tags(write(tmp_path, "a O\n"), FileForm(Columns(0, None)))


def test_words_are_what_the_tokenizer_parts():
    text = " Ada's\u3000CEO彭博!\n"
    assert [text[start:end] for start, end in split_words(text)] == ["Ada", "'", "s", "CEO", "彭", "博", "!"]
    assert "".join(text[start:end] for start, end in split_words(text, True)) == "Ada'sCEO彭博!"


@pytest.mark.parametrize(
    ("name", "sentences", "words"),
    [
        ("wnut17train.conll", 3394, 62730),
        ("emerging.dev.conll", 1009, 15733),
        ("emerging.test.annotated", 1287, 23394),
    ],
)
def test_every_token_of_a_published_set_is_read(shared, name, sentences, words):
    counts = inspect_tags(shared / "data" / "wnut17" / name)
    assert counts.scheme == "iob2"
    assert (counts.sentences, counts.words) == (sentences, words)
    assert len(counts.tags) == 13


def test_detection_refuses_a_foreign_tag():
    with pytest.raises(DataError, match="found tag 'X-a'"):
        SchemeDetector().observe(["O", "X-a"])
