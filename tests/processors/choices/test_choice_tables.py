"""Tables of questions that the user describes: headers by index, quotes, columns."""

import pytest

from common.errors import DataError
from processors.choices.source import ChoiceSource, Rows
from processors.choices.tables import ChoiceColumns, DescribedTables
from processors.tables.spec import TableFormat

BY_INDEX = ChoiceColumns(("2", "3"), "0", "1", "4")
BY_NAME = ChoiceColumns(("a", "b"), "ctx", "q", "right")
HEADER = "ctx,q,a,b,right"
ROW = "the film,was it,good,bad,0"


def write(folder, name, *lines):
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def questions(path, split="train", columns=BY_INDEX, training=None, header=True):
    layout = TableFormat(header=header)
    read = DescribedTables(columns, layout, label_as="index", training=training)
    return list(ChoiceSource({split: [path]}, Rows(read, "index", {})).questions(split))


def refused(path, *args, **options):
    with pytest.raises(DataError) as caught:
        questions(path, *args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_first_question_without_a_label_is_not_taken_for_the_header(tmp_path):
    training = write(tmp_path, "train.csv", HEADER, ROW)
    test = write(tmp_path, "test.csv", "the film was here,was it,good,bad", "the food was here,was it,bad,fine")
    told = refused(test, "test", training=training)
    assert f"{test}:1: read as a header, but it is 'the film was here, was it, good, bad' where train.csv has" in told
    assert "if it is a row of data, give --header=false" in told
    assert len(questions(test, "test", training=training, header=False)) == 2
    write(tmp_path, "test.csv", HEADER.removesuffix(",right"), "the film was here,was it,good,bad")
    assert len(questions(test, "test", training=training)) == 1


def test_a_header_in_another_order_than_that_of_training_is_refused(tmp_path):
    training = write(tmp_path, "train.csv", HEADER, ROW)
    dev = write(tmp_path, "dev.csv", "q,ctx,b,a,right", "was it,the film,bad,good,0")
    assert f"{dev}:1: read as a header, but it is 'q, ctx, b, a, right'" in refused(dev, "dev", training=training)
    (question,) = questions(dev, "dev", columns=BY_NAME, training=training)
    assert (question.context, question.choices) == ("the film", ("good", "bad"))


def test_what_is_read_as_a_header_is_said_once_a_file(tmp_path, caplog):
    path = write(tmp_path, "train.csv", HEADER, ROW)
    source = ChoiceSource({"train": [path]}, Rows(DescribedTables(BY_INDEX, TableFormat()), "index", {}))
    with caplog.at_level("INFO"):
        for _ in range(2):
            assert len(list(source.questions("train"))) == 1
    assert caplog.text.count(f"{path}:1: is read as a header: 'ctx, q, a, b, right'") == 1


def test_quotes_that_are_read_as_text_are_named(tmp_path, caplog):
    path = write(tmp_path, "train.tsv", HEADER.replace(",", "\t"), '"the ""film"""\twas it\tgood\tbad\t0')
    (question,) = questions(path, columns=BY_NAME)
    assert question.context == '"the ""film"""'
    assert f"{path}: 1 rows have cells that look quoted" in caplog.text
    assert "give --quoting=minimal" in caplog.text


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (ChoiceColumns(("a", "b", "b"), "ctx", "q", "right"), "column 'b' is to hold two texts of a question (--cho"),
        (ChoiceColumns(("a", "b", "3"), "ctx", "q", "right"), "column '3' is to hold two texts"),
        (ChoiceColumns(("a", "b"), "ctx", "-5", "right"), "(--context and --question both name it)"),
    ],
)  # fmt: skip
def test_a_column_holds_one_text(columns, told, tmp_path):
    path = write(tmp_path, "train.csv", HEADER, ROW)
    message = refused(path, columns=columns)
    assert message.startswith(f"{path}: ")
    assert told in message


def test_the_label_may_be_the_text_of_a_choice(tmp_path):
    path = write(tmp_path, "train.csv", HEADER, ROW)
    read = DescribedTables(ChoiceColumns(("a", "b"), "ctx", "q", "a"), TableFormat(), label_as="text")
    (question,) = ChoiceSource({"train": [path]}, Rows(read, "text", {})).questions("train")
    assert question.label == 0
