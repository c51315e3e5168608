"""Processes that work for one task and end with whoever started them, however that ends; and rows by the thousand."""

import gc
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread

from medu1.errors import Stop

PATIENCE_SECONDS = 0.2


@contextmanager
def pool(workers: int, does: str) -> Iterator[ProcessPoolExecutor]:
    """So many processes, each started anew. Raises Stop where one is killed; `does` says what it was there for."""
    processes = ProcessPoolExecutor(workers, get_context("spawn"), _begin)
    try:
        yield processes
    except BrokenProcessPool:
        raise Stop(
            f"A process that {does} was killed.", "Most often memory ran out.", "Free memory and run again."
        ) from None
    finally:
        processes.shutdown(cancel_futures=True)


@contextmanager
def uncollected() -> Iterator[None]:
    """Rows hold no cycles, and looking for some among tens of thousands of them takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def end_with_parent(begin: int) -> None:
    """End this process as soon as process `begin` is no longer its parent: no one else would stop it."""

    def watch() -> None:
        while os.getppid() == begin:
            time.sleep(PATIENCE_SECONDS)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _begin() -> None:
    """The parent alone hears Ctrl-C; a worker whose parent is killed ends too, since no one will ever ask it again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)
