"""Text to tokens to ids. No TensorFlow here.

`FullTokenizer` is the specification of WordPiece: google-research/bert's tokenizer, a character at a time.
`BulkTokenizer` gives the same for many texts at a time, with offsets where asked. `SentencePieceTokenizer` is ALBERT's
and `ByteBpeTokenizer` RoBERTa's; `kinds` says which files each is made from.
"""

from tokenization.base import Encoding, SpecialIds, SpecialTokens, Tokenizer
from tokenization.byte_bpe import ByteBpeTokenizer
from tokenization.casing import check_vocabulary_casing, validate_case_matches_checkpoint
from tokenization.characters import convert_to_unicode, printable_text, whitespace_tokenize
from tokenization.characters import is_control as _is_control
from tokenization.characters import is_punctuation as _is_punctuation
from tokenization.characters import is_whitespace as _is_whitespace
from tokenization.sentencepiece import SentencePieceTokenizer
from tokenization.stated_settings import check_stated_settings
from tokenization.vocabulary import (
    PRETRAINING_TOKENS,
    REQUIRED_TOKENS,
    WORDPIECE_TOKENS,
    convert_by_vocab,
    convert_ids_to_tokens,
    convert_tokens_to_ids,
    load_vocab,
)
from tokenization.wordpiece.basic import BasicTokenizer
from tokenization.wordpiece.bulk import BulkTokenizer
from tokenization.wordpiece.full import FullTokenizer
from tokenization.wordpiece.longest_match import WordpieceTokenizer
from tokenization.wordpiece.normalization import CONTEXT_MARK, CodePointTable, is_context_dependent

__all__ = [
    "CONTEXT_MARK",
    "PRETRAINING_TOKENS",
    "REQUIRED_TOKENS",
    "WORDPIECE_TOKENS",
    "BasicTokenizer",
    "BulkTokenizer",
    "ByteBpeTokenizer",
    "CodePointTable",
    "Encoding",
    "FullTokenizer",
    "SentencePieceTokenizer",
    "SpecialIds",
    "SpecialTokens",
    "Tokenizer",
    "WordpieceTokenizer",
    "_is_control",
    "_is_punctuation",
    "_is_whitespace",
    "check_stated_settings",
    "check_vocabulary_casing",
    "convert_by_vocab",
    "convert_ids_to_tokens",
    "convert_to_unicode",
    "convert_tokens_to_ids",
    "is_context_dependent",
    "load_vocab",
    "printable_text",
    "validate_case_matches_checkpoint",
    "whitespace_tokenize",
]
