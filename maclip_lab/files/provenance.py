"""Where a result came from, written beside it, and whether it would come out again here.

Every result file carries a JSON record of the same name with ``.provenance.json`` appended: the
configuration and its hash, the weights, the data, the versions, the commit and the command.
"""

import csv
import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from io import BufferedRandom, BytesIO
from pathlib import Path

import pandas as pd

from maclip_lab.errors import MaclipError
from maclip_lab.files.atomic import RECORD_SUFFIX, Content, sweep, write_together
from maclip_lab.files.identity import sha256_of

_PACKAGES = ("maclip-lab", "torch", "numpy", "pillow", "pandas", "scipy")
_LAYOUT = 1
_IDENTITY = ("backbone", "weights_sha256", "dataset", "manifest_sha256")
_PACKAGE = Path(__file__).resolve().parents[1]


class ProvenanceError(MaclipError):
    """A result has no record, or its record cannot be read."""


@dataclass(frozen=True)
class Explanation:
    """What is recorded of a result, and in words what is not as it was."""

    record: Mapping[str, object]
    differences: tuple[str, ...]

    @property
    def reproduces(self) -> bool:
        """Whether nothing that is known to matter differs."""
        return not self.differences

    def __str__(self) -> str:
        may = "would" if self.reproduces else "may not"
        end = "." if self.reproduces else ":"
        return "\n".join(
            [f"{key}: {_plain(value)}" for key, value in self.record.items()]
            + [f"The present set-up {may} reproduce this result{end}"]
            + [f"  {difference}" for difference in self.differences]
        )


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of what its numbers come from."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        name = package.replace("-", "_")
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def config_sha256(config: Mapping[str, object]) -> str:
    """Hash of a configuration, whatever the order of its fields."""
    return hashlib.sha256(json.dumps(_jsonable(config), sort_keys=True).encode()).hexdigest()


def provenance_record(config: Mapping[str, object]) -> dict[str, object]:
    """The record of a result that is being made now.

    ``config`` is every setting the result depends on; dataclasses become mappings. ``backbone``,
    ``weights_sha256``, ``dataset`` and ``manifest_sha256`` stand at the record's head as well.
    ``data``, no setting, stands apart: how the pictures are found again, and their joint sha256.
    """
    settings = _jsonable(config)
    data = settings.pop("data", {})
    return {
        "layout": _LAYOUT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": [*(Path(program).name for program in sys.argv[:1]), *sys.argv[1:]],
        **{name: str(config.get(name, "")) for name in _IDENTITY},
        "data": data,
        "config": settings,
        "config_sha256": config_sha256(settings),
        "versions": versions(),
        "platform": platform.platform(),
        "commit": current_commit(),
        "code_sha256": code_sha256(),
    }


def write_table(
    frame: pd.DataFrame, path: str | Path, record: Mapping[str, object] | None = None
) -> Path:
    """Write a table as ``.parquet`` or ``.csv`` and its record; both replace older ones whole.

    The record is from `provenance_record`, or ``{"parts": [...]}`` of several; None makes one of
    the table's ``attrs``.

    Raises:
        StorageFullError: there is no room; older files are as they were.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        buffer = BytesIO()
        frame.to_parquet(buffer, index=False)
        data = buffer.getvalue()
    elif path.suffix.lower() == ".csv":
        text = frame.to_csv(index=False, lineterminator="\n")
        if "\r" in text:  # in a file's name: unquoted it would end the row
            text = frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        data = text.encode()
    else:
        raise ValueError(f"a table is written as .parquet or .csv, got {path.name!r}")
    return write_result(data, path, provenance_record(frame.attrs) if record is None else record)


def write_result(data: Content, path: str | Path, record: Mapping[str, object]) -> Path:
    """Write a result of any kind, such as a figure, and its provenance record.

    Raises:
        StorageFullError: as `write_table`.
    """
    path = Path(path)
    digests = []

    def result(file: BufferedRandom) -> None:
        if isinstance(data, bytes):
            file.write(data)
        else:
            data(file)
        file.seek(0)
        digests.append(hashlib.file_digest(file, "sha256").hexdigest())

    def beside(file: BufferedRandom) -> None:
        content = {"result": path.name, "result_sha256": digests[0], **record}
        file.write(json.dumps(content, indent=2).encode())

    sweep(path.parent)
    write_together({path: result, record_path(path): beside})
    return path


def record_path(result: str | Path) -> Path:
    """Where the record of a result file lies."""
    result = Path(result)
    return result.with_name(result.name + RECORD_SUFFIX)


def read_record(result: str | Path) -> dict[str, object]:
    """The provenance record of a result file.

    Raises:
        ProvenanceError: there is none, or it is not one.
    """
    path = record_path(result)
    if not Path(result).exists():
        raise FileNotFoundError(f"{result}: no such result")
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        message = f"{result} has no record: {path.name} does not lie beside it"
        raise ProvenanceError(message) from None
    except (ValueError, RecursionError) as error:
        raise ProvenanceError(f"{path} is not a provenance record: {error}") from error
    parts = record_parts(record) if isinstance(record, dict) else []
    if not parts or any("config_sha256" not in part for part in parts):
        raise ProvenanceError(f"{path} is not a provenance record: it names no configuration")
    return record


def explain(
    result: str | Path, *, weights_sha256: str | None = None, manifest_sha256: str | None = None
) -> Explanation:
    """The record of a result, compared with the present set-up.

    The sha256 are those found here, of the weights and of the data set's rows; None leaves them
    uncompared.

    Raises:
        ProvenanceError: the result has no record.
    """
    record, here = read_record(result), versions()
    words = {
        "weights_sha256": ("the weights differ: their sha256", weights_sha256),
        "manifest_sha256": ("the data set's rows differ: their sha256", manifest_sha256),
        "code_sha256": ("the package's code differs: its sha256", code_sha256()),
    }
    apart = []
    digest = sha256_of(Path(result))
    if record.get("result_sha256", digest) != digest:
        apart.append("the file has been changed since it was written")
    for part in record_parts(record):
        apart += [
            f"{what} was {part[key]} and is {value}"
            for key, (what, value) in words.items()
            if value and part.get(key) and part[key] != value
        ]
        if config_sha256(_mapping(part, "config")) != part.get("config_sha256"):
            apart.append("the record has been changed: its configuration and its hash disagree")
        then = _mapping(part, "versions")
        apart += [
            f"{name} was {then.get(name, 'absent')} and is {here.get(name, 'absent')}"
            for name in sorted({*then, *here})
            if then.get(name, "absent") != here.get(name, "absent")
        ]
    return Explanation(record, tuple(dict.fromkeys(apart)))


def record_parts(record: Mapping[str, object]) -> list[Mapping[str, object]]:
    """The records of a table joined from several results, else the record itself."""
    parts = record.get("parts")
    return (
        [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else [record]
    )


def code_sha256() -> str:
    """Hash of this package's source files, installed or not, edited or not."""
    content = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        content.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


def current_commit() -> str:
    """Commit of the checkout this package runs from, ``+`` appended where it has been edited.

    Empty where the package is installed, or git is absent.
    """
    root = _PACKAGE.parent
    if not (root / ".git").exists():
        return ""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        edited = _git(root, "status", "--porcelain", "--", "maclip_lab", "data")
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + "+" * bool(edited)


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, check=True, text=True, timeout=10
    ).stdout.strip()


def _jsonable(config: Mapping[str, object]) -> dict[str, object]:
    plain = {
        key: asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        for key, value in config.items()
    }
    return json.loads(json.dumps(plain, default=str))


def _mapping(record: Mapping[str, object], key: str) -> dict[str, object]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
