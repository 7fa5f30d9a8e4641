"""Ctrl-C where Python would swallow it."""

from tests.store_world import python

LOST = """
import signal, sys, time, weakref
from maclip_lab.cli.interrupts import never_lose_interrupts
if sys.argv[1] == "kept":
    never_lose_interrupts()

class Thing:
    pass

thing = Thing()
reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
try:
    del thing  # the interrupt is raised in the callback, which nobody can catch
    time.sleep(60 if sys.argv[1] == "kept" else 1)
    print("went on")
except KeyboardInterrupt:
    print("stopped")
"""

BROKEN = """
from maclip_lab.cli.interrupts import never_lose_interrupts
never_lose_interrupts()

class Broken:
    def __del__(self):
        raise ValueError("in a finalizer")

Broken()
"""


def test_an_interrupt_in_a_callback_is_lost_by_python_and_kept_by_the_command_line():
    for how, ending in {"lost": "went on", "kept": "stopped"}.items():
        said, _ = python(LOST, how).communicate(timeout=300)
        assert said.strip() == ending


def test_other_errors_in_finalizers_are_reported_as_ever():
    child = python(BROKEN)
    _, errors = child.communicate(timeout=300)
    assert child.returncode == 0
    assert "ValueError: in a finalizer" in errors
