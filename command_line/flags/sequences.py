"""Sources and targets: tables; how targets are taught and texts written."""

from typing import Any

from command_line.flags.data import LIMITS, PREDICTED, TABLE, TASK
from command_line.flags.declaration import Flag, Group, Scope, default_of
from modeling.decoder.settings import DECODERS, DecodingSettings
from processors.records.featurizer import TRUNCATIONS
from tasks.sequences.task import SequenceSettings


def _default(field: str) -> Any:
    return default_of(SequenceSettings, field)


def _decoding(field: str) -> Any:
    return default_of(DecodingSettings, field)


TEXTS = Group(
    "Sources and targets",
    (
        TABLE["text_a"].changed(name="source", help="Column of the text to read: header name, or index from 0."),
        TABLE["label"].changed(name="target", help="Column of the text to write; rows to predict need none."),
        TASK["data_dir"].changed(help="Folder of train.*, dev.* (val.*, valid.*, validation.*) and test.*."),
        *(TABLE[name] for name in ("train_file", "dev_file", "test_file")),
        PREDICTED,
        *(TABLE[name] for name in ("delimiter", "quoting", "encoding", "header", "dev_fraction", "on_bad_row")),
        *LIMITS,
    ),
)

CHOICES = Group(
    "Writing",
    (
        Flag(
            "beam_size",
            int,
            _decoding("beam_size"),
            "Texts that are followed at a time (beam search); 1 takes the likeliest token each time.",
            Scope.REMEMBERED,
            minimum=1,
            is_main=True,
            in_export=True,
        ),
        Flag(
            "length_penalty",
            float,
            _decoding("length_penalty"),
            "With --beam_size: texts are compared by log probability over length to this power; larger values favour "
            "longer texts.",
            Scope.REMEMBERED,
            in_export=True,
        ),
        Flag(
            "no_repeat_ngram",
            int,
            _decoding("no_repeat_ngram"),
            "No text has so many tokens in a row twice; 0 lets them repeat.",
            Scope.REMEMBERED,
            minimum=0,
            in_export=True,
        ),
        Flag(
            "num_best",
            int,
            _decoding("num_best"),
            "Texts of each source: the best of a beam, or as many draws.",
            Scope.REMEMBERED,
            minimum=1,
            in_export=True,
        ),
        Flag(
            "top_p",
            float,
            _decoding("top_p"),
            "Draw tokens among the likeliest whose probabilities add up to this (--seed). Without it, none is drawn.",
            Scope.REMEMBERED,
            in_export=True,
        ),
        Flag(
            "temperature",
            float,
            _decoding("temperature"),
            "With --top_p: below 1 the distribution is sharper, above 1 flatter.",
            Scope.REMEMBERED,
            in_export=True,
        ),
    ),
)

WRITING = Group(
    "Decoder",
    (
        Flag(
            "decoder",
            DECODERS,
            _default("decoder"),
            "What writes: prefix, the encoder itself behind its input; or transformer, new layers that attend to what "
            "the encoder has read.",
            Scope.FIXED,
            is_main=True,
        ),
        Flag(
            "decoder_layers",
            int,
            _default("decoder_layers"),
            "With --decoder=transformer: its layers. Without it, as many as the encoder has.",
            Scope.FIXED,
            minimum=1,
        ),
        Flag(
            "decoder_from_encoder",
            bool,
            _default("decoder_from_encoder"),
            "With --decoder=transformer and --init_checkpoint: start its layers from the encoder's, spread over them "
            "from the first to the last; else from random values.",
            Scope.FREE,
        ),
        Flag(
            "max_target_length",
            int,
            _decoding("max_length"),
            "Tokens of a target at most, with the one that ends it.",
            Scope.REMEMBERED,
            is_main=True,
            in_export=True,
        ),
        Flag(
            "cut_targets",
            bool,
            _default("cut_targets"),
            "Cut targets of more than --max_target_length tokens; without it, one stops the run.",
            Scope.FIXED,
        ),
        TASK["truncation"].changed(
            type=TRUNCATIONS,
            help="Which tokens of a source beyond --max_seq_length are kept: the first, the last, or a quarter from "
            "its start and the rest from its end.",
        ),
        TASK["label_smoothing"].changed(
            default=_default("label_smoothing"),
            help="Fraction of a training target that is spread over the vocabulary.",
        ),
    ),
)
