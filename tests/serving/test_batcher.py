"""Batches of rows of different requests: what is computed together, in which order, and what is refused."""

import asyncio
import contextlib

import pytest

from serving.batcher import Batcher
from serving.errors import DeadlineError, ModelFailedError, OverloadedError, UnavailableError, UnprocessableError
from serving.settings import BatchLimits


def rows(*texts):
    return [{"text_a": text} for text in texts]


def answer(row):
    return {"label": row["text_a"]}


def tokens(row):
    return len(row["text_a"])


@contextlib.asynccontextmanager
async def batching(seconds=0.0, **limits):
    """A batcher with a worker that takes a while for each batch, and the batches that it has computed."""
    batcher = Batcher(BatchLimits(**limits), tokens)
    batches = []

    async def work():
        while True:
            async with batcher.batch() as batch:
                batches.append([row["text_a"] for row in batch.rows])
                await asyncio.sleep(seconds)
                batch.resolve([answer(row) for row in batch.rows])

    worker = asyncio.create_task(work())
    try:
        yield batcher, batches
    finally:
        worker.cancel()


def test_requests_that_come_together_are_computed_together():
    async def run():
        async with batching(max_wait_ms=20) as (batcher, batches):
            found = await asyncio.gather(*(batcher.answer(rows(text), 5) for text in "abc"))
            assert [one[0]["label"] for one in found] == ["a", "b", "c"]
            assert batches == [["a", "b", "c"]]

    asyncio.run(run())


def test_a_batch_keeps_to_its_rows_and_to_its_padded_tokens():
    async def run():
        async with batching(max_batch=4, max_batch_tokens=12, max_wait_ms=20) as (batcher, batches):
            texts = ["a", "bb", "cccc", "dd", "e", "f", "g", "h", "i", "x" * 50]
            found = await batcher.answer(rows(*texts), 5)
            assert [one["label"] for one in found] == texts
            assert batches == [["a", "bb", "cccc"], ["dd", "e", "f", "g"], ["h", "i"], ["x" * 50]]

    asyncio.run(run())


def test_a_short_request_does_not_wait_for_a_long_one_which_is_not_starved_either():
    async def run():
        async with batching(0.002, max_batch=4, max_batch_tokens=400, max_wait_ms=0) as (batcher, batches):
            long = asyncio.create_task(batcher.answer(rows(*(f"long {i:03d}" for i in range(40))), 5))
            await asyncio.sleep(0.001)
            assert (await batcher.answer(rows("short"), 5))[0]["label"] == "short"
            assert len(batches) <= 3
            others = 0
            while not long.done():  # new short requests never stop
                await batcher.answer(rows("short"), 5)
                others += 1
                assert others < 60
            assert [one["label"] for one in await long] == [f"long {i:03d}" for i in range(40)]

    asyncio.run(run())


def test_a_full_queue_refuses_and_says_when_to_come_again():
    async def run():
        async with batching(0.05, max_batch=2, max_queue=4, max_wait_ms=0) as (batcher, _):
            first = [asyncio.create_task(batcher.answer(rows("a", "b"), 5))]
            await asyncio.sleep(0.01)  # it is computed; what follows waits
            first.append(asyncio.create_task(batcher.answer(rows(*"cdef"), 5)))
            await asyncio.sleep(0)
            with pytest.raises(OverloadedError, match="4 texts wait already; try again later") as refused:
                await batcher.answer(rows("b"), 5)
            assert refused.value.retry_after == 1
            await asyncio.gather(*first)
            assert batcher.waiting_rows == batcher.waiting_tokens == 0
            assert len(await batcher.answer(rows(*"abcdefgh"), 5)) == 8  # more rows than the queue, but nobody waits
            batcher._tokens_per_second = 0.5
            waiting = asyncio.create_task(batcher.answer(rows(*"abcdefgh"), 5))
            await asyncio.sleep(0)
            assert batcher.retry_after() == 16
            await waiting

    asyncio.run(run())


def test_what_could_not_be_answered_in_time_is_refused_at_once():
    async def run():
        async with batching(seconds=0.2, max_batch=1, max_wait_ms=0) as (batcher, batches):
            await batcher.answer(rows("a" * 10), 5)  # 10 tokens in 0.2 seconds
            found = await asyncio.gather(
                *(batcher.answer(rows("b" * 10), 2) for _ in range(40)), return_exceptions=True
            )
            refused = [one for one in found if isinstance(one, OverloadedError)]
            assert not [one for one in found if isinstance(one, DeadlineError)]
            assert 25 < len(refused) < 38
            assert len(batches) == 1 + len(found) - len(refused)

    asyncio.run(run())


def test_a_queue_of_long_texts_is_bounded_by_characters():
    async def run():
        async with batching(0.05, max_batch=1, max_queue_characters=100, max_wait_ms=0) as (batcher, _):
            first = []
            for _ in range(2):  # one is computed, one waits
                first.append(asyncio.create_task(batcher.answer(rows("a" * 60), 5)))
                await asyncio.sleep(0.01)
            with pytest.raises(OverloadedError):
                await batcher.answer(rows("b" * 60), 5)
            await asyncio.gather(*first)
            assert batcher._characters == 0

    asyncio.run(run())


def test_a_request_that_is_given_up_leaves_the_queue():
    async def run():
        async with batching(0.1, max_batch=1, max_wait_ms=0) as (batcher, batches):
            first = asyncio.create_task(batcher.answer(rows("a"), 5))
            await asyncio.sleep(0.01)
            with pytest.raises(DeadlineError, match=r"no answer in 0\.02 seconds"):
                await batcher.answer(rows("b", "c"), 0.02)
            gone = asyncio.create_task(batcher.answer(rows("d"), 5))
            await asyncio.sleep(0)
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
            assert batcher.waiting_rows == batcher.waiting_tokens == 0
            await first
            await batcher.answer(rows("e"), 5)
            assert batches == [["a"], ["e"]]

    asyncio.run(run())


def test_a_row_that_cannot_be_answered_ends_its_own_request_alone():
    async def run():
        batcher = Batcher(BatchLimits(), tokens)
        asked = [asyncio.create_task(batcher.answer(rows(*texts), 5)) for texts in ("ab", "c", "de")]
        await asyncio.sleep(0)
        async with batcher.batch() as batch:
            results = [answer(row) for row in batch.rows]
            where = {row["text_a"]: index for index, row in enumerate(batch.rows)}
            results[where["b"]] = UnprocessableError("odd")
            results[where["e"]] = ModelFailedError("broken")
            batch.resolve(results)
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert str(found[0]) == "text 1: odd"
        assert found[1] == [{"label": "c"}]
        assert isinstance(found[2], ModelFailedError)
        assert str(found[2]) == "broken"

    asyncio.run(run())


def test_two_workers_share_a_queue():
    async def run():
        batcher = Batcher(BatchLimits(max_batch=1, max_wait_ms=0), tokens)
        by_worker = {0: 0, 1: 0}

        async def work(number):
            while True:
                async with batcher.batch() as batch:
                    by_worker[number] += 1
                    await asyncio.sleep(0.001 if number else 0.01)
                    batch.resolve([answer(row) for row in batch.rows])

        workers = [asyncio.create_task(work(number)) for number in by_worker]
        texts = [f"text {i}" for i in range(40)]
        found = await asyncio.gather(*(batcher.answer(rows(text), 5) for text in texts))
        assert [one[0]["label"] for one in found] == texts
        assert by_worker[1] > by_worker[0] > 0
        for worker in workers:
            worker.cancel()

    asyncio.run(run())


def test_a_closed_queue_answers_what_it_has_and_takes_no_more():
    async def run():
        async with batching(0.02, max_batch=1) as (batcher, _):
            asked = [asyncio.create_task(batcher.answer(rows(text), 5)) for text in "abc"]
            await asyncio.sleep(0)
            batcher.close()
            with pytest.raises(UnavailableError, match="the server stops"):
                await batcher.answer(rows("d"), 5)
            await batcher.drained()
            await asyncio.sleep(0)
            assert all(task.done() for task in asked)

    asyncio.run(run())


def test_answers_that_do_not_fit_the_rows_are_a_bug():
    async def run():
        batcher = Batcher(BatchLimits(), tokens)
        asked = asyncio.create_task(batcher.answer(rows("a"), 0.1))
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="2 answers for 1 rows"):
            async with batcher.batch() as batch:
                batch.resolve([{}, {}])
        with pytest.raises(DeadlineError):
            await asked

    asyncio.run(run())
