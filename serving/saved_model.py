"""A SavedModel in a session: its text signature, or before one that takes ids, the way from texts to ids."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_text  # noqa: F401 - registers the operations that an export tokenizes with
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from common.files import json_object, without_pattern
from processors.graph.tokenizer import in_process
from tasks import exports
from tokenization.kinds import of_assets

v1 = tf.compat.v1

Tensors = dict[str, Any]
"""By the name of an input or an output."""

_TEXT, _IDS = "text", "serving_default"
_SCOPE = "model"
"""What the names of an export's operations begin with where others stand before them."""


def load(
    session: Any, export_dir: Path, scope: str = "", own: Mapping[str, Any] | None = None
) -> tuple[Tensors, Tensors]:
    """Loads an export.

    Args:
      session: whose graph is the default one, and empty where there is no scope.
      export_dir: the directory that holds `saved_model.pb`.
      scope: what the names of its operations are to begin with, as in `adapter_1/`.
      own: handles of variables in place of those of these names. Others are shared with exports in the session that
        have variables of the same names.

    Returns:
      Inputs and outputs of its text signature. Of an export that takes ids, those of the same signature with the
      tokenizer in this process.

    Raises:
      OSError, KeyError, ValueError, RuntimeError, tf.errors.OpError: it is damaged.
      BertError: it takes ids, and there is no way from texts to them.
    """
    if _TEXT not in _definitions(export_dir):
        return _load_behind_texts(session, export_dir, scope, own or {})
    options = {"import_scope": scope.rstrip("/"), "input_map": _handles(own or {})} if scope else {}
    signature = _load(session, export_dir, **options).signature_def[_TEXT]
    return _tensors(session, signature.inputs, scope), _tensors(session, signature.outputs, scope)


def _handles(own: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}:0": handle for name, handle in own.items()}


def _load_behind_texts(session: Any, export_dir: Path, scope: str, own: Mapping[str, Any]) -> tuple[Tensors, Tensors]:
    assets = export_dir / "assets"
    settings = json_object((assets / "tokenizer.json").read_bytes())
    text = exports.text_signature(in_process(of_assets(assets, settings)), settings, assets)
    inputs = text.inputs()
    features = text.features(inputs)
    fed = _definitions(export_dir)[_IDS].inputs
    joined = {fed[name].name: features[name] for name in fed} | _handles(own)
    signature = _load(session, export_dir, import_scope=scope + _SCOPE, input_map=joined).signature_def[_IDS]
    return inputs, text.outputs(_tensors(session, signature.outputs, f"{scope}{_SCOPE}/"))


def _definitions(export_dir: Path) -> Mapping[str, Any]:
    """The signatures of an export by name."""
    try:
        content = saved_model_pb2.SavedModel.FromString((export_dir / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ValueError(f"saved_model.pb: {error}") from None
    if not content.meta_graphs:
        raise ValueError("saved_model.pb holds no graph")
    definitions: Mapping[str, Any] = content.meta_graphs[0].signature_def
    return definitions


def _load(session: Any, export_dir: Path, **options: Any) -> Any:
    tags = [v1.saved_model.tag_constants.SERVING]
    return v1.saved_model.loader.load(session, tags, without_pattern(export_dir), **options)


def _tensors(session: Any, ends: Mapping[str, Any], scope: str = "") -> Tensors:
    return {name: session.graph.get_tensor_by_name(scope + end.name) for name, end in ends.items()}
