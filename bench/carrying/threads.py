"""The other way to carry frames in Python: a blocking thread for each direction, as long as the process lives.

python bench/carrying/threads.py NETNS/LINK NETNS/LINK
"""

import os
import sys
import threading

from guestwire.linux import tuntap
from guestwire.linux.kernel import Kernel

ROOM = 1 << 17


def opened(kernel: Kernel, place: str) -> int:
    """A descriptor of a tap, with the header and the offloads that a cable of guestwire's has."""
    netns, _, link = place.rpartition("/")
    fd = kernel.call(netns, lambda: tuntap.attach(link, vnet_header=True))
    uso = tuntap.TUN_F_USO4 | tuntap.TUN_F_USO6
    tuntap.set_offload(fd, tuntap.TUN_F_CSUM | tuntap.TUN_F_TSO4 | tuntap.TUN_F_TSO6 | tuntap.TUN_F_TSO_ECN | uso)
    return fd


def carry(source: int, sink: int) -> None:
    """One direction."""
    buffer = bytearray(ROOM)
    view = memoryview(buffer)
    while True:
        size = os.readv(source, [buffer])
        os.write(sink, view[:size])


def main() -> None:
    """Carry frames until somebody ends us."""
    with Kernel() as kernel:
        near, far = (opened(kernel, place) for place in sys.argv[1:3])
    ways = [threading.Thread(target=carry, args=ends) for ends in ((near, far), (far, near))]
    for way in ways:
        way.start()
    print("ready", flush=True)
    for way in ways:
        way.join()


if __name__ == "__main__":
    main()
