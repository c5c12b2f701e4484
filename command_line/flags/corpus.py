"""How a corpus becomes pretraining records."""

from typing import Any

from command_line.flags.data import ENCODING
from command_line.flags.declaration import Flag, Group, Scope, default_of
from command_line.flags.devices import BEAM, DEVICES
from command_line.flags.model import MODEL
from command_line.flags.pretraining import PRETRAINING
from processors.pretraining.instances import InstanceSettings
from processors.pretraining.masking import MaskingSettings
from processors.pretraining.pretraining_data import PretrainingData
from processors.pretraining.shards import STREAM_FROM_BYTES


def _instances(field: str) -> Any:
    return default_of(InstanceSettings, field)


def _masking(field: str) -> Any:
    return default_of(MaskingSettings, field)


def _data(field: str) -> Any:
    return default_of(PretrainingData, field)


FILES = Group(
    "Files",
    (
        PRETRAINING["input_file"].changed(
            help="Corpus: comma-separated text files, globs or folders (every .txt and .txt.gz below them, sorted); a "
            "sentence a line, a blank line between documents.",
        ),
        Flag(
            "output_file",
            str,
            None,
            "Record file to write, or several, comma-separated.",
            Scope.FREE,
            is_path=True,
            is_main=True,
        ),
        ENCODING.changed(help="Encoding of the corpus. Without it, UTF-8.", scope=Scope.FREE, decides_rows=False),
        *MODEL.only(
            "vocab_file", "do_lower_case", "strip_accents", "tokenize_chinese_chars", "extra_tokens", "max_seq_length"
        )
        .changed("vocab_file", help="Vocabulary: vocab.txt, spiece.model, or vocab.json with merges.txt beside it.")
        .flags,
    ),
)

INSTANCES = Group(
    "Instances",
    (
        Flag(
            "do_whole_word_mask",
            bool,
            _masking("do_whole_word_mask"),
            "Mask all tokens of a word or none.",
            Scope.FREE,
            is_main=True,
        ),
        PRETRAINING["max_predictions_per_seq"].changed(minimum=None),
        Flag("random_seed", int, _data("seed"), "Seed of all random choices.", Scope.FREE),
        Flag(
            "dupe_factor",
            int,
            _instances("dupe_factor"),
            "Passes over the corpus, each with other pairs and masks.",
            Scope.FREE,
            minimum=1,
            is_main=True,
        ),
        Flag(
            "masked_lm_prob",
            float,
            _masking("masked_lm_prob"),
            "Fraction of the tokens that are masked.",
            Scope.FREE,
            minimum=0.0,
            maximum=1.0,
        ),
        Flag(
            "short_seq_prob",
            float,
            _instances("short_seq_prob"),
            "Fraction of the sequences that are shorter than --max_seq_length on purpose.",
            Scope.FREE,
            minimum=0.0,
            maximum=1.0,
        ),
        Flag("no_nsp", bool, False, "Pack full sentences into one segment, without next-sentence pairs.", Scope.FREE),
        Flag(
            "do_sop",
            bool,
            _instances("sentence_order"),
            "Pairs for sentence-order prediction (ALBERT): the second text follows the first, or both change places.",
            Scope.FREE,
        ),
        Flag(
            "segmented",
            bool,
            _data("segmented"),
            "Blanks in the corpus separate words, so that --do_whole_word_mask knows the words of Chinese.",
            Scope.FREE,
        ),
        Flag(
            "pad_records",
            bool,
            _data("pad"),
            "Write rows of one length, as google-research/bert reads them; without padding the files are smaller.",
            Scope.FREE,
        ),
        Flag(
            "pack_sequences",
            bool,
            _data("pack_sequences"),
            "Put several short instances into a row, as far as --max_seq_length and --max_predictions_per_seq allow: "
            "less padding where rows have one length. run_pretraining.py recognises such records by their fields.",
            Scope.FREE,
        ),
    ),
)

STREAMING = Group(
    "Streaming",
    (
        Flag(
            "streaming",
            bool,
            None,
            "Pair and shuffle block by block in flat memory, not the whole corpus at once. Without it, for a corpus of "
            f"more than {STREAM_FROM_BYTES >> 20} MiB.",
            Scope.FREE,
            is_main=True,
        ),
        Flag(
            "num_shards",
            int,
            None,
            "Write OUTPUT_FILE-00000-of-N and so on; when streaming, an interrupted run keeps its whole shards.",
            Scope.FREE,
            minimum=1,
            is_main=True,
        ),
        DEVICES["num_workers"].changed(
            help="Processes that convert when streaming. Without it, all cores for more than 8 MiB of text, else 1. "
            "The records are the same.",
        ),
        Flag(
            "block_size",
            int,
            _data("block_size"),
            "Characters of text in a block when streaming.",
            Scope.FREE,
            minimum=1,
        ),
        BEAM["runner"].changed(
            help="Stream as an Apache Beam pipeline on this runner (DirectRunner, FlinkRunner, ... or module.Class), a "
            "worker a shard at a time; the records are the same. It needs apache-beam, and paths that every worker "
            "sees.",
        ),
        BEAM["beam_options"],
    ),
)
