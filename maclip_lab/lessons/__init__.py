"""What only a notebook uses, all of it through `Lesson`."""

from maclip_lab.lessons.lesson import Lesson

__all__ = ["Lesson"]
