"""What the exercises are judged by, out of a reader's sight and on data that no notebook shows.

A judge takes an answer and the `Lesson`, and says whether it is right. What is to be found in data
is asked of pictures kept aside, with a margin that noise does not reach.
"""

from collections.abc import Callable, Mapping
from typing import Any

Judge = Callable[[Any, Any], object]

JUDGES: Mapping[str, Judge] = {}
