"""The files below a folder, by one rule wherever pictures or lists are looked for."""

import os
from collections.abc import Iterator

_JUNK = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}
_JUNK |= {"thumbs.db", "desktop.ini"}


def files_below(root: str, unreadable: list[str]) -> Iterator[tuple[str, bool]]:
    """What is no folder: its POSIX path relative to ``root``, and whether it is a regular file.

    Linked folders are entered, each folder once and by its own name where it has one here;
    litter is skipped. ``unreadable`` is filled with the folders that cannot be listed.
    """
    waiting, linked, seen = [""], list[str](), set()
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop(0)
        try:
            status = os.stat(os.path.join(root, folder))
            if status.st_ino and (status.st_dev, status.st_ino) in seen:
                continue  # without numbers, as on a Windows share, there are no links either
            seen.add((status.st_dev, status.st_ino))
            entries = sorted(os.scandir(os.path.join(root, folder)), key=lambda e: e.name)
        except OSError:
            unreadable.append(folder)
            continue
        folders = []
        for entry in entries:
            if is_junk(entry.name):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            if not _is(entry, "is_dir"):
                yield path, _is(entry, "is_file")
            elif entry.is_symlink():
                linked.append(path)
            else:
                folders.append(path)
        waiting.extend(reversed(folders))


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or what systems litter folders with."""
    return name.startswith(".") or name.lower() in _JUNK


def _is(entry: "os.DirEntry[str]", kind: str) -> bool:
    """A link that leads in a circle is neither file nor folder."""
    try:
        return bool(getattr(entry, kind)())
    except OSError:
        return False
