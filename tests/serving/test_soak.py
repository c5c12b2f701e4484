"""Two minutes of load, every answer compared: half load of mixed lengths, and more than the server can do."""

import asyncio

import pytest

from benchmarks.server_load import Client, memory_mib, open_files, predictions, served
from tests.support import tiny

pytestmark = pytest.mark.slow
SECONDS = 120.0


@pytest.fixture(scope="module")
def known(classifier_export):
    texts = [" ".join(text for text, _ in tiny.rows(1 + index % 7, index)) for index in range(200)]
    return predictions(str(classifier_export), texts, 32)[0]


def test_memory_and_files_stay_as_they_are_at_half_load(classifier_export, known):
    with served(str(classifier_export)) as (process, address):
        client = Client(address, "model", known)
        rate = asyncio.run(client.saturate(SECONDS / 6, 32)).rate()
        memory, files = memory_mib(process), open_files(process)
        load = asyncio.run(client.at_rate(SECONDS, rate / 2))
        assert load.wrong == 0
        assert set(load.statuses) == {200}
        assert memory_mib(process) < 1.05 * memory
        assert open_files(process) <= files


def test_what_is_accepted_beyond_the_capacity_is_right_and_the_rest_is_refused(classifier_export, known):
    with served(str(classifier_export), "--max_queue=64") as (process, address):
        client = Client(address, "model", known)
        asyncio.run(client.saturate(SECONDS / 6, 400))
        memory = memory_mib(process)
        load = asyncio.run(client.saturate(SECONDS, 400))
        assert load.wrong == 0
        assert set(load.statuses) == {200, 429}
        assert load.statuses[200] > 0
        assert memory_mib(process) < 1.05 * memory
