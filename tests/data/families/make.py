"""Makes the small models of this folder, with the outputs of Hugging Face's transformers, and checks folders of ours.

    python tests/data/families/make.py                       make every model and expected.npz again
    python tests/data/families/make.py --check FOLDER NAME   compare a converted folder with NAME's expected.npz

It needs torch, transformers and safetensors (requirements-peer.txt), and nothing of this project.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

HERE = Path(__file__).resolve().parent
ROWS, LENGTHS, LENGTH, VOCABULARY = 4, (9, 5, 12, 2), 12, 30
LABELS = ("no", "maybe", "yes")
SIZES = {"vocab_size": VOCABULARY, "max_position_embeddings": 16}
WIDE = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 12}

MODELS = {
    "bert": (transformers.BertConfig, WIDE | {"type_vocab_size": 2, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3}),
    "distilbert": (transformers.DistilBertConfig, {"dim": 8, "n_layers": 3, "n_heads": 2, "hidden_dim": 12}),
    "electra": (transformers.ElectraConfig, WIDE | {"embedding_size": 6}),
    "roberta": (transformers.RobertaConfig, WIDE | {"layer_norm_eps": 1e-5, "type_vocab_size": 1, "vocab_size": 300}),
    "albert": (
        transformers.AlbertConfig,
        WIDE | {"embedding_size": 6, "num_hidden_groups": 2, "num_hidden_layers": 4, "vocab_size": 60},
    ),
}
TAGS = ("O", "B-good", "I-good", "B-bad", "I-bad")
HEADS = (
    "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM", "ForMultipleChoice",
)  # fmt: skip
OUTPUTS = {"ForSequenceClassification": LABELS, "ForTokenClassification": TAGS}
CHOICES = 2
CLASSES = {
    name: [config.__name__.removesuffix("Config") + head for head in HEADS] for name, (config, _) in MODELS.items()
}
CLASSES["electra"].remove("ElectraForMaskedLM")  # a generator


def inputs(config) -> dict[str, torch.Tensor]:
    """Ids with padding of different lengths, and segments where the family has them."""
    generator = torch.Generator().manual_seed(1)
    pad = config.pad_token_id
    ids = torch.randint(5, VOCABULARY, (ROWS, LENGTH), generator=generator)
    mask = (torch.arange(LENGTH)[None] < torch.tensor(LENGTHS)[:, None]).long()
    fed = {"input_ids": torch.where(mask.bool(), ids, pad), "attention_mask": mask}
    if getattr(config, "type_vocab_size", 1) > 1 and config.model_type != "distilbert":
        fed["token_type_ids"] = torch.randint(0, 2, (ROWS, LENGTH), generator=generator) * mask
    return fed


def outputs(model, fed) -> dict[str, np.ndarray]:
    """Logits, hidden states, and gradients of a cross-entropy of the classifier."""
    model.eval()
    name = type(model).__name__
    if name.endswith("ForMultipleChoice"):  # the same rows, as choices of half as many questions
        fed = {key: value.view(-1, CHOICES, LENGTH) for key, value in fed.items()}
    found = model(**fed, output_hidden_states=True)
    expected = {f"hidden_{index}": states for index, states in enumerate(found.hidden_states)}
    for logits in ("logits", "start_logits", "end_logits"):
        if logits in found:
            expected[logits] = found[logits]
    if name.endswith("ForSequenceClassification"):
        loss = torch.nn.functional.cross_entropy(found.logits, torch.arange(ROWS) % len(LABELS))
        loss.backward()
        expected["loss"] = loss
        expected |= {f"gradient:{key}": p.grad for key, p in model.named_parameters() if p.grad is not None}
    return {key: value.detach().numpy() for key, value in expected.items()}


def make(name: str) -> None:
    """Writes `NAME/CLASS/` for every head class, and `NAME/expected.npz`."""
    config_class, sizes = MODELS[name]
    expected: dict[str, np.ndarray] = {}
    for title in CLASSES[name]:
        torch.manual_seed(7)
        config = config_class(**(SIZES | sizes))
        labels = next((labels for head, labels in OUTPUTS.items() if title.endswith(head)), None)
        if labels is not None:
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: index for index, label in enumerate(labels)}
        model = getattr(transformers, title)(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape) * 0.4 + (parameter.dim() == 1) * 0.2)
        model.save_pretrained(HERE / name / title)
        (HERE / name / title / "generation_config.json").unlink(missing_ok=True)
        fed = inputs(config)
        expected |= {key: value.numpy() for key, value in fed.items()}
        expected |= {f"{title}/{key}": value for key, value in outputs(model, fed).items()}
    np.savez_compressed(HERE / name / "expected.npz", **expected)


TEXTS = [
    "the film was great", " the film  was great ", "The Film's Größe: 12.5%!", "a<mask>b and a <mask> b",
    "</s> in a text, <unk> too", "中文 and 😀 and e\u0301", "tabs\tand\nlines\r\n", "", " ", "don't we'll I'm it's",
    "\u00a0\u2003x", "x" * 300, "null\u0000 char \u0007", "ﬁne ligatures, İstanbul, ΟΔΥΣΣΕΥΣ",
]  # fmt: skip


def make_byte_bpe() -> None:
    """Learns a small byte-level vocabulary, and writes what `RobertaTokenizer` makes of texts and of words."""
    from tokenizers import ByteLevelBPETokenizer

    folder = HERE / "roberta" / "tokenizer"
    folder.mkdir(exist_ok=True)
    learnt = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    corpus = ["the film was great and the food was good", "a very good day", "it was the day of the film"] * 9
    learnt.train_from_iterator(corpus, vocab_size=300, min_frequency=2, special_tokens=special)
    learnt.save_model(str(folder))
    tokenizer = transformers.RobertaTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    words = transformers.RobertaTokenizer.from_pretrained(folder, add_prefix_space=True)
    with (folder / "expected.jsonl").open("w", encoding="utf-8") as stream:
        for text in TEXTS:
            row = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            pair = tokenizer(text, "it was good")["input_ids"]
            split = words(text.split(), is_split_into_words=True, add_special_tokens=False)["input_ids"]
            found = {
                "text": text, "ids": row["input_ids"], "offsets": row["offset_mapping"], "pair": pair, "words": split,
            }  # fmt: skip
            stream.write(json.dumps(found) + "\n")


def make_pickles() -> None:
    """Writes tensors of every type and form as `torch.save` does and did, and a model as `pytorch_model.bin`."""
    folder = HERE.parent / "pickles"
    folder.mkdir(exist_ok=True)
    numbers = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
    tensors = {
        "plain": numbers, "transposed": numbers.T, "rows": numbers[1:3], "scalar": torch.tensor(2.5),
        "empty": torch.zeros([0, 3]), "double": numbers.double(), "half": numbers.half(),
        "bfloat16": numbers.bfloat16(), "long": torch.arange(3), "bool": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(numbers + 1),
    }  # fmt: skip
    torch.save(tensors, folder / "tensors.bin")
    torch.save(tensors, folder / "tensors-of-old.bin", _use_new_zipfile_serialization=False)
    np.savez_compressed(folder / "tensors.npz", **{name: one.detach().float().numpy() for name, one in tensors.items()})
    model = transformers.BertForQuestionAnswering.from_pretrained(HERE / "bert" / "BertForQuestionAnswering")
    torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def check(folder: Path, name: str) -> None:
    """Loads a folder with the class that its config.json names, and compares its outputs."""
    (title,) = json.loads((folder / "config.json").read_text())["architectures"]
    model, report = getattr(transformers, title).from_pretrained(folder, output_loading_info=True)
    expected = np.load(HERE / name / "expected.npz")
    found = outputs(model, inputs(model.config))
    worst = max(np.abs(found[key] - expected[f"{title}/{key}"]).max() for key in found)
    print(f"{folder}: {title}, largest difference {worst:.2e}, {dict(report)}")
    sys.exit(worst > 1e-5 or bool(report["missing_keys"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", nargs=2)
    arguments = parser.parse_args()
    if arguments.check:
        check(Path(arguments.check[0]), arguments.check[1])
    for one in MODELS:
        make(one)
    make_byte_bpe()
    make_pickles()
