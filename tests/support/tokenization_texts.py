"""Unicode that tokenizers get wrong, for the property tests of all of them."""

from hypothesis import strategies as st

# Marks that NFD reorders and that are kept (category Mc with a combining class), beside marks that are dropped.
REORDERED = ["\u302e", "\u302f", "\u1b44", "\u1bf2", "\U0001d165", "\U0001d16d", "\U0001d15e", "\U00016ff0", "\ua953"]
DROPPED = ["\u0301", "\u0327", "\u0345", "\u034f", "\u0f73", "\u200b", "\u200d", "\x00", "\x85", "\x1c", "\ufffd"]
LETTERS = [
    "a",
    "Z",
    "é",
    "Å",
    "ß",
    "İ",
    "ı",
    "ſ",
    "ǅ",
    "ﬃ",
    "Ω",
    "K",
    "ẛ̣",
    "한",
    "ㅎ",
    "ʰ",
    "ᾳ",
    "ᾼ",
    "𝒜",
    "Ⅷ",
    "ⓐ",
    "क़",
]
SIGMA = ["Σ", "σ", "ς", "ΑΣ", "Σ.", ".Σ", "Σ'Α", "ΑΣ\u0301", "\u0345Σ", "Σ中", "ᾼΣ", "ʰΣ", "ªΣ", "·Σ:"]
CJK = ["中", "文", "\U00020000", "\uf900", "\u2f00", "、", "カ", "ｶ", "ＡＢ", "！", "々"]
BLANKS = [" ", "\t", "\n", "\r", "\v", "\xa0", "\u1680", "\u2028", "\u2029", "\u202f", "\u3000", "\ufeff", "\u180e"]
SIGNS = ["[MASK]", "[UNK]", "[CLS]", "##", "##a", "$", "`", "\u037e", "\u1fef", "\u00bf", "—", "…", "€", "😀", "\u2329"]
RARE = ["\uffff", "\U0010ffff", "\ue000", "\u0378", "\U000e0001", "\u115f", "a" * 199, "b" * 200, "é" * 201, "\u0f77"]

fragments = st.one_of(
    st.sampled_from(REORDERED + DROPPED + LETTERS + SIGMA + CJK + BLANKS + SIGNS + RARE),
    st.sampled_from(["the", "Running", "unaffable", "don't", "1,234.5", " "]),
    st.characters(exclude_categories=["Cs"]),
)
texts = st.lists(fragments, max_size=12).map("".join)
