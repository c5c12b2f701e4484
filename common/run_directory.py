"""An output directory that describes itself, and refuses a run that contradicts it."""

import contextlib
import dataclasses
import errno
import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from common import command_records
from common.checkpoints import latest_checkpoint
from common.cluster.base import ALONE, Cluster
from common.errors import BertError, RunDirectoryError
from common.exclusive import locked, sweep
from common.files import copy_atomically, json_object, write_atomically
from common.paths import is_remote, path_of

log = logging.getLogger(__name__)

RUN_FILE = "run.json"
_EXPORTS = "exports"
"""Where `run.json` names the checkpoint that each export was made of."""
BEST = "best"
"""Folder of the best checkpoint, in the output directory."""


@dataclasses.dataclass(frozen=True)
class RunDirectory:
    """An output directory: `run.json`, `vocab.txt`, `bert_config.json`, `labels.txt`, checkpoints, results, exports.

    Args:
      path: of the directory.
      cluster: the machines that share it, of which the chief alone writes.
    """

    path: Path
    cluster: Cluster = dataclasses.field(default=ALONE, compare=False, repr=False)

    @property
    def vocab_file(self) -> Path:
        """The vocabulary the run was made with."""
        return self.path / "vocab.txt"

    @property
    def config_file(self) -> Path:
        """The architecture, as upstream's `bert_config.json`."""
        return self.path / "bert_config.json"

    @property
    def labels_file(self) -> Path:
        """Label names, a line each, in the order of the class ids."""
        return self.path / "labels.txt"

    @property
    def export_dir(self) -> Path:
        """Where exports lie, each under its time stamp."""
        return self.path / "export"

    def _export_dirs(self) -> tuple[Path, Path]:
        return self.export_dir, self.path / "export_ids"

    def description(self) -> dict[str, Any] | None:
        """What `run.json` says; None where there is none.

        Raises:
          RunDirectoryError: it cannot be read.
        """
        path = self.path / RUN_FILE
        if not path.is_file():
            return None
        try:
            found = json_object(path.read_bytes())
            for part in ("identity", "flags"):
                if not isinstance(found.get(part, {}), dict):
                    raise ValueError(f"has no object under {part}")
            for part in ("held_out", "base"):
                if not isinstance(found.get(part) or {}, dict):
                    raise ValueError(f"has no object under {part}")
            if not isinstance(found.get("identity", {}).get("labels") or [], list):
                raise ValueError("has no list under identity.labels")
            command_records.check(found.get(command_records.KEY) or [])
        except ValueError as error:
            raise RunDirectoryError(f"{path}: {error}; restore it or choose another --output_dir") from None
        except OSError as error:
            raise RunDirectoryError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
        return found

    def check(self, identity: Mapping[str, Any]) -> None:
        """Compares a run with what is here, before anything is written.

        Raises:
          RunDirectoryError: the path is a file, or the directory belongs to a run that differs.
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunDirectoryError(f"--output_dir={self.path} is a file; expected a directory; choose another")
        description = self.description()
        if description is None:
            return
        there = description.get("identity", {})
        differences = [
            f"{key}: {_short(there.get(key))} there, {_short(value)} now"
            for key, value in identity.items()
            if key in there and there[key] != value
        ]
        if differences:
            raise RunDirectoryError(
                f"--output_dir={self.path} belongs to another run ({'; '.join(differences)}); "
                "choose another --output_dir, or repeat its settings"
            )

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Makes the directory this process's own for a block: it exists, nobody else writes to it, leftovers are gone.

        A directory that was not there is taken away again where the block fails and leaves it empty.

        Raises:
          RunDirectoryError: the directory cannot be made or written to, or another process writes to it.

        In a cluster it is the chief's own.
        """
        if not self.cluster.is_chief:
            yield
            return
        above = () if is_remote(self.path) else self.path.parents
        absent = [folder for folder in (self.path, *above) if not folder.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        if not is_remote(self.path) and not os.access(self.path, os.W_OK | os.X_OK):
            raise self._unusable(PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        try:
            with locked(self.path):
                sweep((self.path, self.path / BEST, *self._export_dirs()), copies=(self.path / BEST,))
                yield
        except BaseException:
            with contextlib.suppress(OSError):  # what is not empty stays
                for folder in absent:
                    folder.rmdir()
            raise

    def _unusable(self, error: OSError) -> RunDirectoryError:
        return RunDirectoryError(f"--output_dir={self.path} cannot be written ({error.strerror}); choose another")

    def is_trained(self) -> bool:
        """Whether training has left a checkpoint here.

        Raises:
          CheckpointError: it has, but none that is whole.
        """
        return latest_checkpoint(self.path) is not None

    def write(
        self,
        identity: Mapping[str, Any],
        flags: Mapping[str, Any],
        vocabulary: Mapping[str, Path],
        config_json: str,
        held_out: Mapping[str, str] | None = None,
        base: Mapping[str, str] | None = None,
        command: Mapping[str, Any] | None = None,
    ) -> None:
        """Makes the directory and what describes it; `check` comes first.

        Args:
          identity: what two runs in this directory must share.
          flags: what later commands go by; replaces what is recorded.
          vocabulary: files of the tokenizer by the names that they get here; none for a run that reads no text.
          config_json: content of `bert_config.json`.
          held_out: name and digest of the training file that dev rows are held out from, if any.
          base: path and fingerprint of the weights that checkpoints leave out, if any.
          command: what is known of the command that begins, see `common.command_records`.

        Raises:
          RunDirectoryError: the directory cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error) from error
        for name, file in vocabulary.items():
            if file.resolve() != (self.path / name).resolve():
                copy_atomically(file, self.path / name)
        write_atomically(self.config_file, config_json)
        if identity.get("labels"):
            write_atomically(self.labels_file, "".join(f"{label}\n" for label in identity["labels"]))
        description = self.description() or {"created": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        versions = command_records.versions()
        description |= {"identity": dict(identity), "flags": dict(flags), "versions": versions}
        # What a command before any training recorded no longer holds once a dev file is there.
        description.pop("held_out", None)
        if held_out:
            description["held_out"] = dict(held_out)
        if base:
            description["base"] = dict(base)
        if command:
            begun = {**command, "versions": versions}
            description[command_records.KEY] = command_records.begun(description.get(command_records.KEY) or [], begun)
        self._write_description(description)

    def write_end(self, command: Mapping[str, Any], seconds: float, scores: Mapping[str, float]) -> None:
        """Notes that a command has ended well, where `write` has noted its begin.

        Args:
          command: `program` and `given`, as for `write`.
          seconds: that it took.
          scores: that it found, by name.
        """
        description = self.description() or {}
        commands = description.get(command_records.KEY)
        if not commands or not self.cluster.is_chief:
            return
        finite = {name: value if math.isfinite(value) else None for name, value in scores.items()}
        results = {"scores": finite, "training": command_records.last_training(self.path)}
        description[command_records.KEY] = command_records.ended(commands, command, seconds, results)
        self._write_description(description)

    def _write_description(self, description: Mapping[str, Any]) -> None:
        text = json.dumps(description, indent=2, ensure_ascii=False, default=str)
        write_atomically(self.path / RUN_FILE, f"{text}\n")

    def latest_export(self) -> Path | None:
        """The newest export with all signatures, else the newest with those on ids; None where there is neither."""
        return next(filter(None, map(newest_export, self._export_dirs())), None)

    def note_export(self, export: Path) -> None:
        """Notes in `run.json` which checkpoint a new export was made of.

        Args:
          export: its folder.
        """
        description = self.description()
        if description is not None:
            noted = {name: made for name, made in self._noted_exports(description).items() if self._has_export(name)}
            description[_EXPORTS] = {**noted, export.name: self._answering_checkpoint(description)}
            self._write_description(description)

    def outdated(self, export: Path) -> str | None:
        """What an export was made of, where the run answers with another checkpoint by now; None where not."""
        description = self.description() or {}
        noted = self._noted_exports(description)
        if export.name not in noted or noted[export.name] == self._answering_checkpoint(description):
            return None
        return noted[export.name] or "the weights before training"

    def _answering_checkpoint(self, description: Mapping[str, Any]) -> str | None:
        """Name of the checkpoint that evaluates, predicts and is exported."""
        best = latest_checkpoint(self.path / BEST) if description.get("flags", {}).get("keep_best_checkpoint") else None
        found = best or latest_checkpoint(self.path)
        return found.name if found else None

    @staticmethod
    def _noted_exports(description: Mapping[str, Any]) -> dict[str, str | None]:
        noted = description.get(_EXPORTS)
        return dict(noted) if isinstance(noted, dict) else {}

    def _has_export(self, name: str) -> bool:
        return any((folder / name).is_dir() for folder in self._export_dirs())


def newest_export(folder: Path) -> Path | None:
    """The newest export in a folder that has one for each time; a directory without a graph is none."""
    exports = [path.parent for path in folder.glob("*/saved_model.pb") if path.parent.name.isdigit()]
    return max(exports, key=lambda path: int(path.name), default=None)


def description_of(init_checkpoint: str) -> dict[str, Any]:
    """What `run.json` says of the run that a checkpoint is of; nothing where it is of none, or cannot be read.

    Args:
      init_checkpoint: prefix, file or directory, the best checkpoint's or an export among them.
    """
    path = path_of(init_checkpoint)
    folder = path if path.is_dir() else path.parent
    folder = folder.parent if folder.name in (BEST, "variables") else folder
    try:
        return RunDirectory(folder).description() or RunDirectory(folder / "assets").description() or {}
    except BertError:
        return {}


def warn_of_another_head(init_checkpoint: str, head: str | None) -> None:
    """Warns if `--init_checkpoint` was trained here with another head of the user's, or with none.

    Args:
      init_checkpoint: prefix, file or directory.
      head: class of the user's head in this run; None for a head of this project.
    """
    described = description_of(init_checkpoint)
    earlier = described.get("identity", {}).get("head")
    if described and earlier != head:
        log.warning(
            "--init_checkpoint=%s was trained with %s, and goes on with %s: what one learned need not suit the other",
            init_checkpoint, _named_head(earlier), _named_head(head),
        )  # fmt: skip


def _named_head(head: str | None) -> str:
    return "the head of its task" if head is None else f"--head={head}"


def vocabulary_digest(vocab: Mapping[str, int]) -> str:
    """Digest of tokens and ids: equal for equal vocabularies, whatever file they came from."""
    return hashlib.sha256(json.dumps(vocab, sort_keys=True).encode()).hexdigest()[:16]


def _short(value: Any, limit: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"
