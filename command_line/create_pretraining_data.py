"""create_pretraining_data.py from flags to one call."""

import logging
from pathlib import Path
from types import SimpleNamespace

from command_line.app import Script
from command_line.extra_tokens import with_extra_tokens
from command_line.flags.corpus import FILES, INSTANCES, STREAMING
from command_line.flags.declaration import FlagSet
from command_line.settings import require
from common.errors import FlagError, VocabularyError
from modeling.families import registry
from processors.pretraining.corpus import corpus_files
from processors.pretraining.instances import InstanceSettings
from processors.pretraining.masking import MaskingSettings
from processors.pretraining.pretraining_data import PretrainingData
from processors.pretraining.shards import STREAM_FROM_BYTES, exact, stream
from processors.records import record_sets
from processors.records.pair_layout import PairLayout
from tokenization import Tokenizer
from tokenization.kinds import Asked, kind_of_file

log = logging.getLogger(__name__)

FEWEST_PIECES = 2
"""Least text of a sequence: one token for each segment of a pair."""


def run(options: SimpleNamespace) -> None:
    """Writes the records that the flags ask for.

    Raises:
      BertError: an error that the user can fix.
    """
    require(options, "input_file", "output_file", "vocab_file")
    check_lengths(options)
    check_runner(options)
    outputs = output_files(options)
    files = corpus_files(options.input_file)
    clash = {path.resolve() for path in files} & {path.resolve() for path in outputs}
    if clash:
        raise FlagError(f"--output_file={clash.pop()} is also an --input_file; give another name")
    data = PretrainingData(
        files=files,
        outputs=outputs,
        tokenizer=tokenizer(options),
        instances=instance_settings(options),
        seed=options.random_seed,
        segmented=options.segmented,
        pad=options.pad_records,
        num_shards=options.num_shards,
        block_size=options.block_size,
        pack_sequences=options.pack_sequences,
        encoding=options.encoding,
    )
    if options.runner:
        from processors.pretraining import beam

        beam.run(data, options.runner, options.beam_options)
    elif is_streaming(options.streaming, files):
        stream(data, options.num_workers or record_sets.automatic_workers(files))
    else:
        exact(data)


def check_lengths(options: SimpleNamespace) -> None:
    """Checks flags that decide the shape of a record.

    Raises:
      FlagError: a length is too small, or two flags do not go together.
    """
    special = kind_of_file(Path(options.vocab_file)).special_tokens
    layout = PairLayout(special.cls, special.sep, special.pad_id, special.pair_separators)
    specials = layout.specials_alone if options.no_nsp else layout.specials_of_pair
    room = options.max_seq_length - specials
    if room < FEWEST_PIECES:
        raise FlagError(
            f"--max_seq_length={options.max_seq_length} leaves {max(room, 0)} pieces of text beside {specials} special "
            f"ones; expected at least {specials + FEWEST_PIECES}"
        )
    if not 1 <= options.max_predictions_per_seq <= room:
        suits = max(1, min(room, round(options.max_seq_length * options.masked_lm_prob)))
        raise FlagError(
            f"--max_predictions_per_seq={options.max_predictions_per_seq} with "
            f"--max_seq_length={options.max_seq_length}; expected 1 to {room}; {suits} would suit "
            f"--masked_lm_prob={options.masked_lm_prob:g}"
        )
    if options.do_sop and options.no_nsp:
        raise FlagError("--do_sop makes pairs, and --no_nsp none; leave one of them out")
    if options.segmented and not options.do_whole_word_mask:
        raise FlagError("--segmented has a meaning with --do_whole_word_mask only; add that, or remove --segmented")


def check_runner(options: SimpleNamespace) -> None:
    """Checks the flags of a Beam pipeline against the others.

    Raises:
      FlagError: two flags do not go together.
    """
    if options.beam_options and not options.runner:
        raise FlagError("--beam_options are for Apache Beam; name a --runner, as in --runner=DirectRunner")
    for name in ("input_file", "output_file"):
        given = getattr(options, name)
        if options.runner and "://" in given:
            raise FlagError(
                f"--{name}={given}: is an address, expected paths; mount the storage under one path on this machine "
                "and on every worker, and give that path"
            )
    if options.runner and options.streaming is False:
        raise FlagError(
            f"--runner={options.runner} streams, and --nostreaming asks for a shuffle of the whole corpus in memory; "
            "leave one of them out"
        )
    if options.runner and options.num_workers:
        raise FlagError(
            f"--num_workers={options.num_workers} are processes of our own; with --runner={options.runner} say it in "
            "--beam_options, as in --beam_options=--direct_num_workers=2"
        )


def output_files(options: SimpleNamespace) -> list[Path]:
    """The paths of `--output_file`.

    Raises:
      FlagError: an empty or repeated name, a folder, or a number of shards that contradicts the list.
    """
    names = [name.strip() for name in options.output_file.split(",")]
    paths = [Path(name) for name in names]
    if "" in names or len(set(paths)) < len(paths):
        raise FlagError(f"--output_file={options.output_file}: an empty or repeated name; give each file once")
    for path in paths:
        if path.is_dir():
            raise FlagError(
                f"--output_file={path}: is a folder, expected a file name; add one, as in {path}/train.tf_record"
            )
    if options.num_shards and len(paths) not in (1, options.num_shards):
        raise FlagError(
            f"--num_shards={options.num_shards} contradicts the {len(paths)} names of --output_file; "
            "give one name, which shards are numbered after, or leave --num_shards out"
        )
    return paths


def tokenizer(options: SimpleNamespace) -> Tokenizer:
    """The tokenizer of a vocabulary that can be used for pretraining.

    Raises:
      VocabularyError: the vocabulary is unusable or has no `[MASK]`.
      FlagError: it was made for the other casing.
    """
    path = Path(options.vocab_file)
    kind = kind_of_file(path)
    lower = options.do_lower_case if "do_lower_case" in options.given else None
    asked = Asked(lower, options.strip_accents, options.tokenize_chinese_chars)
    loaded = kind.load(path, asked, kind.special_tokens)
    kind.check(loaded, path, registry.tokenizer_classes(loaded.kind))
    if options.extra_tokens:
        loaded, _ = with_extra_tokens(kind, loaded, options.extra_tokens)
    if loaded.special_ids.mask is None:
        raise VocabularyError(
            f"{path}: {kind.special_tokens.mask} not among its {len(loaded.tokens)} tokens, which hides the tokens to "
            "guess; take the vocabulary that came with a checkpoint of pretraining"
        )
    return loaded


def instance_settings(options: SimpleNamespace) -> InstanceSettings:
    """How documents become instances."""
    return InstanceSettings(
        max_seq_length=options.max_seq_length,
        dupe_factor=options.dupe_factor,
        short_seq_prob=options.short_seq_prob,
        masking=MaskingSettings(options.masked_lm_prob, options.max_predictions_per_seq, options.do_whole_word_mask),
        next_sentence=not options.no_nsp,
        sentence_order=options.do_sop,
    )


def is_streaming(given: bool | None, files: list[Path]) -> bool:
    """Whether to work block by block: as the flag says, else by the size of the files; says which in the log."""
    size = sum(path.stat().st_size for path in files)
    streaming = size > STREAM_FROM_BYTES if given is None else given
    if streaming:
        log.info(
            "streaming %d files (%.1f MiB): pairs and shuffle stay within blocks; --nostreaming does upstream's global "
            "shuffle in memory", len(files), size / (1 << 20),
        )  # fmt: skip
    else:
        log.info("reading %d files (%.1f MiB) into memory; upstream's global shuffle", len(files), size / (1 << 20))
    return streaming


SCRIPT = Script(FlagSet((FILES, INSTANCES, STREAMING)), run)
