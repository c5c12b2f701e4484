"""DistilBERT: BERT's layers under other names, without segments and without a pooler of the encoder's own.

Source: arXiv:1910.01108; names of `DistilBertModel` and its heads in Hugging Face's transformers. The layer before the
classifier stands where BERT has its pooler.
"""

import dataclasses

from modeling.families.base import Family, Pooler
from modeling.families.bert import CHOICE, CLASSIFIER, SPAN, TAGS
from modeling.families.names import HeadNames, HuggingFaceNames, linear, norm

_LAYER, _OURS = "transformer.layer.{layer}", "bert/encoder/layer_{layer}"

_ENCODER = (
    ("embeddings.{table}_embeddings.weight", "bert/embeddings/{table}_embeddings"),
    *norm(
        ("embeddings.LayerNorm", "bert/embeddings/LayerNorm"),
        (f"{_LAYER}.sa_layer_norm", f"{_OURS}/attention/output/LayerNorm"),
        (f"{_LAYER}.output_layer_norm", f"{_OURS}/output/LayerNorm"),
    ),
    *linear(
        (f"{_LAYER}.attention.q_lin", f"{_OURS}/attention/self/query"),
        (f"{_LAYER}.attention.k_lin", f"{_OURS}/attention/self/key"),
        (f"{_LAYER}.attention.v_lin", f"{_OURS}/attention/self/value"),
        (f"{_LAYER}.attention.out_lin", f"{_OURS}/attention/output/dense"),
        (f"{_LAYER}.ffn.lin1", f"{_OURS}/intermediate/dense"),
        (f"{_LAYER}.ffn.lin2", f"{_OURS}/output/dense"),
    ),
)
_MASKED_LM = HeadNames(
    "ForMaskedLM",
    "cls/predictions/output_bias",
    (
        ("vocab_projector.bias", "cls/predictions/output_bias"),
        *linear(("vocab_transform", "cls/predictions/transform/dense")),
        *norm(("vocab_layer_norm", "cls/predictions/transform/LayerNorm")),
    ),
    copies=(("vocab_projector.weight", "bert/embeddings/word_embeddings"),),
)
_CLASSIFIER = dataclasses.replace(CLASSIFIER, rows=(*CLASSIFIER.rows, *linear(("pre_classifier", "bert/pooler/dense"))))

_CHOICE = HeadNames(CHOICE.title, CHOICE.variable, _CLASSIFIER.rows, problem_type=CHOICE.problem_type)

FAMILY = Family(
    model_type="distilbert",
    title="DistilBert",
    hugging_face=HuggingFaceNames("distilbert.", _ENCODER, (_CLASSIFIER, _CHOICE, TAGS, SPAN, _MASKED_LM)),
    renamed={
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "hidden_dim": "intermediate_size",
        "activation": "hidden_act",
        "dropout": "hidden_dropout_prob",
        "attention_dropout": "attention_probs_dropout_prob",
        "seq_classif_dropout": "classifier_dropout",
    },
    defaults={"num_hidden_layers": 6, "classifier_dropout": 0.2},
    has_segments=False,
    pooler=Pooler("relu"),
    lacks={"cls/seq_relationship/output_weights": "it was distilled without next sentences"},
    tokenizer_class="DistilBertTokenizer",
)
