"""Rows of different requests -> batches: fair to short requests, bounded, in the order of each request.

Every request is a flow of its own in fair queueing: a row starts at the virtual time of its request's arrival plus the
tokens of the rows before it in the request, and the row that starts first is computed first. So requests of one row are
served in the order in which they arrive, a request of many rows shares the model with those that come after it, and no
row waits for ever, because virtual time goes on with the tokens that are computed.
"""

import asyncio
import contextlib
import dataclasses
import heapq
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence

from serving.errors import DeadlineError, OverloadedError, RequestError, UnavailableError
from serving.rows import Row
from serving.settings import BatchLimits
from tasks.answers import Answer

MAX_RETRY_AFTER = 60
SHARE_OF_DEADLINE = 0.5
"""Of the time that a request has, what the queue before it may take; the rest is for slower batches than the last."""
SMOOTHING = 0.2
"""Weight of the newest batch in the measured speed."""


class Job:
    """The rows of a request, and their answers as they come."""

    def __init__(self, rows: Sequence[Row], characters: int) -> None:
        self.rows = rows
        self.characters = characters
        self.arrival = time.monotonic()
        self.answers: list[Answer | None] = [None] * len(rows)
        self.waiting = len(rows)
        self.unanswered = len(rows)
        self.done: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()

    def put(self, index: int, answer: Answer | RequestError) -> None:
        """Takes the answer of a row, or the error that ends the request."""
        if self.done.done():
            return
        if isinstance(answer, RequestError):
            self.done.set_exception(_numbered(answer, index, len(self.rows)))
            return
        self.answers[index] = answer
        self.unanswered -= 1
        if not self.unanswered:
            self.done.set_result([one for one in self.answers if one is not None])


def _numbered(error: RequestError, index: int, count: int) -> RequestError:
    """The error of a row that names it in its request; each request raises an exception of its own."""
    return type(error)(f"text {index}: {error}" if count > 1 and error.status == 422 else str(error))


@dataclasses.dataclass(order=True)
class _Waiting:
    """A row in the queue."""

    start: float
    number: int
    job: Job = dataclasses.field(compare=False)
    index: int = dataclasses.field(compare=False)
    tokens: int = dataclasses.field(compare=False)


@dataclasses.dataclass(frozen=True)
class Batch:
    """Rows that are computed together.

    Args:
      rows: their texts.
      places: job and index of each.
      tokens: estimated tokens of all rows.
      waited: seconds since the oldest request of them arrived.
    """

    rows: list[Row]
    places: list[tuple[Job, int]]
    tokens: int
    waited: float

    def resolve(self, answers: Sequence[Answer | RequestError]) -> None:
        """Gives each row its answer."""
        if len(answers) != len(self.places):
            raise ValueError(f"{len(answers)} answers for {len(self.places)} rows")
        for (job, index), answer in zip(self.places, answers, strict=True):
            job.put(index, answer)

    def fail(self, error: RequestError) -> None:
        """Ends every request that has a row here."""
        self.resolve([error] * len(self.places))


class Batcher:
    """The queue of one model, in an event loop; any number of workers take batches from it.

    Args:
      limits: of batches and of the queue.
      tokens: estimated tokens of a row.
    """

    def __init__(self, limits: BatchLimits, tokens: Callable[[Row], int]) -> None:
        self.limits = limits
        self._tokens = tokens
        self._heap: list[_Waiting] = []
        self._numbers = itertools.count()
        self._virtual = 0.0
        self._jobs: set[Job] = set()  # those with rows in the queue
        self._arrived = asyncio.Event()
        self._closed = False
        self._in_flight = 0
        self._characters = 0  # of the requests with rows in the queue
        self._tokens_per_second = 0.0
        self.waiting_rows = 0
        self.waiting_tokens = 0

    async def answer(self, rows: Sequence[Row], deadline_s: float) -> list[Answer]:
        """Answers the rows of one request, in their order.

        Args:
          rows: checked rows, at least one.
          deadline_s: seconds until the request is given up.

        Raises:
          OverloadedError: the queue has no room for them.
          DeadlineError: there was no answer in time.
          RequestError: a row could not be answered.
        """
        job = self._admit(rows, deadline_s)
        try:
            async with asyncio.timeout(deadline_s):
                return await job.done
        except TimeoutError:
            raise DeadlineError(f"no answer in {deadline_s:g} seconds; send fewer texts, or try later") from None
        finally:
            self._forget(job)

    def _admit(self, rows: Sequence[Row], deadline_s: float) -> Job:
        if self._closed:
            raise UnavailableError("the server stops; ask another one")
        characters = sum(len(text) for row in rows for text in row.values() if text)
        if self._jobs and (
            self.waiting_rows + len(rows) > self.limits.max_queue
            or self._characters + characters > self.limits.max_queue_characters
            # What would be given up anyway is refused at once: so the model computes what somebody still waits for.
            or self._seconds_of_queue() > deadline_s * SHARE_OF_DEADLINE
        ):
            raise OverloadedError(f"{self.waiting_rows} texts wait already; try again later", self.retry_after())
        job = Job(rows, characters)
        start = self._virtual
        for index, row in enumerate(rows):
            tokens = self._tokens(row)
            heapq.heappush(self._heap, _Waiting(start, next(self._numbers), job, index, tokens))
            start += tokens
            self.waiting_tokens += tokens
        self.waiting_rows += len(rows)
        self._jobs.add(job)
        self._characters += characters
        self._arrived.set()
        return job

    def _forget(self, job: Job) -> None:
        """Takes rows out of the queue that nobody waits for any more."""
        if not job.done.done():
            job.done.cancel()
        if job not in self._jobs:
            return
        kept = [one for one in self._heap if one.job is not job]
        self.waiting_tokens -= sum(one.tokens for one in self._heap if one.job is job)
        self.waiting_rows -= job.waiting
        heapq.heapify(kept)
        self._heap = kept
        self._leaves(job)

    def _leaves(self, job: Job) -> None:
        """No row of a request waits any more."""
        self._jobs.discard(job)
        self._characters -= job.characters

    def retry_after(self) -> int:
        """Seconds after which what waits now should be answered."""
        return max(1, min(MAX_RETRY_AFTER, math.ceil(self._seconds_of_queue())))

    def _seconds_of_queue(self) -> float:
        """Seconds that what waits now takes, at the speed of the last batches; 0 before the first."""
        if not self._tokens_per_second:
            return 0.0
        return self.waiting_tokens / (self._tokens_per_second * max(1, self._in_flight))

    @contextlib.asynccontextmanager
    async def batch(self) -> AsyncIterator[Batch]:
        """Waits for rows, and for others to join them; the block computes them."""
        await self.ready()
        batch = self._taken()
        self._in_flight += 1
        started = time.monotonic()
        try:
            yield batch
        finally:
            self._in_flight -= 1
            speed = batch.tokens / max(time.monotonic() - started, 1e-6)
            before = self._tokens_per_second or speed
            self._tokens_per_second = (1 - SMOOTHING) * before + SMOOTHING * speed

    async def ready(self) -> None:
        """Waits until a batch can be taken: there are rows, and others had time to join them."""
        while True:
            while not self._heap:
                self._arrived.clear()
                await self._arrived.wait()
            await self._others()
            if self._heap:  # another worker may have taken the rows meanwhile
                return

    async def _others(self) -> None:
        """Waits until a batch is full, or its first row has waited long enough."""
        until = self._heap[0].job.arrival + self.limits.max_wait_ms / 1000
        while self._heap and not self._is_full() and (left := until - time.monotonic()) > 0:
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._arrived.wait()

    def _is_full(self) -> bool:
        limits = self.limits
        return self.waiting_rows >= limits.max_batch or self.waiting_tokens >= limits.max_batch_tokens

    def _taken(self) -> Batch:
        taken: list[_Waiting] = []
        longest = 0
        while self._heap and len(taken) < self.limits.max_batch:
            longest = max(longest, self._heap[0].tokens)
            if taken and longest * (len(taken) + 1) > self.limits.max_batch_tokens:
                break
            taken.append(heapq.heappop(self._heap))
        tokens = sum(one.tokens for one in taken)
        self._virtual += tokens / len(self._jobs)
        self.waiting_rows -= len(taken)
        self.waiting_tokens -= tokens
        for one in taken:
            one.job.waiting -= 1
            if not one.job.waiting:
                self._leaves(one.job)
        waited = time.monotonic() - min(one.job.arrival for one in taken)
        return Batch(
            [one.job.rows[one.index] for one in taken], [(one.job, one.index) for one in taken], tokens, waited
        )

    def close(self) -> None:
        """Takes no further request; those in the queue are still answered."""
        self._closed = True

    async def drained(self) -> None:
        """Waits until everything that was taken is answered or given up."""
        while self._heap or self._in_flight:
            await asyncio.sleep(0.01)

    def fail_all(self, error: RequestError) -> None:
        """Ends every request in the queue."""
        for job in list(self._jobs):
            job.put(0, error)
