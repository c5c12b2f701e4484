"""Texts on which BERT tokenizers are known to part ways; an export must tokenize each as the specification does."""

import itertools
from collections.abc import Iterator

PARITY_TEXTS = [
    'A plain sentence, with punctuation: quotes "" and (brackets).',
    "MiXeD CaSe, NAÏVE CAFÉ, Ångström, İstanbul, ﬁne ligatures, straße",
    "ΟΔΥΣΣΕΥΣ and Σ alone, ΣΑΣ. Σ, ΑΣ's ΑΣ\u0301",
    "中文字符与 English 混排，全角标点：“引号”、《书名》！？１２３ＡＢＣ",
    "ひらがな カタカナ ｶﾀｶﾅ がぎぐ 한국어 텍스트 \u1112\u1161\u11ab",
    "control\u0000 char\u0001acters \u0007 and\u200b zero\u200dwidth \ufeff joiners\ufffd \u00ad",
    "blanks\u00a0of\u2003every\u3000kind\u2028line\u2029paragraph\u0085next\tand\r\nbreaks\u202f\u1680",
    "[CLS] special [SEP] tokens [MASK] in [PAD] text [UNK] ##ing",
    "emoji 😀👍🏽 family 👨‍👩‍👧 flags 🇩🇪 keycap 1️⃣",
    "हिन्दी ภาษาไทย العَرَبِيَّة עִבְרִית தமிழ் বাংলা",
    "combining a\u0301\u0327 q\u0307\u0323 \u302e\u302f \U0001d15f\U0001d16e \u0344 \u1e9b\u0323",
    "currency €£¥₹ maths ∑∫√≠≤ arrows →⇒ ™©® ½ ² ₂ Ⅷ №",
    "hyphen-ated under_score e-mail@example.com http://a.b/c?d=e&f=%20 C++ C# .NET $5.00 50% ^~`|",
    "x" * 200 + " " + "y" * 201 + " " + "é" * 201 + " ok",
    "supplementary 𠀀𪜀𫝀 𝒜𝔹 𐐀𐐨 𞤀",
    "   leading and trailing blanks   ",
]


def long_texts(words: int) -> tuple[str, str]:
    """Two texts of at least so many words, to be cut: the parity texts over and over, and the same from the last."""
    forwards, backwards = itertools.cycle(PARITY_TEXTS), itertools.cycle(reversed(PARITY_TEXTS))
    return _joined(forwards, words), _joined(backwards, words)


def _joined(texts: Iterator[str], words: int) -> str:
    taken: list[str] = []
    while words > 0:
        taken.append(next(texts))
        words -= len(taken[-1].split())
    return " ".join(taken)
