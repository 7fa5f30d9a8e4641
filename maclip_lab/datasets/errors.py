"""What can go wrong with a data set, as one error and one warning."""

from maclip_lab.errors import MaclipError


class DatasetError(MaclipError, ValueError):
    """A data set's files or scores are not what they should be; the message says which and why."""


class DatasetWarning(UserWarning):
    """A copy of a data set is usable but lacks pictures or rows, or has scores out of range."""
