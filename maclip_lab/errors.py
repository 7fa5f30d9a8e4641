"""What this package raises when the world, not the caller, is at fault."""


class MaclipError(Exception):
    """Root of the package's own errors."""


class WeightsError(MaclipError):
    """A backbone's weights cannot be had or do not make a CLIP."""


class UnknownBackboneError(WeightsError, ValueError):
    """A name that means no backbone; the message has the nearest ones that do."""


class IntegrityError(WeightsError):
    """A file is not the one its sha256 promises; it has not been opened."""


class OfflineError(WeightsError):
    """The weights are not on this machine and the network may not be used."""


class PictureError(MaclipError):
    """A picture that was asked for on its own cannot be read or cut."""


class StorageFullError(MaclipError, OSError):
    """There is no room for a file; whatever stood under its name before still stands."""


class DatasetError(MaclipError, ValueError):
    """A data set's files or scores are not what they should be; the message says which and why."""


class DatasetWarning(UserWarning):
    """A copy of a data set is usable but lacks pictures or rows, or has scores out of range."""
