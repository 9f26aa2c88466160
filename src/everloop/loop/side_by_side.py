"""Lives of policies side by side: one in this process, the others in processes that end with it."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, Any

from everloop.core.errors import OutsideFault
from everloop.core.extras import require
from everloop.core.progress import Event, Progress

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from everloop.loop.compared import Lived
    from everloop.loop.living import Life, Place

_ENDED_SECONDS = 5.0
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")

Found = tuple["Lived", str]


def live_all(
    place: Place,
    lives: Sequence[Life],
    jobs: int,
    progress: Progress,
    lived: Callable[[Found], None],
    *,
    first: Callable[[], None] = lambda: None,
) -> list[Found]:
    """Lives lives, so many at once; whoever is done takes the next.

    The first is this process's, which has loaded what a life needs.

    Args:
        place: What they share.
        lives: In the order in which they are begun, the longest first.
        jobs: How many at once; with 1 all of them in this process.
        first: Makes what all lives take over, before this process's own; the others load meanwhile.
        progress: Is told how far each is; never by two threads at once.
        lived: Is told what each came to, likewise.

    Returns:
        What each came to, in the order of `lives`.

    Raises:
        OutsideFault: When a process ended before its life did.
        EverloopError: What stopped a life; the others are not begun or brought to their end then.
    """
    waiting, found = deque(enumerate(lives)), dict[int, Found]()
    telling = threading.Lock()

    def tell(event: Event) -> None:
        with telling:
            progress(event)

    def taken() -> tuple[int, Life] | None:
        try:
            return waiting.popleft()
        except IndexError:
            return None

    def live_by(way: Callable[[Life], Found], turn: tuple[int, Life] | None) -> None:
        while turn is not None:
            number, life = turn
            found[number] = one = way(life)
            with telling:
                lived(one)
            turn = taken()

    jobs = min(jobs, len(lives))
    with _fair_share(jobs):
        others = [_OtherProcess(place, tell) for _ in range(jobs - 1)]
    with ThreadPoolExecutor(len(others) or 1) as pool:
        try:
            own = taken()
            begun = [pool.submit(live_by, other.live, taken()) for other in others]
            first()
            with _few_threads(jobs):
                live_by(lambda life: life.live(place, tell), own)
            for one in begun:
                one.result()
        finally:
            # Ctrl-C, or a life that failed: the others are not waited for.
            waiting.clear()
            for other in others:
                other.end()
    return [found[number] for number in range(len(lives))]


@contextmanager
def _fair_share(jobs: int) -> Iterator[None]:
    """Has processes that are started inside use as many threads as each has processors, unless told else.

    More would wait for each other: libraries spin meanwhile.
    """
    unset = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, str(_share(jobs))))
    try:
        yield
    finally:
        for name in unset:
            del os.environ[name]


@contextmanager
def _few_threads(jobs: int) -> Iterator[None]:
    """Has this process's own libraries take no more than its share either, as far as they can be told now."""
    with require("threadpoolctl", extra="train").threadpool_limits(_share(jobs)):
        yield


def _share(jobs: int) -> int:
    return max(1, (os.cpu_count() or 1) // jobs)


class _OtherProcess:
    """A process that lives one life after another. It ends with its parent, however that ends."""

    def __init__(self, place: Place, progress: Progress) -> None:
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._progress = progress
        self._process = context.Process(target=_serve, args=(theirs, place), name="backtest")
        self._process.start()
        theirs.close()

    def live(self, life: Life) -> Found:
        """Has a life lived there."""
        try:
            self._ours.send(life)
            while True:
                kind, content = self._ours.recv()
                if kind == "progress":
                    self._progress(content)
                elif kind == "fault":
                    raise content
                else:
                    return content  # type: ignore[no-any-return]
        except (EOFError, OSError) as error:
            raise OutsideFault(
                f"The process that lived {life.name} ended before its time.",
                hint="was there too little memory? everloop backtest --jobs 1",
            ) from error

    def end(self) -> None:
        """Ends the process, whatever it is at."""
        self._process.terminate()
        self._process.join(_ENDED_SECONDS)
        self._ours.close()


def _serve(connection: Connection, place: Place) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def send(kind: str, content: Any) -> None:
        connection.send((kind, content))

    while True:
        try:
            life = connection.recv()
        except EOFError:
            return
        try:
            send("lived", life.live(place, lambda event: send("progress", event)))
        except Exception as error:  # noqa: BLE001  (it is raised where the life was asked for)
            send("fault", error)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
