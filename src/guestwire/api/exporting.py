"""export: a file in others' words."""

from __future__ import annotations

from guestwire.api.situation import meant
from guestwire.errors import FileError
from guestwire.export import Exported, exporter
from guestwire.linux.kernel import Kernel

__all__ = ["export"]

THEIRS = ".xml"


def export(
    path: str | None = None,
    *,
    to: str,
    lab: bool = False,
    project: str | None = None,
    netns: str | None = None,
) -> Exported:
    """What a file asks for, said in the words of `to`, one of `guestwire.export.names()`. Nothing is changed.

    A file that ends in .xml is in such words already: it is read and written back. Raises FileError where the file is
    wrong, or wrong for this host.
    """
    if path is not None and path.endswith(THEIRS):
        try:
            with open(path) as file:
                return exporter(to).again(file.read())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise FileError(
                f"{path} can't be read: {why}.", hint="Give it XML as `virsh net-dumpxml` prints it."
            ) from error
    where = meant(path, lab=lab, project=project, netns=netns)
    with Kernel() as kernel:
        where.plan(kernel)
    assert where.site is not None
    return exporter(to).export(where.site)
