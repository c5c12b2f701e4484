"""Exports of tiny models, made once, and a server of them."""

import pytest

from tests.support import serving


@pytest.fixture(scope="session")
def regression_export(tiny_model, tmp_path_factory):
    return serving.export_classifier(tiny_model, tmp_path_factory.mktemp("regression"), "regression")


@pytest.fixture(scope="session")
def server(classifier_export, regression_export):
    """A server of both; tests leave it as it is."""
    with serving.running({"reviews": classifier_export, "stars": regression_export}) as started:
        yield started
