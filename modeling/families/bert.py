"""BERT, and the rows of names that other families share with it.

Source: arXiv:1810.04805; names of `BertModel` and its heads in Hugging Face's transformers.
"""

from modeling.families.base import Family
from modeling.families.names import HeadNames, HuggingFaceNames, linear, norm

EMBEDDING_ROWS = (
    ("embeddings.{table}_embeddings.weight", "bert/embeddings/{table}_embeddings"),
    *norm(("embeddings.LayerNorm", "bert/embeddings/LayerNorm")),
)
LAYER_ROWS = (
    *linear(
        ("encoder.layer.{layer}.attention.self.{role}", "bert/encoder/layer_{layer}/attention/self/{role}"),
        ("encoder.layer.{layer}.attention.output.dense", "bert/encoder/layer_{layer}/attention/output/dense"),
        ("encoder.layer.{layer}.{block}.dense", "bert/encoder/layer_{layer}/{block}/dense"),
    ),
    *norm(
        ("encoder.layer.{layer}.attention.output.LayerNorm", "bert/encoder/layer_{layer}/attention/output/LayerNorm"),
        ("encoder.layer.{layer}.output.LayerNorm", "bert/encoder/layer_{layer}/output/LayerNorm"),
    ),
)
POOLER_ROWS = linear(("pooler.dense", "bert/pooler/dense"))

CLASSIFIER = HeadNames(
    "ForSequenceClassification",
    "output_weights",
    (("classifier.weight", "output_weights"), ("classifier.bias", "output_bias")),
)
SPAN = HeadNames(
    "ForQuestionAnswering",
    "cls/squad/output_weights",
    (("qa_outputs.weight", "cls/squad/output_weights"), ("qa_outputs.bias", "cls/squad/output_bias")),
)

_MASKED_LM_ROWS = (
    ("cls.predictions.bias", "cls/predictions/output_bias"),
    *linear(("cls.predictions.transform.dense", "cls/predictions/transform/dense")),
    *norm(("cls.predictions.transform.LayerNorm", "cls/predictions/transform/LayerNorm")),
)
_COPIES = (
    ("cls.predictions.decoder.weight", "bert/embeddings/word_embeddings"),
    ("cls.predictions.decoder.bias", "cls/predictions/output_bias"),
)
_NEXT_SENTENCE_ROWS = (
    ("cls.seq_relationship.weight", "cls/seq_relationship/output_weights"),
    ("cls.seq_relationship.bias", "cls/seq_relationship/output_bias"),
)

FAMILY = Family(
    model_type="bert",
    title="Bert",
    hugging_face=HuggingFaceNames(
        prefix="bert.",
        encoder=(*EMBEDDING_ROWS, *LAYER_ROWS, *POOLER_ROWS),
        heads=(
            CLASSIFIER,
            SPAN,
            HeadNames(
                "ForPreTraining",
                "cls/seq_relationship/output_weights",
                _NEXT_SENTENCE_ROWS,
                includes="ForMaskedLM",
            ),
            HeadNames("ForMaskedLM", "cls/predictions/output_bias", _MASKED_LM_ROWS, _COPIES),
        ),
    ),
)
