"""Exports of tiny models, made once, and a server of them."""

import importlib.util

import pytest

from serving.settings import ServerSettings
from tests.support import serving


@pytest.fixture(scope="session")
def regression_export(tiny_model, tmp_path_factory):
    return serving.export_classifier(tiny_model, tmp_path_factory.mktemp("regression"), "regression")


@pytest.fixture(scope="session")
def vector_export(tiny_model, tmp_path_factory):
    return serving.export_vectors(tiny_model, tmp_path_factory.mktemp("vectors"), shows_tokens=True)


@pytest.fixture(scope="session")
def server(classifier_export, regression_export, vector_export):
    """A server of all three; tests leave it as it is."""
    exports = {"reviews": classifier_export, "stars": regression_export, "vectors": vector_export}
    grpc_port = 0 if importlib.util.find_spec("tensorflow_serving") else None
    settings = ServerSettings(grpc_port=grpc_port, bert_port=0, bert_port_out=0)
    with serving.running(exports, settings=settings) as started:
        yield started
