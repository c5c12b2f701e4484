"""Tiny models and data sets: small enough that a whole lifecycle takes seconds."""

import json
from pathlib import Path

CONFIG = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
    "initializer_range": 0.1,
}
GOOD = ["good", "fine", "great", "lovely", "superb"]
BAD = ["bad", "poor", "awful", "nasty", "dull"]
FILLERS = ["the", "film", "was", "a", "very", "day", "food", "and", "it", "here"]
TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *FILLERS, "##s", "##ly", ".", ",", "!"]


def write_model(folder: Path, layers: int = CONFIG["num_hidden_layers"]) -> Path:
    """Writes vocab.txt, bert_config.json and a random bert_model.ckpt."""
    import tensorflow as tf

    from modeling.config import BertConfig
    from modeling.encoder.model import BertModel

    config = CONFIG | {"num_hidden_layers": layers}
    folder.mkdir(parents=True, exist_ok=True)
    tokens = [*TOKENS, *(f"[unused{i}]" for i in range(CONFIG["vocab_size"] - len(TOKENS)))]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    (folder / "bert_config.json").write_text(json.dumps(config), encoding="utf-8")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(7)
        BertModel(BertConfig.from_dict(config), False, tf.zeros([1, 4], tf.int32))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False)
    return folder


def rows(count: int, offset: int = 0) -> list[tuple[str, str]]:
    """Texts with a word that gives the label away, all different."""
    made = []
    for index in range(offset, offset + count):
        label, words = (("pos", GOOD), ("neg", BAD))[index % 2]
        filler = [FILLERS[(index * 7 + step * 3) % len(FILLERS)] for step in range(2 + index % 4)]
        made.append((" ".join([*filler, words[index % 5], *filler[:1], "." * (1 + index // 50)]), label))
    return made


def write_table(folder: Path, train: int = 64, dev: int = 20, test: int = 10) -> Path:
    """Writes train.tsv, dev.tsv and test.tsv with the header `text`, `label`."""
    folder.mkdir(parents=True, exist_ok=True)
    offset = 0
    for name, count in (("train", train), ("dev", dev), ("test", test)):
        lines = [f"{text}\t{label}\n" for text, label in rows(count, offset)]
        (folder / f"{name}.tsv").write_text("text\tlabel\n" + "".join(lines), encoding="utf-8")
        offset += count
    return folder


def write_sentencepiece(path: Path) -> Path:
    """Learns a SentencePiece model of 59 tokens like ALBERT's, with tokens that end in a digit and a comma."""
    import sentencepiece

    corpus = [text for text, _ in rows(200)]
    corpus += ["in 10, 20, 30, or 1,000 days (not 2,000)"] * 40 + ['a "fine" day - 5.50'] * 20
    corpus += ["10,", "5,", "in 10, and 20,"] * 100
    with path.open("wb") as stream:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus), model_writer=stream, vocab_size=64, hard_vocab_limit=False, num_threads=1,
            pad_id=0, unk_id=1, bos_id=-1, eos_id=-1, control_symbols=["[CLS]", "[SEP]", "[MASK]"], minloglevel=2,
            user_defined_symbols=list('()"-.'), split_by_number=False, split_by_unicode_script=False,
        )  # fmt: skip
    return path


def write_tokenizer_json(path: Path) -> Path:
    """Writes the vocabulary as Hugging Face's library keeps BERT's tokenizer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    vocab = {token: index for index, token in enumerate(TOKENS)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(path))
    return path
