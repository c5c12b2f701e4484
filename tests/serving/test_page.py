"""The page in a real browser: a person types, reads, and goes by keyboard; no text is HTML."""

import re

import pytest

from serving.protocols.page import PAGE
from tests.support.browser import chromium

HTML = "good <b id=evil>film</b><img src=x onerror=\"document.title='evil'\">"
ANSWERED = "document.querySelector('#answer .time')?.textContent.endsWith(' ms')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def page(browser, server):
    browser.open(server.url)
    browser.until("document.querySelectorAll('#model option').length == 3")
    return browser


def answer(page, text, field="text_a"):
    page.type(f"#text-{field}", text)
    page.click("#send")
    page.until(ANSWERED)
    return page.text("#answer")


def test_a_person_types_and_reads_probabilities(page, server):
    shown = answer(page, "good film")
    row = {"text_a": "good film"}
    found = server.post("/api/answer", {"model": "reviews", "row": row}).json()["answer"]
    best, *_ = sorted(found["probabilities"].items(), key=lambda item: -item[1])
    assert shown.startswith(found["label"])
    assert re.search(rf"{best[0]}\s+{100 * best[1]:.1f} %", shown)
    widths = page.run("return [...document.querySelectorAll('.bar')].map((one) => parseFloat(one.style.width))")
    assert widths == pytest.approx([100 * p for p in sorted(found["probabilities"].values(), reverse=True)], abs=0.1)
    card = page.text("#card")
    assert "one of several labels" in card
    assert "neg, pos" in card
    page.until("document.querySelector('#load').innerText.includes('Texts a second')")


def test_by_keyboard_alone(page):
    page.run("document.querySelector('#model').focus()")
    page.press("tab")
    assert page.run("return document.activeElement.id") == "text-text_a"
    page.press(*"good")
    page.press("control", "enter")
    page.until(ANSWERED)
    assert page.text("#answer").split()[0] in ("neg", "pos")
    unlabelled = page.run(
        "return [...document.querySelectorAll('select, textarea, input')].filter((one) => !one.labels.length).length"
    )
    assert unlabelled == 0
    assert page.run("return document.querySelector('#answer').getAttribute('aria-live')") == "polite"


def test_text_is_never_html(page):
    answer(page, HTML)
    page.run("document.querySelector('#model').value = 'vectors'; "
             "document.querySelector('#model').dispatchEvent(new Event('change'))")  # fmt: skip
    answer(page, HTML)
    page.run("arguments[0].forEach((text) => document.querySelector('#answer').append(marked(text, "
             "[{start: 5, end: 9, type: text}]), bars(text, [[text, 0.5]])))", [HTML])  # fmt: skip
    assert page.run("return document.querySelector('#evil, main img, main b')") is None
    assert page.run("return document.title") == "Models of this server"


def test_every_kind_of_answer_has_its_form(page):
    def form(model, row, found):
        page.run(
            "document.querySelector('#answer').replaceChildren(...shown(arguments[0], arguments[1], arguments[2]))",
            {"texts": list(row), "mask": "[MASK]"}, row, found,
        )  # fmt: skip
        return page.text("#answer")

    text = "\U0001f600 Ann met Bo."
    entities = [{"start": 2, "end": 5, "type": "PER", "text": "Ann", "probability": 0.75}]
    shown = form("names", {"text": text}, {"entities": entities, "tags": [], "tokens": [], "probabilities": []})
    assert page.run("return document.querySelector('mark').firstChild.data") == "Ann"
    assert re.search(r"Ann \(PER\)\s+75.0 %", shown)
    span = {"answer": "Bo", "start": 10, "end": 12}
    assert form("answers", {"question": "Who?", "context": text}, span).startswith("Bo")
    assert page.text("mark") == "Bo"
    assert "no answer" in form("answers", {"question": "Who?", "context": text}, span | {"start": -1, "answer": ""})
    masks = [[{"piece": "film", "probability": 0.5}], [{"piece": "day", "probability": 0.25}]]
    assert re.search(r"Mask 1\s+film\s+50.0 %\s+Mask 2\s+day\s+25.0 %", form("masks", {"text": text}, {"masks": masks}))
    choices = [{"text": "red", "probability": 0.25}, {"text": "blue", "probability": 0.75}]
    shown = form("choices", {"question": "?"}, {"index": 1, "answer": "blue", "probability": 0.75, "choices": choices})
    assert re.match(r"blue\s+Choices\s+blue\s+75.0 %\s+red\s+25.0 %", shown)
    assert form("texts", {"text": text}, {"text": "a new text", "log_probability": -1.5}).startswith("a new text")
    assert form("stars", {"text_a": text}, {"label": 2.5}) == "2.5"
    assert form("topics", {"text_a": text}, {"label": [], "probabilities": {"a": 0.25}}).startswith("none")
    assert form("vectors", {"text_a": text}, {"vector": [0.5] * 30}).startswith("30 numbers")
    assert '"other": 1' in form("users", {"text_a": text}, {"other": 1})


def test_errors_are_said(page):
    shown_before = page.run("return document.querySelector('#text-text_a').validity.valueMissing")
    assert shown_before is True
    page.type("#text-text_a", " ")
    page.click("#send")
    page.until("document.querySelector('#answer .error') !== null")
    assert page.text("#answer") == "text 0: text_a is blank; give a text"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    page.resize(width, 800, is_phone=width < 500)
    answer(page, "lovely" * 60)
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_it_is_one_file_that_loads_nothing_else(server):
    found = server.get("/")
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in found.headers["content-security-policy"]
    text = PAGE.read_text(encoding="utf-8")
    assert found.text == text
    assert not re.search(r"https?://|src=|@import|url\(|innerHTML|insertAdjacentHTML|document\.write", text)


def test_the_card_says_what_the_run_directory_does(server, classifier_export):
    (card, *_) = server.get("/api/models").json()["models"]
    assert card["name"] == "reviews"
    assert card["labels"] == ["neg", "pos"]
    assert (card["texts"], card["required"]) == (["text_a", "text_b"], ["text_a"])
    assert card["scores"] == {}
    assert server.post("/api/answer", {"model": "films", "row": {}}).status_code == 404
    assert server.post("/api/answer", {"row": {}}).status_code == 400
    assert server.post("/api/answer", {"model": "reviews", "row": []}).status_code == 400
