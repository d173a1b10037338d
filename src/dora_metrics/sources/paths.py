"""Questions about paths that raise no error: what this user may not see, or cannot be a file's name, is not there.

`Path.exists` and its like answer so since Python 3.14 only.
"""

import os
from os import PathLike

AnyPath = str | PathLike[str]


def exists(path: AnyPath) -> bool:
    """Whether something is there; if it is a link, whether that leads to something."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: AnyPath) -> bool:
    """Whether a regular file is there, or a link to one."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: AnyPath) -> bool:
    """Whether a folder is there, or a link to one."""
    return os.path.isdir(path)  # noqa: PTH112


def is_link(path: AnyPath) -> bool:
    """Whether a link is there."""
    return os.path.islink(path)  # noqa: PTH114
