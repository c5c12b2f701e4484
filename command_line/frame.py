"""The frame of every script that runs a task: flags, output directory, model, task, then what the command asks for.

A new script declares its flags and says how they become a task.
"""

import abc
import time
from types import SimpleNamespace
from typing import Any, Generic, TypeVar, final

from command_line import commands, execution, model_files, remote_files, scopes, seeds
from command_line.distillation.attach import attach
from command_line.distillation.comparison import compare
from command_line.distillation.student_layers import with_first_layers
from command_line.execution import Results
from command_line.flags.actions import ACTIONS
from command_line.flags.declaration import FlagSet, Group
from command_line.flags.devices import DEVICES
from command_line.flags.model import MODEL
from command_line.flags.training import EVALUATION, STEPS_FLAGS, UPDATES
from command_line.flags.transfer import INSERTED, READING
from command_line.model_files import ModelFiles
from common import onednn
from common.cluster import machines, member
from common.paths import path_of
from common.run_directory import RunDirectory
from processors.reading import MissingDataError
from tasks.base import DEV, TEST, TRAIN, Task

AnyTask = TypeVar("AnyTask", bound=Task)


def task_flags(*groups: Group, transfers: bool = True, **model_defaults: Any) -> FlagSet:
    """The flags of a script that runs a task in epochs: actions, model, training, evaluation and devices.

    Args:
      groups: flags of the task itself, which name what it reads; `DATA_SOURCES` in `command_line.flags.data` has those
        that every task needs.
      transfers: whether the task reads an encoder by its outputs alone, so that flags can say which, and can insert
        adapters into it.
      model_defaults: other defaults of flags of the model, such as `max_seq_length`.
    """
    model = MODEL
    for name, default in model_defaults.items():
        model = model.changed(name, default=default)
    evaluation = EVALUATION.without("max_eval_steps")
    further = (READING, INSERTED) if transfers else ()
    return FlagSet((ACTIONS, model, *further, *groups, UPDATES.without(*STEPS_FLAGS), evaluation, DEVICES))


class TaskScript(abc.ABC, Generic[AnyTask]):
    """A script that runs one kind of task in an output directory.

    Attributes:
      flags: every flag of the script.
      found_as: how run_task.py was told to find the class; None for a script of this project.
    """

    flags: FlagSet
    found_as: str | None = None

    @final
    @property
    def program(self) -> list[str]:
        """The script by its name, with the class of the user's where there is one, as on a command line."""
        kind = type(self)
        if self.found_as is None and kind.__module__.startswith("command_line."):
            return [f"{kind.__module__.rpartition('.')[2]}.py"]
        return ["run_task.py", self.found_as or f"{kind.__module__}:{kind.__qualname__}"]

    @final
    def run(self, flags: SimpleNamespace) -> Results:
        """Does what the flags ask for.

        Returns:
          What was evaluated and exported.

        Raises:
          BertError: an error that the user can fix.
        """
        flags = remote_files.staged(flags, self.flags)
        self.check(flags)
        flags.program = self.program
        if flags.num_seeds > 1 and not (flags.validate_only or flags.only_check_args):
            member.require_one_machine("--num_seeds")
            return seeds.run(flags, self.run)
        directory = RunDirectory(path_of(flags.output_dir or ""))
        commands.refuse_other_script(self.program, directory)
        if self.is_answered(flags, directory):
            return Results()
        flags = remote_files.staged(scopes.settle(flags, self.flags, directory), self.flags)
        flags = self.settled(flags)
        flags = remote_files.renamed(flags, with_first_layers(flags, directory), "init_checkpoint")
        onednn.choose(flags.onednn)
        identity = (directory.description() or {}).get("identity", {})
        files = model_files.load(flags, directory.path, identity, self.reads_text(flags))
        task = self.task(flags, files, directory)
        attach(self, flags, task, files, directory)
        if flags.only_check_args:
            print("the flags, the model files and the description of the data agree")
        elif flags.validate_only:
            self.report(flags, task)
        else:
            directory.check({})
            return self._executed(flags, task, directory, files)
        return Results()

    def _executed(self, flags: SimpleNamespace, task: AnyTask, directory: RunDirectory, files: ModelFiles) -> Results:
        """Does the work, together with the other machines where TF_CONFIG names some."""
        here = member.member_here()
        if here is not None:
            execution.check_cluster(flags, len(here.names))
        with machines.joined(here, flags.cluster_timeout) as cluster:
            cluster.agree(scopes.in_common(flags, self.flags), "give every machine the same command")
            directory = RunDirectory(directory.path, cluster)
            with directory.owned():
                started = time.monotonic()
                results = self.execute(flags, task, directory, files)
                if getattr(flags, "compare_teacher", False):
                    compare(self, flags, task, files, directory)
                command = commands.same(flags, self.flags)
                directory.write_end(command, time.monotonic() - started, results.scores)
                return results

    def check(self, flags: SimpleNamespace) -> None:
        """Checks flags against each other before anything is read; those that every script has by default.

        Raises:
          FlagError: one is missing, or two contradict each other.
        """
        execution.check_actions(flags)

    def is_answered(self, flags: SimpleNamespace, directory: RunDirectory) -> bool:
        """Answers standard input from the newest export where the command asks for nothing else."""
        return execution.answered_from_export(flags, self.flags, directory)

    def settled(self, flags: SimpleNamespace) -> SimpleNamespace:
        """The flags after those of earlier commands are known, checked again; unchanged by default."""
        return flags

    def reads_text(self, flags: SimpleNamespace) -> bool:
        """Whether the command tokenizes text, so that it needs a vocabulary."""
        del flags
        return True

    @abc.abstractmethod
    def task(self, flags: SimpleNamespace, files: ModelFiles, directory: RunDirectory) -> AnyTask:
        """The task that the flags describe."""

    def report(self, flags: SimpleNamespace, task: AnyTask) -> None:
        """Prints the data report of `--validate_only`: by default the examples and windows of each split."""
        del flags
        for split in (TRAIN, DEV, TEST):
            try:
                counts = [len(windows) for windows in task.featurizer.featurize(list(task.examples(split)))]
            except MissingDataError as error:
                print(f"{split}: {error}")
                continue
            print(f"{split}: {len(counts)} examples, {sum(counts)} windows")

    def execute(self, flags: SimpleNamespace, task: AnyTask, directory: RunDirectory, files: ModelFiles) -> Results:
        """Trains, evaluates, predicts, exports."""
        return execution.execute(flags, self.flags, task, directory, files)
