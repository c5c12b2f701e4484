"""BERT, and the rows of names that other families share with it.

Source: arXiv:1810.04805; names of `BertModel` and its heads in Hugging Face's transformers, and of
`BertEncoder` in the Model Garden.
"""

from modeling.families.base import Family
from modeling.families.names import HeadNames, HuggingFaceNames, ObjectNames, Row, linear, norm

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
    scores_labels=True,
)
TAGS = HeadNames(
    "ForTokenClassification",
    "cls/tags/output_weights",
    (("classifier.weight", "cls/tags/output_weights"), ("classifier.bias", "cls/tags/output_bias")),
    scores_labels=True,
)
CHOICE = HeadNames("ForMultipleChoice", CLASSIFIER.variable, CLASSIFIER.rows, problem_type="multiple_choice")
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


def object_rows(layer: str, ours: str) -> tuple[Row, ...]:
    """Rows of the Model Garden's encoders, whose layers are called `layer` there and `ours` here."""
    return (
        ("word_embeddings/embeddings", "bert/embeddings/word_embeddings"),
        ("position_embedding/embeddings", "bert/embeddings/position_embeddings"),
        ("type_embeddings/embeddings", "bert/embeddings/token_type_embeddings"),
        ("embeddings/layer_norm/{leaf}", "bert/embeddings/LayerNorm/{leaf}"),
        (f"{layer}/self_attention/{{role}}/{{leaf}}", f"{ours}/attention/self/{{role}}/{{leaf}}"),
        (f"{layer}/self_attention/attention_output/{{leaf}}", f"{ours}/attention/output/dense/{{leaf}}"),
        (f"{layer}/self_attention_layer_norm/{{leaf}}", f"{ours}/attention/output/LayerNorm/{{leaf}}"),
        (f"{layer}/intermediate/{{leaf}}", f"{ours}/intermediate/dense/{{leaf}}"),
        (f"{layer}/output/{{leaf}}", f"{ours}/output/dense/{{leaf}}"),
        (f"{layer}/output_layer_norm/{{leaf}}", f"{ours}/output/LayerNorm/{{leaf}}"),
        # Pretraining and classifiers may have a pooler of their own, and leave that of the encoder as it was made.
        ("next_sentence/pooler_dense/{leaf}", "bert/pooler/dense/{leaf}"),
        ("sentence_prediction/pooler_dense/{leaf}", "bert/pooler/dense/{leaf}"),
        ("pooler_transform/{leaf}", "bert/pooler/dense/{leaf}"),
        ("cls/predictions/output_bias/bias", "cls/predictions/output_bias"),
        ("cls/predictions/transform/{part}/{leaf}", "cls/predictions/transform/{part}/{leaf}"),
        ("next_sentence/logits/kernel", "cls/seq_relationship/output_weights"),
        ("next_sentence/logits/bias", "cls/seq_relationship/output_bias"),
        ("sentence_prediction/logits/kernel", "output_weights"),
        ("sentence_prediction/logits/bias", "output_bias"),
    )


FAMILY = Family(
    model_type="bert",
    title="Bert",
    hugging_face=HuggingFaceNames(
        prefix="bert.",
        encoder=(*EMBEDDING_ROWS, *LAYER_ROWS, *POOLER_ROWS),
        heads=(
            CLASSIFIER,
            CHOICE,
            TAGS,
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
    objects=ObjectNames(object_rows("transformer/layer_{layer}", "bert/encoder/layer_{layer}")),
)
