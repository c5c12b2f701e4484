"""run_server.py: its flags, and how they become a server."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import importlib.util
import logging
import multiprocessing
import re
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

from command_line.app import Script, set_up_log
from command_line.extract_features import export_vectors
from command_line.flags.declaration import FlagSet
from command_line.flags.serving import ADDRESS, BATCHES, MODELS, OF_TEXTS, REQUESTS
from command_line.settings import require
from common.errors import BertError, CheckpointError, ExportError, FlagError
from common.run_directory import RunDirectory
from modeling.checkpoints.locate import locate_checkpoint
from serving.engines import ONNX
from serving.settings import BatchLimits, RequestLimits, ServerSettings

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NEEDED = ("starlette", "uvicorn", "prometheus_client", "zmq")
NEEDED_BY_GRPC = ("grpc", "tensorflow_serving")


def run(flags: SimpleNamespace) -> None:
    """Serves until the process is told to stop.

    Raises:
      BertError: a flag, an address or an export that cannot be used.
    """
    if not (flags.export or flags.vectors):
        require(flags, "export")
    check_share_base(flags)
    folders = named_exports(flags.export or ())
    as_vectors = named_exports(flags.vectors or (), "vectors", folders)
    devices = device_map(flags.device_map)
    check_installed(NEEDED if flags.grpc_port is None else (*NEEDED, *NEEDED_BY_GRPC))
    as_vectors |= {name: folders.pop(name) for name in list(folders) if holds_checkpoint_alone(folders[name])}
    with contextlib.ExitStack() as stack:
        made = {name: stack.enter_context(vector_export(flags, path)) for name, path in as_vectors.items()}
        together, alone = (folders, made) if flags.share_base else ({}, folders | made)
        groups = [group for group in (together, *({name: path} for name, path in alone.items())) if group]
        serve(flags, groups, devices)


def check_share_base(flags: SimpleNamespace) -> None:
    """Checks that exports can share a base.

    Raises:
      FlagError: none is named, or another engine than TensorFlow is asked for.
    """
    if not flags.share_base:
        return
    if not flags.export:
        raise FlagError("--share_base: no --export is given; name the exports that stand on one base")
    if flags.engine == ONNX:
        raise FlagError("--share_base: TensorFlow alone shares the weights of a base; leave it or --engine=onnx out")


def serve(flags: SimpleNamespace, groups: Sequence[Mapping[str, Path]], devices: Sequence[str | None]) -> None:
    """Serves exports by name until the process is told to stop; those of a group are in the same processes.

    Raises:
      BertError: an address or an export that cannot be used.
    """
    from serving.gate import read_keys
    from serving.metrics import Metrics
    from serving.models import Served, Source
    from serving.server import Server

    for path in (path for exports in groups for path in exports.values()):
        warn_of_outdated(path)
    keys = read_keys(Path(flags.api_key_file)) if flags.api_key_file else None
    metrics = Metrics()
    batches = _settings(BatchLimits, flags)
    models = [
        Served({name: Source(path) for name, path in exports.items()}, devices, batches, metrics, flags.engine)
        for exports in groups
    ]
    limits = _settings(RequestLimits, flags)
    server = Server(models, _settings(ServerSettings, flags, limits=limits), metrics, keys)
    asyncio.run(server.run())


def warn_of_outdated(folder: Path) -> None:
    """Warns of a run that has been trained further since its newest export."""
    run = RunDirectory(folder)
    try:
        export = run.latest_export()
        made = run.outdated(export) if export is not None else None
    except BertError as error:  # the export answers without its run
        log.warning("%s: nothing tells whether its export is of the latest checkpoint: %s", folder, error)
        return
    if made:
        log.warning(
            "%s was made of %s, and %s has been trained further since; --do_export makes an export of what it is now, "
            "which is taken up at once", export, made, folder,
        )  # fmt: skip


def _settings(kind: Any, flags: SimpleNamespace, **further: Any) -> Any:
    names = {field.name for field in dataclasses.fields(kind)} - further.keys()
    return kind(**{name: getattr(flags, name) for name in names}, **further)


def holds_checkpoint_alone(folder: Path) -> bool:
    """Whether a folder has a checkpoint and no export."""
    from serving.models import Source

    try:
        Source(folder).newest()
    except ExportError:
        try:
            locate_checkpoint(folder)
        except CheckpointError:
            return False
        return True
    return False


@contextlib.contextmanager
def vector_export(flags: SimpleNamespace, checkpoint: Path) -> Iterator[Path]:
    """A folder with an export that gives the vectors of a checkpoint, while the block lasts.

    Another process writes it: that of the server knows no TensorFlow.

    Raises:
      BertError: it cannot be made.
    """
    if (newest := RunDirectory(checkpoint).latest_export()) and not (checkpoint / "checkpoint").is_file():
        checkpoint = newest
    given = {"init_checkpoint": str(checkpoint), "use_one_hot_embeddings": False, "export_onnx": flags.engine == ONNX}
    options = SimpleNamespace(**vars(flags) | given)
    log.info("%s: vectors, pooling %s", checkpoint, flags.pooling)
    with tempfile.TemporaryDirectory(prefix="bert_vectors_") as folder:
        context = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
            made = pool.submit(_exported, options, Path(folder), flags.show_tokens).result()
        yield made


def _exported(options: SimpleNamespace, folder: Path, shows_tokens: bool) -> Path:
    warnings.simplefilter("ignore")  # TensorFlow's satellites speak to their maintainers
    set_up_log()
    return export_vectors(options, folder, shows_tokens)


def named_exports(
    values: Sequence[str], flag: str = "export", others: Mapping[str, Path] = MappingProxyType({})
) -> dict[str, Path]:
    """Folders by the name that requests use.

    Args:
      values: `DIR`, or `NAME=DIR`.
      flag: that gave them.
      others: names that are taken.

    Raises:
      FlagError: no folder, or a name twice.
    """
    found: dict[str, Path] = {}
    for value in values:
        name, separator, folder = value.partition("=")
        if not (separator and NAME.fullmatch(name)):
            name, folder = "", value
        path = Path(folder).expanduser()
        if not path.is_dir():
            raise FlagError(f"--{flag}={value}: no such folder; give an --output_dir or an export in it")
        name = name or folder_name(path)
        if name in found or name in others:
            owner = found.get(name) or others[name]
            raise FlagError(
                f"--{flag}={value}: the name {name} is given to {owner} already; give it one of its own, as in "
                f"--{flag}={name}2={folder}"
            )
        found[name] = path
    return found


def folder_name(path: Path) -> str:
    """The name of what is in a folder: that of the run, where it is an export of one.

    Raises:
      FlagError: it cannot stand in a path of a request.
    """
    path = path.resolve()
    if path.name.isdigit() and path.parent.name:
        path = path.parent
    name = (path.parent if path.name == "export" and path.parent.name else path).name
    if not NAME.fullmatch(name):
        raise FlagError(f"--export={path}: {name!r} cannot stand in the address of a request; give NAME={path}")
    return name


def device_map(text: str | None) -> list[str | None]:
    """The value of CUDA_VISIBLE_DEVICES for each process.

    Raises:
      FlagError: no list of numbers.
    """
    if text is None:
        return [None]
    if text.strip() == "-1":
        return ["-1"]
    numbers: list[str | None] = [part.strip() for part in text.split(",")]
    if not all(number and number.isdigit() for number in numbers) or len(set(numbers)) < len(numbers):
        raise FlagError(f"--device_map={text}: expected different numbers of GPUs, as in 0,1, or -1 for none")
    return numbers


def check_installed(needed: Sequence[str]) -> None:
    """Names the extra that the server needs before an import fails.

    Args:
      needed: modules.

    Raises:
      FlagError: a package is absent.
    """
    absent = [name for name in needed if importlib.util.find_spec(name) is None]
    if absent:
        raise FlagError(
            f"run_server.py needs {', '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} not installed; run "
            + (
                "pip install tensorflow-serving-api==2.15.1, or install the extra grpc"
                if set(absent) <= set(NEEDED_BY_GRPC)
                else "pip install starlette uvicorn prometheus-client pyzmq, or install the extra serving"
            )
        )


SCRIPT = Script(FlagSet((MODELS, OF_TEXTS, ADDRESS, BATCHES, REQUESTS)), run)
