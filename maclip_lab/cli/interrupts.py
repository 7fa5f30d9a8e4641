"""Ctrl-C that always stops a run.

Python raises ``KeyboardInterrupt`` wherever the main thread happens to be. Where that is a callback
whose exceptions nobody can catch, such as the ``__del__`` of an object or the end of a weak
reference to a thread, it is printed and forgotten, and the run goes on: about one press in three
hundred during an extraction.
"""

import signal
import sys
import threading
from types import TracebackType
from typing import Protocol

_AGAIN = 0.01  # seconds


class _Unraisable(Protocol):
    exc_type: type[BaseException]
    exc_value: BaseException | None
    exc_traceback: TracebackType | None
    err_msg: str | None
    object: object


def never_lose_interrupts() -> None:
    """From now on, have an interrupt that landed where it cannot be raised come again at once."""
    report = sys.unraisablehook

    def again(lost: _Unraisable) -> None:
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            report(lost)
            return
        threading.Timer(_AGAIN, _interrupt).start()

    sys.unraisablehook = again


def _interrupt() -> None:
    """Interrupts the main thread, from any other.

    A signal raised in another thread is noted, but does not wake a main thread that waits.
    """
    main = threading.main_thread().ident
    if main is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)
