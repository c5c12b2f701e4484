"""Exports of tiny models, and a server of them in a thread of the test's process."""

import asyncio
import contextlib
import dataclasses
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import requests

from export.signatures import PLAIN, ExportSettings
from serving.gate import ApiKeys
from serving.metrics import Metrics
from serving.models import Served, Source
from serving.server import Server
from serving.settings import BatchLimits, ServerSettings
from tasks import exports
from tasks.text_rows import TextRows
from tests.support import tiny
from tokenization.kinds import of_assets


def export_classifier(
    tiny_model: Path,
    folder: Path,
    problem_type: str = "single_label",
    settings: ExportSettings = PLAIN,
    **further: Any,
) -> Path:
    """Exports a classifier (or regression, multi-label) with random weights; `further` goes to `export_random`."""
    from processors.base import DataProcessor
    from processors.example_source import ExampleSource
    from tasks.classification.task import ClassificationTask
    from tokenization import BulkTokenizer

    processor = DataProcessor()
    processor.problem_type = problem_type
    processor.get_labels = lambda: [] if problem_type == "regression" else ["neg", "pos"]
    task = ClassificationTask("tiny", ExampleSource(processor, ""), BulkTokenizer(tiny_model / "vocab.txt"), 24)
    return export_random(task, folder, settings, **further)


def export_vectors(tiny_model: Path, folder: Path, **settings: Any) -> Path:
    """Exports vectors of a random model."""
    from tasks.vectors.task import VectorSettings, VectorTask
    from tokenization import BulkTokenizer

    tokenizer = BulkTokenizer(tiny_model / "vocab.txt")
    return export_random(VectorTask(tokenizer, VectorSettings(max_seq_length=24, **settings)), folder)


def export_choices(tiny_model: Path, folder: Path) -> Path:
    """Exports a model that chooses, with random weights."""
    from processors.choices.source import ChoiceSource, Rows
    from tasks.choices.task import ChoiceSettings, ChoiceTask
    from tokenization import BulkTokenizer

    source = ChoiceSource({}, Rows(lambda path, split: iter(()), "text", {}))
    return export_random(ChoiceTask(BulkTokenizer(tiny_model / "vocab.txt"), source, ChoiceSettings(24)), folder)


def export_random(
    task: Any,
    folder: Path,
    settings: ExportSettings = PLAIN,
    config: Any = None,
    insertions: Any = None,
    own: float = 0.0,
) -> Path:
    """Exports a task with random weights, by default of the smallest BERT.

    Args:
      insertions: in its layers; the encoder around them is the same in every export.
      own: what is added to the head and to what is inserted.
    """
    import tensorflow as tf

    from export.savedmodel import export_saved_model
    from modeling.build import ENCODER_INPUTS
    from modeling.config import BertConfig
    from modeling.encoder.model import BertModel
    from modeling.insertions import is_inserted
    from modeling.settings import ModelSettings

    config = config or BertConfig.from_dict(tiny.CONFIG)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.set_random_seed(5)
        head = task.head(is_training=False)
        features = {name: tf.zeros([1, 4], tf.int32) for name in (*ENCODER_INPUTS, *head.further_inputs)}
        encoder = BertModel(config, False, tf.zeros([1, 4], tf.int32), insertions=insertions)
        head.logits(encoder, features, False)
        session.run(tf.compat.v1.global_variables_initializer())
        for variable in tf.compat.v1.global_variables() if own else ():
            if is_inserted(variable.op.name) or not variable.op.name.startswith("bert/"):
                size = int(np.prod(variable.shape))
                session.run(variable.assign_add(own * np.sin(np.arange(size)).reshape(variable.shape)))
        saver = tf.compat.v1.train.Saver()
        (folder / "weights").mkdir(parents=True)
        checkpoint = saver.save(session, str(folder / "weights" / "model.ckpt"), write_meta_graph=False)
    return export_saved_model(
        task, ModelSettings(config, insertions=insertions), checkpoint, folder / "export", settings
    )


def text_rows(export: Path) -> TextRows:
    """The text signature of an export in NumPy."""
    return exports.text_rows(*_stated(export))


def difficult_texts(export: Path) -> dict[str, Any]:
    """Texts on which tokenizers are known to differ, by input name."""
    return exports.text_signature(*_stated(export)).parity_examples()[0]


def _stated(export: Path) -> tuple[Any, dict[str, Any], Path]:
    assets = export / "assets"
    settings = json.loads((assets / "tokenizer.json").read_bytes())
    return of_assets(assets, settings), settings, assets


def by_text_rows(export: Path, columns: Mapping[str, Any]) -> dict[str, Any]:
    """What the ids signature of an export gives for texts that were tokenized, and are answered, in NumPy."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401 - registers operations of the export

    rows = text_rows(export)
    read = rows.read(columns)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(export)).signature_def
        ids = signature["serving_default"]
        feed = {end.name: read.features[name] for name, end in ids.inputs.items()}
        found = session.run({name: end.name for name, end in ids.outputs.items()}, feed)
    return rows.outputs(found, read)


def check_same(found: Mapping[str, Any], expected: Mapping[str, Any], atol: float = 1e-5) -> None:
    """Checks that outputs are the same: texts, numbers, shapes."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].shape == values.shape, name
        if values.dtype == object:
            assert found[name].tolist() == values.tolist(), name
        else:
            assert found[name].dtype == values.dtype, name
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=atol, err_msg=name)


@dataclasses.dataclass
class Running:
    """A server that takes requests, and what a test does with it."""

    server: Server
    url: str
    loop: asyncio.AbstractEventLoop
    is_stopping: bool = False

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(self.url + path, timeout=60, **options)

    def post(self, path: str, content: Any, **options: Any) -> requests.Response:
        return requests.post(self.url + path, json=content, timeout=60, **options)

    def in_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def stop(self) -> None:
        """Asks the server to stop, once: asked twice it does not wait for what it has accepted."""
        if not self.is_stopping:
            self.is_stopping = True
            self.loop.call_soon_threadsafe(self.server.stop)

    def version(self, name: str) -> Any:
        return self.server.models.version(name)


@contextlib.contextmanager
def running(
    exports: Mapping[str, Path],
    batches: BatchLimits | None = None,
    settings: ServerSettings | None = None,
    keys: ApiKeys | None = None,
    processes: int = 1,
    share_base: bool = False,
) -> Iterator[Running]:
    """A server of exports by name, on a free port of this machine."""
    metrics = Metrics()
    sources = {name: Source(path) for name, path in exports.items()}
    groups = [sources] if share_base else [{name: source} for name, source in sources.items()]
    models = [Served(group, [None] * processes, batches or BatchLimits(), metrics) for group in groups]
    server = Server(models, dataclasses.replace(settings or ServerSettings(), port=0), metrics, keys)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    failure: list[BaseException] = []

    def serve() -> None:
        try:
            loop.run_until_complete(server.run(ready.set))
        except BaseException as error:
            failure.append(error)
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(600)
    if failure:
        thread.join(60)
        raise failure[0]
    host, port = server.address
    started = Running(server, f"http://{host}:{port}", loop)
    try:
        yield started
    finally:
        started.stop()
        thread.join(60)
        assert not thread.is_alive()
