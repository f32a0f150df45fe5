"""iproute2 at its fastest: one `ip -batch` for the host's side, then one for each guest, two guests at a time."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from .private import Failed

AT_A_TIME = 2
Enter = Callable[[str], list[str]]


def by_option(name: str) -> list[str]:
    """`ip -n` enters the guest by itself; it copies the table of mounts each time, 1,000 namespaces and all."""
    return ["ip", "-n", name, "-batch", "-"]


def by_nsenter(name: str) -> list[str]:
    """nsenter enters the guest's network and no more, which spares that copy."""
    return ["nsenter", f"--net=/run/netns/{name}", "ip", "-batch", "-"]


def batch(lines: list[str], program: list[str]) -> None:
    """Feed lines to one `ip -batch`; Failed where it refuses one."""
    done = subprocess.run(program, input="\n".join(lines) + "\n", text=True, capture_output=True, check=False)
    if done.returncode:
        raise Failed((done.stderr.strip().splitlines() or ["ip failed"])[0])


def build(kind: str, count: int, enter: Enter) -> None:
    """All namespaces and links in one batch, then each guest's up, address and default route."""
    names = [f"g-{i}" for i in range(1, count + 1)]
    lines = [f"netns add {name}" for name in names]
    if kind == "macvlan":
        lines += [f"link add link p0 name eth0 netns {name} up type macvlan mode bridge" for name in names]
    else:
        lines += ["link add br0 type bridge", "link set br0 up", "addr add 10.77.0.1/16 dev br0"]
        lines += [
            f"link add v{i} master br0 up type veth peer name eth0 netns {name}" for i, name in enumerate(names, 1)
        ]
    batch(lines, ["ip", "-batch", "-"])
    net = 78 if kind == "macvlan" else 77

    def configure(number: int) -> None:
        host = number + 1
        guest = [] if kind == "macvlan" else ["link set eth0 up"]
        guest += [f"addr add 10.{net}.{host >> 8}.{host & 255}/16 dev eth0", f"route add default via 10.{net}.0.1"]
        batch(guest, enter(f"g-{number}"))

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(configure, range(1, count + 1)))


def down(kind: str, count: int) -> None:
    """The host's ends in one group and deleted together, then the namespaces."""
    names = [f"g-{i}" for i in range(1, count + 1)]
    lines = [f"netns del {name}" for name in names]
    if kind == "veth":
        mark = [f"link set {link} group 7077" for link in ["br0", *(f"v{i}" for i in range(1, count + 1))]]
        lines = [*mark, "link del group 7077", *lines]
    batch(lines, ["ip", "-batch", "-"])
