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
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from io import BufferedRandom
from pathlib import Path
from typing import Any

import pandas as pd

from maclip_lab.errors import MaclipError
from maclip_lab.files.atomic import Content, put, sweep, write_together
from maclip_lab.files.identity import sha256_of

_PACKAGES = ("maclip-lab", "torch", "numpy", "pillow", "pandas", "scipy")
_LAYOUT = 1
_IDENTITY = ("backbone", "weights_sha256", "dataset", "manifest_sha256")
_PACKAGE = Path(__file__).resolve().parents[1]


class ProvenanceError(MaclipError):
    """A result has no record, or its record cannot be read."""


def versions() -> dict[str, str]:
    """Versions of Python, of this package and of what its numbers come from."""
    result = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            result[package.replace("-", "_")] = version(package)
        except PackageNotFoundError:
            result[package.replace("-", "_")] = "absent"
    return result


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
    the table's ``attrs``. Without room it is a StorageFullError, and older files are as they were.
    """
    kind = Path(path).suffix.lower()
    if kind == ".parquet":
        data = frame.to_parquet(index=False)
    elif kind == ".csv":
        text = frame.to_csv(index=False, lineterminator="\n")
        if "\r" in text:  # in a file's name: unquoted it would end the row
            text = frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        data = text.encode()
    else:
        raise ValueError(f"a table is written as .parquet or .csv, got {Path(path).name!r}")
    return write_result(data, path, provenance_record(frame.attrs) if record is None else record)


def write_result(data: Content, path: str | Path, record: Mapping[str, object]) -> Path:
    """As `write_table`, a result of any kind: its bytes, or what writes them into an open file."""
    path, record = Path(path), dict(record)

    def result(file: BufferedRandom) -> None:
        put(file, data)
        file.seek(0)
        record["result_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()

    def beside(file: BufferedRandom) -> None:
        file.write(json.dumps({"result": path.name, **record}, indent=2).encode())

    sweep(path.parent)
    write_together({path: result, record_path(path): beside})
    return path


def record_path(result: str | Path) -> Path:
    """Where the record of a result file lies."""
    return Path(result).with_name(Path(result).name + ".provenance.json")


def read_record(result: str | Path) -> dict[str, Any]:
    """The provenance record of a result file.

    Raises:
        ProvenanceError: there is none, or it is not one.
    """
    path = record_path(result)
    if not Path(result).exists():
        raise FileNotFoundError(f"{result}: no such result")
    try:
        record = json.loads(path.read_bytes())
        parts = record_parts(record) if isinstance(record, dict) else []
        complete = [{"config", "config_sha256", "versions"} <= part.keys() for part in parts]
        if not all(complete) or not complete:
            raise ValueError("it names no configuration")
    except FileNotFoundError:
        message = f"{result} has no record: {path.name} does not lie beside it"
        raise ProvenanceError(message) from None
    except (ValueError, RecursionError) as error:
        raise ProvenanceError(f"{path} is not a provenance record: {error}") from error
    return record


def differences(result: str | Path, record: Mapping[str, Any]) -> list[str]:
    """In words, what is not as it was: the file, the record, the package's code, the versions."""
    digest, code, here = sha256_of(Path(result)), code_sha256(), versions()
    differing = []
    if record.get("result_sha256", digest) != digest:
        differing.append("the file has been changed since it was written")
    for part in record_parts(record):
        if (then := part.get("code_sha256", code)) != code:
            differing.append(f"the package's code differs: its sha256 was {then} and is {code}")
        if config_sha256(part["config"]) != part["config_sha256"]:
            differing.append("the record has been changed: its configuration and its hash disagree")
        recorded = part["versions"]
        for name in sorted({*recorded, *here}):
            was, now = recorded.get(name, "absent"), here.get(name, "absent")
            if was != now:
                differing.append(f"{name} was {was} and is {now}")
    return differing


def record_parts(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The records of a table joined from several results, else the record itself."""
    parts = record.get("parts", [record])
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


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
    if not (_PACKAGE.parent / ".git").exists():
        return ""
    command = ["git", "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+"]
    try:
        done = subprocess.run(
            command, cwd=_PACKAGE.parent, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _jsonable(config: Mapping[str, object]) -> dict[str, Any]:
    def plain(value: object) -> object:
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        return str(value)

    return dict(json.loads(json.dumps(dict(config), default=plain)))
