"""Ctrl-C where Python would swallow it."""

import pytest

from tests.store_world import python

LOST = """
import signal, sys, time, weakref
from maclip_lab.cli import never_lose_interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)  # the suite may run with it ignored
if sys.argv[1] == "kept":
    never_lose_interrupts()

class Thing:
    pass

thing = Thing()
reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
try:
    del thing  # the interrupt is raised in the callback, which nobody can catch
    deadline = time.monotonic() + float(sys.argv[2])
    time.sleep(float(sys.argv[2]))
    print("went on")
except KeyboardInterrupt:
    print("stopped waiting" if time.monotonic() < deadline else "stopped after waiting")
"""

BROKEN = """
from maclip_lab.cli import never_lose_interrupts
never_lose_interrupts()

class Broken:
    def __del__(self):
        raise ValueError("in a finalizer")

Broken()
"""


@pytest.mark.parametrize(
    ("how", "wait", "ending"), [("lost", 0.1, "went on"), ("kept", 30, "stopped waiting")]
)
def test_an_interrupt_in_a_callback_is_lost_by_python_and_kept_by_the_command_line(
    how, wait, ending
):
    said, _ = python(LOST, how, wait).communicate(timeout=300)
    assert said.strip() == ending


def test_other_errors_in_finalizers_are_reported_as_ever():
    child = python(BROKEN)
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0
    assert "ValueError: in a finalizer" in errors
