"""Files that belong to an app, whether it runs from its folder or as one packaged file."""

from __future__ import annotations

import os
import sys
from typing import Any, Union

from edge_rt.archive import stored_member
from edge_rt.mapped import MappedFile

Resource = Union[str, memoryview]


def resource(name: str) -> Resource:
    """A file of this app, as `edge_rt.load` takes it.

    In an app made by `edge-rt package`: the file that was packaged under this name, as a read-only map of its bytes inside
    the app's file. Otherwise: the path of the file beside the script that runs.
    Raises FileNotFoundError that names the file and where it was looked for.
    """
    main: Any = sys.modules["__main__"]
    archive = getattr(getattr(main, "__loader__", None), "archive", None)
    if archive is not None:
        return _member(archive, name)
    script = getattr(main, "__file__", None)
    path = os.path.join(os.path.dirname(os.path.abspath(script)) if script else os.getcwd(), name)
    if not os.path.exists(path):
        raise FileNotFoundError(f"resource '{name}': there is no file {path}")
    return path


def _member(archive: str, name: str) -> memoryview:
    with open(archive, "rb") as file:
        place = stored_member(file.fileno(), name)
        if place is not None:
            offset, size = place
            return MappedFile(file.fileno(), size, offset).data if size else memoryview(b"")
    import zipfile

    with zipfile.ZipFile(archive) as app:
        try:
            return memoryview(app.read(name))
        except KeyError:
            files = ", ".join(sorted(i.filename for i in app.infolist() if "/" not in i.filename))
            raise FileNotFoundError(f"resource '{name}': {archive} has no such file, it has {files}") from None
