"""What has changed between a run, as its `run.json` says it, and what is here."""

from collections.abc import Iterator, Mapping
from typing import Any

from command_line.flags.declaration import FlagSet
from common import command_records, onednn
from common.errors import one_line
from common.files import file_digest
from common.paths import path_of

_MACHINE = {"processor": "processor", "threads": "CPU threads"}


def changes(command: Mapping[str, Any], declared: FlagSet) -> Iterator[str]:
    """A line for each difference.

    Args:
      command: of `run.json`.
      declared: the flags of its script now.
    """
    yield from _versions(_part(command, "versions"))
    yield from _device(_part(command, "device"))
    for name in ("data", "weights", "named"):
        yield from _files(_part(command, name))
    known = {flag.name for flag in declared}
    for name, value in _part(command, "flags").items():
        if name not in known and value is not None:
            yield f"--{name}: {_shown(value)} there, no flag of {command['program'][0]} any more"


def _versions(there: Mapping[str, Any]) -> Iterator[str]:
    here = command_records.versions()
    for name in sorted(there.keys() | here.keys()):
        first, second = there.get(name, "not recorded"), here.get(name, "not recorded")
        if first != second:
            title = "code of this project (digest)" if name == "program" else name
            yield f"{title}: {_shown(first)} there, {_shown(second)} now"


def _device(there: Mapping[str, Any]) -> Iterator[str]:
    here = command_records.machine()
    for name, title in _MACHINE.items():
        if there.get(name) != here[name]:
            yield f"{title}: {_shown(there.get(name))} there, {_shown(here[name])} now"
    if there.get("machines", 1) != 1:
        yield f"machines: {there['machines']} there, 1 now"
    # Nothing of TensorFlow's may be imported before its kernels are chosen.
    if there.get("onednn") in (onednn.ON, onednn.OFF):
        onednn.choose(there["onednn"])
    from estimator import devices

    found = devices.description(devices.PLAIN)
    if there.get("onednn") != found["onednn"]:
        yield f"oneDNN: {_shown(there.get('onednn'))} there, {found['onednn']} now"
    gpus = there.get("gpus") or []
    if gpus != found["gpus"][: max(len(gpus), 1)]:
        yield f"GPUs: {_shown(gpus or 'none')} there, {_shown(found['gpus'] or 'none')} now"


def _files(there: Mapping[str, Any]) -> Iterator[str]:
    for name, digest in there.items():
        path = path_of(name)
        try:
            if not path.is_file():
                yield f"{path}: is not there"
                continue
            is_sized = str(digest).endswith(" bytes")
            here = f"{path.stat().st_size} bytes" if is_sized else file_digest(path)
        except OSError as error:
            yield f"{path}: cannot be read ({error.strerror})"
            continue
        if here != digest:
            yield f"{path}: has other content ({_shown(digest)} there, {_shown(here)} now)"


def _part(command: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = command.get(name)
    return found if isinstance(found, dict) else {}


def _shown(value: object) -> str:
    return one_line(str(value), 40)
