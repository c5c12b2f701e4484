"""run_seq2seq.py: its flags, and how they become a task."""

from types import SimpleNamespace

from command_line.execution import check_actions
from command_line.flags.sequences import CHOICES, TEXTS, WRITING
from command_line.frame import TaskScript, task_flags
from command_line.model_files import ModelFiles
from command_line.settings import limits
from command_line.table import changed_files, named_files
from common.errors import FlagError
from common.run_directory import RunDirectory
from modeling.decoder.settings import DecodingSettings
from processors.example_source import ExampleSource
from processors.problem_types import REGRESSION
from processors.sequences.table import SequenceTable
from processors.tables.spec import Columns, TableFormat, TableSpec
from tasks.sequences.task import SequenceSettings, SequenceTask


class SequenceScript(TaskScript[SequenceTask]):
    """run_seq2seq.py."""

    flags = task_flags(TEXTS, WRITING, CHOICES, transfers=False)

    def check(self, flags: SimpleNamespace) -> None:
        """Checks the flags against each other."""
        check_actions(flags)
        if flags.predict_file and not flags.do_predict:
            raise FlagError("--predict_file needs --do_predict; add it")
        decoding_settings(flags)
        if flags.export_onnx:
            raise FlagError(
                "--export_onnx: texts are written in a loop, which ONNX files of this project do not have; leave it out"
            )
        for name in ("use_tpu", "use_xla"):
            if getattr(flags, name):
                raise FlagError(f"--{name}: texts grow while they are written, but it needs fixed shapes; leave it out")

    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> SequenceTask:
        """Sources and targets of the tables that the flags name."""
        settings = SequenceSettings(
            max_seq_length=flags.max_seq_length,
            truncation=flags.truncation,
            cut_targets=flags.cut_targets,
            decoder=flags.decoder,
            decoder_layers=flags.decoder_layers,
            decoder_from_encoder=flags.decoder_from_encoder,
            label_smoothing=flags.label_smoothing,
        )
        decoding = decoding_settings(flags)
        processor = SequenceTable(table_spec(flags), data_dir=flags.data_dir, **changed_files(flags))
        source = ExampleSource(processor, flags.data_dir, directory.path if flags.output_dir else None)
        return SequenceTask(files.text_tokenizer, source, settings, decoding, files.config, limits(flags))


def decoding_settings(flags: SimpleNamespace) -> DecodingSettings:
    """How the flags ask for texts to be written.

    Raises:
      FlagError: they do not go together.
    """
    names = ("beam_size", "length_penalty", "no_repeat_ngram", "num_best", "top_p", "temperature", "seed")
    return DecodingSettings(max_length=flags.max_target_length, **{name: getattr(flags, name) for name in names})


def table_spec(flags: SimpleNamespace) -> TableSpec:
    """The tables that the flags describe.

    Raises:
      FlagError: a column or the files are missing.
    """
    needed = {"source": True, "target": flags.do_train or flags.do_eval}
    for name, is_needed in needed.items():
        if is_needed and not getattr(flags, name):
            raise FlagError(f"--{name} is missing; give the column of the {name}: a header name, or an index from 0")
    if not flags.data_dir and not named_files(flags):
        raise FlagError(
            "--data_dir is missing; give the folder of the tables, or --train_file, --dev_file, --test_file"
        )
    return TableSpec(
        columns=Columns(flags.source, label=flags.target),
        format=TableFormat(flags.delimiter, flags.quoting, flags.encoding, flags.header is not False),
        problem_type=REGRESSION.name,  # no classes
        dev_fraction=flags.dev_fraction,
        seed=flags.seed,
        on_bad_row=flags.on_bad_row,
    )


SCRIPT = SequenceScript()
