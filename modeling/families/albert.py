"""ALBERT: one set of weights for a whole group of layers, behind embeddings of a width of their own.

A group stands in the graph under the name of a layer, with the number of the group.

Source: arXiv:1909.11942; names of google-research/albert, and of `AlbertModel` and its heads in Hugging Face's
transformers.
"""

from modeling.families.base import Family
from modeling.families.bert import CHOICE, CLASSIFIER, EMBEDDING_ROWS, SPAN, TAGS, object_rows
from modeling.families.names import GoogleNames, HeadNames, HuggingFaceNames, ObjectNames, linear, norm
from tokenization.sentencepiece import SENTENCEPIECE_TOKENS

_GROUP, _OURS = "encoder.albert_layer_groups.{layer}.albert_layers.0", "bert/encoder/layer_{layer}"
_GOOGLE = "bert/encoder/transformer/group_{layer}/inner_group_0"

_ENCODER = (
    *EMBEDDING_ROWS,
    *linear(
        ("encoder.embedding_hidden_mapping_in", "bert/embeddings/projection"),
        (f"{_GROUP}.attention.{{role}}", f"{_OURS}/attention/self/{{role}}"),
        (f"{_GROUP}.attention.dense", f"{_OURS}/attention/output/dense"),
        (f"{_GROUP}.ffn", f"{_OURS}/intermediate/dense"),
        (f"{_GROUP}.ffn_output", f"{_OURS}/output/dense"),
        ("pooler", "bert/pooler/dense"),
    ),
    *norm(
        (f"{_GROUP}.attention.LayerNorm", f"{_OURS}/attention/output/LayerNorm"),
        (f"{_GROUP}.full_layer_layer_norm", f"{_OURS}/output/LayerNorm"),
    ),
)
_MASKED_LM = HeadNames(
    "ForMaskedLM",
    "cls/predictions/output_bias",
    (
        ("predictions.bias", "cls/predictions/output_bias"),
        *linear(("predictions.dense", "cls/predictions/transform/dense")),
        *norm(("predictions.LayerNorm", "cls/predictions/transform/LayerNorm")),
    ),
    copies=(
        ("predictions.decoder.weight", "bert/embeddings/word_embeddings"),
        ("predictions.decoder.bias", "cls/predictions/output_bias"),
    ),
)
_SENTENCE_ORDER = HeadNames(
    "ForPreTraining",
    "cls/seq_relationship/output_weights",
    (
        ("sop_classifier.classifier.weight", "cls/seq_relationship/output_weights"),
        ("sop_classifier.classifier.bias", "cls/seq_relationship/output_bias"),
    ),
    includes="ForMaskedLM",
)

FAMILY = Family(
    model_type="albert",
    title="Albert",
    hugging_face=HuggingFaceNames("albert.", _ENCODER, (CLASSIFIER, CHOICE, TAGS, SPAN, _SENTENCE_ORDER, _MASKED_LM)),
    google=GoogleNames(
        mark="bert/encoder/transformer/group_",
        rows=(
            ("bert/encoder/embedding_hidden_mapping_in/{rest}", "bert/embeddings/projection/{rest}"),
            (f"{_GOOGLE}/attention_1/self/{{rest}}", f"{_OURS}/attention/self/{{rest}}"),
            (f"{_GOOGLE}/attention_1/output/dense/{{rest}}", f"{_OURS}/attention/output/dense/{{rest}}"),
            (f"{_GOOGLE}/LayerNorm/{{rest}}", f"{_OURS}/attention/output/LayerNorm/{{rest}}"),
            (f"{_GOOGLE}/ffn_1/intermediate/dense/{{rest}}", f"{_OURS}/intermediate/dense/{{rest}}"),
            (f"{_GOOGLE}/ffn_1/intermediate/output/dense/{{rest}}", f"{_OURS}/output/dense/{{rest}}"),
            (f"{_GOOGLE}/LayerNorm_1/{{rest}}", f"{_OURS}/output/LayerNorm/{{rest}}"),
        ),
    ),
    objects=ObjectNames(
        (
            ("embedding_projection/{leaf}", "bert/embeddings/projection/{leaf}"),
            *object_rows("transformer", "bert/encoder/layer_0"),
        )
    ),
    google_config="albert_config.json",
    google_keys=frozenset({"embedding_size", "num_hidden_groups"}),
    renamed={"classifier_dropout_prob": "classifier_dropout"},
    defaults={
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_hidden_groups": 1,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    fixed={
        "inner_group_num": 1,
        "down_scale_factor": 1,
        "net_structure_type": 0,
        "gap_size": 0,
        "num_memory_blocks": 0,
    },
    projects_embeddings=True,
    shares_layers=True,
    tokenizer="sentencepiece",
    further_tokenizers=("wordpiece",),  # Chinese ALBERT
    tokenizer_class="AlbertTokenizer",
    special_tokens=SENTENCEPIECE_TOKENS,
)
