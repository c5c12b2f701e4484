"""RoBERTa and DistilRoBERTa: BERT's layers, positions that begin behind those of padding, and a byte-level vocabulary.

The layer before the classifier stands where BERT has its pooler.

Source: arXiv:1907.11692; names of `RobertaModel` and its heads in Hugging Face's transformers.
"""

from modeling.families.base import Family, Pooler
from modeling.families.bert import CHOICE, EMBEDDING_ROWS, LAYER_ROWS, POOLER_ROWS, SPAN, TAGS
from modeling.families.electra import FAMILY as ELECTRA
from modeling.families.names import HeadNames, HuggingFaceNames, linear, norm
from tokenization.byte_bpe import BYTE_BPE_TOKENS

_CLASSIFIER = ELECTRA.hugging_face.heads[0]
_MASKED_LM = HeadNames(
    "ForMaskedLM",
    "cls/predictions/output_bias",
    (
        ("lm_head.bias", "cls/predictions/output_bias"),
        *linear(("lm_head.dense", "cls/predictions/transform/dense")),
        *norm(("lm_head.layer_norm", "cls/predictions/transform/LayerNorm")),
    ),
    copies=(
        ("lm_head.decoder.weight", "bert/embeddings/word_embeddings"),
        ("lm_head.decoder.bias", "cls/predictions/output_bias"),
    ),
)

FAMILY = Family(
    model_type="roberta",
    title="Roberta",
    hugging_face=HuggingFaceNames(
        "roberta.", (*EMBEDDING_ROWS, *LAYER_ROWS, *POOLER_ROWS), (_CLASSIFIER, CHOICE, TAGS, SPAN, _MASKED_LM)
    ),
    fixed={"pad_token_id": BYTE_BPE_TOKENS.pad_id},
    position_offset=BYTE_BPE_TOKENS.pad_id + 1,
    pooler=Pooler("tanh", drops_input=True),
    lacks={"cls/seq_relationship/output_weights": "it was trained without next sentences"},
    tokenizer="byte_bpe",
    tokenizer_class="RobertaTokenizer",
    special_tokens=BYTE_BPE_TOKENS,
)
