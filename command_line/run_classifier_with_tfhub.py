"""run_classifier_with_tfhub.py: the classifier, with a TensorFlow Hub module in place of a checkpoint."""

from types import SimpleNamespace

from command_line.flags.declaration import Flag, FlagSet, Group, Scope
from command_line.run_classifier import SCRIPT as CLASSIFIER
from common.errors import FlagError
from common.paths import path_of
from common.run_directory import RunDirectory

HANDLE = Flag(
    "bert_hub_module_handle",
    str,
    None,
    "Folder of a TensorFlow Hub module of BERT, which weights, vocabulary and casing come from; format of TensorFlow 1 "
    "or 2.",
    Scope.FREE,
    is_path=True,
    is_main=True,
)


class HubScript:
    """run_classifier.py with a module as its checkpoint."""

    flags = FlagSet((Group("Module", (HANDLE,)), *CLASSIFIER.flags.groups))

    def run(self, flags: SimpleNamespace) -> object:
        """Does what the flags ask for.

        Args:
          flags: those of run_classifier.py, and `bert_hub_module_handle`; not needed where `output_dir` is trained.

        Raises:
          BertError: an error that the user can fix.
        """
        if flags.init_checkpoint:
            raise FlagError(
                f"--init_checkpoint={flags.init_checkpoint}: weights come from --bert_hub_module_handle; leave it out, "
                "or use run_classifier.py"
            )
        if flags.bert_hub_module_handle:
            from modeling.checkpoints.hub import check_module

            flags.init_checkpoint = check_module(flags.bert_hub_module_handle)
        elif not RunDirectory(path_of(flags.output_dir or "")).is_trained():
            raise FlagError("--bert_hub_module_handle is missing; give the folder of a module")
        return CLASSIFIER.run(flags)


SCRIPT = HubScript()
