"""Descriptors of taps, tuns and macvtaps: the right device, or the errno that says why not."""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox import Sandbox

START = """
import errno, os, json, struct
from guestwire.linux import tuntap
from guestwire.linux.kernel import Kernel
kernel = Kernel()
def refused(function, *args, **more):
    try:
        os.close(function(*args, **more))
    except OSError as error:
        return errno.errorcode[error.errno]
"""


def said(sandbox: Sandbox, script: str) -> Any:
    """What a script that has the module `tuntap` prints, as JSON."""
    return json.loads(sandbox.python(START + script).stdout)


def details(sandbox: Sandbox, name: str, netns: str = "") -> Any:
    """A link as `ip -d link` tells it."""
    where = ["-n", netns] if netns else []
    return json.loads(sandbox.run("ip", *where, "-j", "-d", "link", "show", "dev", name).stdout)[0]


def test_one_that_persists_stays_and_the_other_goes_with_its_descriptor(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    script = """
fd = tuntap.attach("t0")
other = tuntap.attach("t1", tun=True, vnet_header=True)
tuntap.set_persistent(fd)
print(json.dumps([tuntap.told(fd), tuntap.told(other)]))
"""
    one, other = said(sandbox, script)
    assert one == ["t0", 0x1802]  # IFF_TAP | IFF_NO_PI | IFF_PERSIST
    assert other == ["t1", 0x5001]
    assert details(sandbox, "t0")["linkinfo"]["info_data"]["persist"] is True
    sandbox.sh("ip tuntap del dev t0 mode tap")
    assert sandbox.snapshot() == before


def test_owner_and_group_are_given(sandbox: Sandbox) -> None:
    script = """
fd = tuntap.attach("t0", exclusive=True)
tuntap.set_owner(fd, 1234)
tuntap.set_group(fd, 4321)
tuntap.set_persistent(fd)
print(0)
"""
    said(sandbox, script)
    found = details(sandbox, "t0")
    assert (found["linkinfo"]["info_data"]["user"], found["linkinfo"]["info_data"]["group"]) == (1234, 4321)


def test_refusals_have_their_errno(sandbox: Sandbox) -> None:
    sandbox.sh("ip tuntap add one mode tap; ip tuntap add many mode tap multi_queue; ip link add v0 type veth")
    script = """
held = tuntap.attach("one")
queues = [tuntap.attach("many", multi_queue=True) for _ in range(3)]
print(json.dumps({
    "held": refused(tuntap.attach, "one"),
    "there": refused(tuntap.attach, "many", multi_queue=True, exclusive=True),
    "one queue": refused(tuntap.attach, "many"),
    "no tap": refused(tuntap.attach, "v0"),
    "no tun": refused(tuntap.attach, "many", tun=True, multi_queue=True),
    "no macvtap": refused(tuntap.open_macvtap, "v0"),
    "no link": refused(tuntap.open_macvtap, "v7"),
}))
"""
    assert said(sandbox, script) == {
        "held": "EBUSY",
        "there": "EBUSY",
        "one queue": "EINVAL",
        "no tap": "EINVAL",
        "no tun": "EINVAL",
        "no macvtap": "ENODEV",
        "no link": "ENOENT",
    }


def test_offloads_that_the_kernel_lacks_are_left_out(sandbox: Sandbox) -> None:
    script = """
fd = tuntap.attach("t0", vnet_header=True)
known = tuntap.TUN_F_CSUM | tuntap.TUN_F_TSO4 | tuntap.TUN_F_TSO6
print(json.dumps([tuntap.set_offload(fd, known), tuntap.set_offload(fd, 0), refused(tuntap.set_offload, fd, 1 << 30)]))
"""
    assert said(sandbox, script) == [7, 0, "EINVAL"]


def test_the_header_is_as_long_as_it_is_told(sandbox: Sandbox) -> None:
    script = """
fd = tuntap.attach("t0", vnet_header=True)
before = tuntap.header_size(fd)
tuntap.set_header_size(fd, 12)
print(json.dumps([before, tuntap.header_size(fd)]))
"""
    assert said(sandbox, script) == [10, 12]


def test_frames_pass_a_macvtap_of_another_namespace(sandbox: Sandbox) -> None:
    # Two namespaces each have a macvtap of one index: /dev/tapN is that of the first, if of any.
    for netns in ("a", "b"):
        sandbox.sh(f"""
ip netns add {netns}
ip -n {netns} link add p0 address 02:00:00:00:00:0{netns} type veth peer name p1
ip -n {netns} link set p0 up; ip -n {netns} link set p1 up
ip -n {netns} link add link p0 name mt index 77 type macvtap mode bridge
ip -n {netns} link set mt up
""")
    script = """
numbers = [kernel.call(netns, lambda: tuntap.device_number("mt")) for netns in ("a", "b")]
import select, socket
heard = []
for netns in ("b", "a"):
    with kernel.inside(netns):
        fd = tuntap.open_macvtap("mt")
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        wire.bind(("p1", 0))
    frame = b"\\xff" * 6 + b"\\2\\0\\0\\0\\0\\1" + b"\\x88\\xb5" + netns.encode() * 50
    got = b""
    while got != frame:  # it is dropped until the kernel has taken note of the carrier
        os.write(fd, frame)
        while got != frame and select.select([wire], [], [], 0.1)[0]:
            got = wire.recv(2000)
    heard.append(netns)
print(json.dumps([numbers[0] != numbers[1], heard, os.path.exists("/sys/class/net/mt")]))
"""
    assert said(sandbox, script) == [True, ["b", "a"], False]
