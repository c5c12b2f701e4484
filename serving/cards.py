"""What a server tells of its models: what they answer, and the run that made them."""

import json
from pathlib import Path
from typing import Any

from common.errors import BertError
from common.run_directory import RunDirectory
from serving.models import Version

KINDS = {
    "single_label": "one of several labels",
    "multi_label": "any of several labels",
    "regression": "a number",
    "span": "the part of a context that answers a question",
    "masked_lm": "words for masks",
    "entities": "entities of a text",
    "vectors": "a vector",
    "multiple_choice": "one of the choices of a question",
    "sequences": "a text",
}
TEXTS = {"vectors": ("text_a", "text_b")}
"""Texts that a person types, where there are others."""
OF_A_RUN = {"task": "Task", "tag_scheme": "Tag scheme"}
OF_THE_DATA = ("task_name", "data_dir", "train_file", "dev_file", "test_file")


def card(version: Version) -> dict[str, Any]:
    """A model for people, as plain JSON; what its run directory cannot tell is left out."""
    description = version.description
    kind = description.problem_type
    run = RunDirectory(version.export_dir.parent.parent)
    try:
        told = run.description() or {}
    except BertError:
        told = {}
    identity, flags = told.get("identity", {}), told.get("flags", {})
    named = {"Trained": told.get("created"), **{title: identity.get(name) for name, title in OF_A_RUN.items()}}
    data = [str(flags[name]) for name in OF_THE_DATA if flags.get(name)]
    special = description.settings.get("special_tokens", {})
    return {
        "name": version.name,
        "version": str(version.number),
        "kind": KINDS.get(kind, kind),
        "texts": list(TEXTS.get(kind, description.text_names)),
        "required": list(description.required_names),
        "lists": list(description.list_names),
        "labels": list(description.labels),
        "max_seq_length": description.max_seq_length,
        "mask": special.get("mask", "") if kind == "masked_lm" else "",
        "run": {name: str(value) for name, value in named.items() if value}
        | ({"Data": ", ".join(data)} if data else {}),
        "scores": _scores(run.path),
        "flags": {name: value for name, value in flags.items() if value not in (None, "", [])},
    }


def _scores(folder: Path) -> dict[str, Any]:
    """The last evaluation of a run; none where there is none that can be read."""
    try:
        found = json.loads((folder / "eval_results.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return (
        {name: value for name, value in found.items() if isinstance(value, int | float)}
        if isinstance(found, dict)
        else {}
    )
