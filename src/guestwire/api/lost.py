"""What a project has beside its links and namespaces, where its state is lost: its processes' words tell of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from guestwire.kinds.cable import SOCKET, Cable
from guestwire.kinds.file import File
from guestwire.kinds.nft import Nft
from guestwire.kinds.overlay import Overlay, overlays
from guestwire.kinds.process import Process
from guestwire.kinds.vm import Vm
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.linux.programs import running
from guestwire.picture import Key, Picture
from guestwire.places import RUN

__all__ = ["lost"]


def lost(kernel: Kernel, seen: Picture, host: str, project: str) -> Iterator[Key]:
    """The keys of processes that may be a project's, in the namespaces that were read, of files and the host's table.

    Whether they are its is told when they are looked up. Lost with the state is what was borrowed.
    """
    folder = f"{RUN}/{project}/"
    spaces = {namespaces.identity(kernel.fd(netns)): netns for netns in seen.scope}
    yield from (Key("", "", File.KIND, f"/etc/netns/{netns}/resolv.conf") for netns in seen.scope if netns)
    yield from (Key("", host, Overlay.KIND, file) for file in overlays(project))
    if host in seen.scope:
        yield Key("", host, Nft.KIND, f"inet guestwire-{project}")
    for path, pids in running().items():
        if path == folder + SOCKET:
            yield Key("", f"{project}-", Cable.KIND, SOCKET)
        elif path.startswith(folder):
            for pid in pids:
                with contextlib.suppress(OSError, KeyError):  # it has ended, or is elsewhere
                    netns = spaces[os.stat(f"/proc/{pid}/ns/net").st_ino]
                    if path.endswith(".pid"):
                        yield Key("", netns, Process.KIND, path)
                    elif path.endswith(".vm/pid"):
                        guest = path.removeprefix(folder).removesuffix(".vm/pid")
                        yield Key("", netns, Vm.KIND, f"{project}/{guest}")
