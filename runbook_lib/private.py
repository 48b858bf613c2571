"""
Folders and files for whoever runs the runbook alone, whatever the umask. Imports the standard library.

Windows keeps a user's files private by the folder that they lie in.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["make_file", "make_folder"]


def make_folder(path: Path) -> None:
    """
    Make a folder, and those above it that are missing; one that is there stays as it is.
    """
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(0o700, exist_ok=True)


def make_file(path: Path) -> None:
    """
    Make an empty file, and its folder; one that is there stays as it is.
    """
    make_folder(path.parent)
    path.touch(0o600)
