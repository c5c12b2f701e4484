"""Texts of Chinese, Japanese and English, for tokenizers that make each Chinese character a word or none."""

TEXTS = [
    "我在北京大学读书，今天天气很好。",
    "BERT模型在2018年由Google发布",
    "The word 漢字 means Chinese characters(中文)",
    "東京タワーはとても高いです。カタカナとひらがな",
    "日本語のテキストをTokenizeする",
    "彼は「はい」と言った！",
    "한국어와 中國語 mixed文本 text",
    "C++编程 a中b 中a文",
    "",
    "  中 文\t字\u3000空白 ",
    "㐀𠀀豈﨑",
    "Café中文 naïve汉字",
    "ｆｕｌｌ－ｗｉｄｔｈ全角ＡＢＣ",
    "々〆ヵヶ 第１２回",
    "中\u200b文 中\x00文 中\ufffd文",
]
WORDS = [
    "北京",
    "大学",
    "##大学",
    "模型",
    "##モデル",
    "東京",
    "##タワー",
    "日本",
    "##語",
    "bert",
    "google",
    "the",
    "中文",
]
"""Tokens of several characters."""


def vocabulary(*texts: str) -> list[str]:
    """A vocabulary of `WORDS` and all letters, cased or not, with their accents or without."""
    import unicodedata

    letters: set[str] = set()
    for text in (*TEXTS, *texts):
        for form in (
            text,
            text.lower(),
            unicodedata.normalize("NFD", text),
            unicodedata.normalize("NFD", text.lower()),
        ):
            letters.update(form)
    plain = sorted(letter for letter in letters if not letter.isspace() and letter.isprintable() and letter != "\ufffd")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(dict.fromkeys([*special, *WORDS, *plain, *(f"##{letter}" for letter in plain)]))
