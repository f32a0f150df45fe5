"""Who answers whom: many pings at once, each from inside its namespace, and a DHCP client that only asks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

from tests.sandbox import Sandbox

__all__ = ["answers", "offers"]

# A lost frame is asked for again. Who answers does so within milliseconds, so that a second of silence says no; who is
# to answer, and is late on a busy machine, is asked for longer.
PING = (
    "(ip netns exec {netns} ping -n -q -c 5 -i 0.25 -W 1 {to} 2>/dev/null | grep -q ' [1-5] received'"
    " && echo {netns} {to}) &"
)
LONGER = "(timeout 60 sh -c 'until ip netns exec {netns} ping -n -c1 -W1 {to}; do :; done' >&2 && echo {netns} {to}) &"

DISCOVER = """\
import json, select, socket, struct, sys
mac = bytes.fromhex(open("/sys/class/net/%s/address" % sys.argv[1]).read().strip().replace(":", ""))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
sock.bind(("0.0.0.0", 68))
flags = 0x8000  # answer by broadcast: the address isn't ours yet
head = struct.pack("!BBBBIHH16x16s64x128xI", 1, 1, 6, 0, 77, 0, flags, mac, 0x63825363)
for _ in range(int(sys.argv[2])):
    sock.sendto(head + bytes([53, 1, 1, 55, 2, 1, 3, 255]), ("255.255.255.255", 67))
    if select.select([sock], [], [], 1)[0]:
        break
else:
    sys.exit("null")
data = sock.recv(4096)
options, at = {}, 240
while data[at] != 255:
    options[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
    at += 2 + data[at + 1]
router = socket.inet_ntoa(options[3]) if 3 in options else None
print(json.dumps([socket.inet_ntoa(data[16:20]), socket.inet_ntoa(options[1]), router]))
"""


def answers(
    sandbox: Sandbox, ways: Iterable[tuple[str, str]], wanted: Iterable[tuple[str, str]] = ()
) -> set[tuple[str, str]]:
    """Those of the ways (from a namespace, to an address) on which an answer comes back, as is `wanted` of some."""
    wanted = set(wanted)
    lines = [(LONGER if way in wanted else PING).format(netns=way[0], to=way[1]) for way in ways]
    out = sandbox.run("sh", text="\n".join([*lines, "wait"])).stdout
    return {(line.split()[0], line.split()[1]) for line in out.splitlines()}


def offers(sandbox: Sandbox, netns: str, link: str, seconds: int = 30) -> tuple[str, str, str] | None:
    """What a DHCP server offers there: address, mask and router; None where none answers within so many seconds."""
    asking = (sys.executable, "-c", DISCOVER, link, str(seconds))
    done = sandbox.run("ip", "netns", "exec", netns, *asking, check=False)
    if done.returncode:
        assert done.stderr.strip() == "null", done.stderr
        return None
    address, mask, router = json.loads(done.stdout)
    return address, mask, router
