"""Ctrl-C where Python would swallow it."""

from tests.store_world import python

LOST = """
import signal, time, weakref
from maclip_lab.cli import never_lose_interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)  # the suite may run with it ignored
never_lose_interrupts()

class Broken:
    def __del__(self):
        raise ValueError("in a finalizer")

class Thing:
    pass

Broken()
thing = Thing()
reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
try:
    del thing  # the interrupt is raised in the callback, which nobody can catch
    deadline = time.monotonic() + 30
    time.sleep(30)
    print("went on")
except KeyboardInterrupt:
    print("stopped waiting" if time.monotonic() < deadline else "stopped after waiting")
"""


def test_an_interrupt_in_a_callback_is_kept_and_other_errors_there_are_reported_as_ever():
    child = python(LOST)
    said, errors = child.communicate(timeout=300)
    assert child.returncode == 0, errors
    assert said.strip() == "stopped waiting"
    assert "ValueError: in a finalizer" in errors
