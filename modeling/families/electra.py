"""ELECTRA's discriminator: BERT's layers behind embeddings of a width of their own, without a pooler.

The layer before the classifier is that of Hugging Face; Google's own code has a plain classifier on the first token.

Source: arXiv:2003.10555; names of google-research/electra, and of `ElectraModel` and its heads in Hugging Face's
transformers.
"""

from modeling.families.base import Family, Pooler
from modeling.families.bert import CHOICE, EMBEDDING_ROWS, LAYER_ROWS, SPAN, TAGS
from modeling.families.names import GoogleNames, HeadNames, HuggingFaceNames, linear

_CLASSIFIER = HeadNames(
    "ForSequenceClassification",
    "output_weights",
    (
        ("classifier.out_proj.weight", "output_weights"),
        ("classifier.out_proj.bias", "output_bias"),
        *linear(("classifier.dense", "bert/pooler/dense")),
    ),
    scores_labels=True,
)
_CHOICE = HeadNames(
    CHOICE.title,
    CHOICE.variable,
    (*CHOICE.rows, *linear(("sequence_summary.summary", "bert/pooler/dense"))),
    problem_type=CHOICE.problem_type,
)
_PROJECTION_ROWS = linear(("embeddings_project", "bert/embeddings/projection"))
_PRETRAINING = "of pretraining; the discriminator alone is fine-tuned"
_NO_GENERATOR = "is a generator of ELECTRA, which its owners made to pretrain the discriminator; use the discriminator"

FAMILY = Family(
    model_type="electra",
    title="Electra",
    hugging_face=HuggingFaceNames(
        "electra.",
        (*EMBEDDING_ROWS, *_PROJECTION_ROWS, *LAYER_ROWS),
        (_CLASSIFIER, _CHOICE, TAGS, SPAN),
        left_out=(("discriminator_predictions.", _PRETRAINING),),
        refused=(("generator_predictions.", _NO_GENERATOR), ("generator_lm_head.", _NO_GENERATOR)),
    ),
    google=GoogleNames(
        mark="electra/",
        rows=(
            ("electra/embeddings_project/{rest}", "bert/embeddings/projection/{rest}"),
            ("electra/{rest}", "bert/{rest}"),
        ),
        left_out=tuple(
            (start, _PRETRAINING) for start in ("generator/", "generator_predictions/", "discriminator_predictions/")
        ),
    ),
    google_keys=frozenset({"embedding_size"}),
    google_activations={"gelu": "gelu_erf"},
    defaults={
        "embedding_size": 128,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
    },
    projects_embeddings=True,
    pooler=Pooler("gelu_erf", drops_input=True),
    lacks={
        "cls/predictions/output_bias": "its discriminator tells replaced tokens and predicts none",
        "cls/seq_relationship/output_weights": "it was trained without next sentences",
    },
    tokenizer_class="ElectraTokenizer",
)
