"""The manifest in a pack: what a file of features says of the pictures it was made from."""

import json
from pathlib import Path

import pandas as pd

from maclip_lab.datasets.errors import DatasetError
from maclip_lab.datasets.manifest import Manifest
from maclip_lab.files.sealed import SealError, read_seal, verify_seal

PACK_SUFFIX = ".safetensors"
PACK_VERSION = "1"
VERSION_KEY = "maclip_pack"
_WHAT = "a pack of features"


def read_pack_header(path: Path, *, verify: bool = False) -> dict[str, str]:
    """What the head of a pack tells, its version checked, and on demand every byte of it.

    Raises:
        DatasetError: there is none, or it is damaged, or of another version than is read here.
    """
    try:
        header = (verify_seal if verify else read_seal)(path, _WHAT)
    except FileNotFoundError:
        raise DatasetError(
            f"there is no pack {str(path)!r}; maclip-lab pack makes one of a data set"
        ) from None
    except (SealError, OSError) as error:
        hint = "; maclip-lab pack makes one of a data set" * isinstance(error, SealError)
        raise DatasetError(f"{error}{hint}") from error
    version = header.get(VERSION_KEY)
    if version is None:
        raise DatasetError(f"{path.name} is not {_WHAT}: its header has no {VERSION_KEY}")
    if version != PACK_VERSION:
        raise DatasetError(
            f"{path.name} is a pack of version {version}, and this package reads version "
            f"{PACK_VERSION}; make it anew, or use the package that wrote it"
        )
    return header


def pack_manifest(manifest: Manifest) -> str:
    """A manifest as a pack's header has it."""
    told = {"note": manifest.note, "missing": manifest.missing}
    return json.dumps(manifest.content | told)


def packed_manifest(path: Path, header: dict[str, str]) -> Manifest:
    """The manifest in a pack's header.

    Raises:
        DatasetError: what stands there is no manifest.
    """
    try:
        content = json.loads(header["manifest"])
        return Manifest(
            pd.DataFrame(content.pop("rows"), dtype=object),
            root=path,
            pack_sha256=header["file_sha256"],
            **content,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{path.name} holds no manifest: {error!r}") from error
