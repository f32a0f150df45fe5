"""Frames through real taps, tuns and macvtaps: read and written, waited for, with and without the virtio-net header."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tests.sandbox import Sandbox

Said = Callable[..., Any]

WIRE = """
def wire(link):
    carries(link)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
    sock.bind((link, 0x88b5))
    sock.settimeout(10)
    return sock
frame = b"\\xff" * 6 + b"\\2\\0\\0\\0\\0\\1" + b"\\x88\\xb5" + bytes(range(200))
"""
TAP = "ip tuntap add t0 mode tap; ip link set t0 addrgenmode none; ip link set t0 up"


def test_frames_pass_both_ways_whole_in_parts_and_into_a_buffer(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh(TAP)
    script = (
        WIRE
        + """
with Tap("t0") as tap:
    sock = wire("t0")
    tap.write(frame)
    found = [sock.recv(2000) == frame]
    tap.write(frame[:14], memoryview(frame)[14:])
    found.append(sock.recv(2000) == frame)
    sock.send(frame)
    found.append(tap.read() == frame)
    buffer = bytearray(2048)
    sock.send(frame)
    found.append(bytes(buffer[:tap.read_into(buffer)]) == frame)
    say(found)
"""
    )
    assert said(script) == [True] * 4


def test_a_frame_that_a_buffer_cuts_is_an_error(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh(TAP)
    script = (
        WIRE
        + """
with Tap("t0") as tap:
    wire("t0").send(frame)
    try:
        tap.read_into(bytearray(100))
    except OSError as error:
        cut = error.errno == errno.EMSGSIZE
    try:
        tap.write(bytes(70000))
    except OSError as error:
        say([cut, error.errno == errno.EMSGSIZE, str(error)])
"""
    )
    cut, long, text = said(script)
    assert cut
    assert long
    assert "70,000 bytes" in text


def test_a_reader_waits_and_is_told_when_the_link_goes(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh(TAP)
    script = (
        WIRE
        + """
tap = Tap("t0")
got = []
reader = threading.Thread(target=lambda: got.append(tap.read()))
reader.start()
wire("t0").send(frame)
reader.join(10)
def gone():
    try:
        tap.read()
    except OSError as error:
        got.append(error.errno in (errno.EBADFD, errno.EIO, errno.ENODEV))
reader = threading.Thread(target=gone)
reader.start()
import subprocess
subprocess.run(["ip", "link", "del", "t0"], check=True)
reader.join(10)
say([got[0] == frame, got[1:]])
"""
    )
    assert said(script) == [True, [True]]


def test_asyncio_reads_one_while_it_writes_another(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip link add br0 type bridge; ip link set br0 addrgenmode none up")
    for name in ("t0", "t1"):
        sandbox.sh(f"ip tuntap add {name} mode tap; ip link set {name} addrgenmode none master br0 up")
    script = (
        WIRE
        + """
async def main():
    with Tap("t0") as one, Tap("t1") as two:
        async def hear(buffer):
            return bytes(buffer[:await two.receive_into(buffer)]) == frame
        async def first():
            while (got := await two.receive()) != frame: pass
            return True
        hearing = asyncio.ensure_future(first())
        await asyncio.sleep(0)
        for _ in range(200):  # the bridge's ports come up in their own time
            await one.send(frame)
            done, _ = await asyncio.wait([hearing], timeout=0.05)
            if done: break
        return await hearing
say(asyncio.run(asyncio.wait_for(main(), 20)))
"""
    )
    assert said(script) is True


def test_a_tun_carries_packets_without_ethernet(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh(
        "ip tuntap add u0 mode tun; ip link set u0 addrgenmode none; ip address add 10.8.0.1/24 dev u0; "
        "ip link set u0 up"
    )
    script = """
with Tun("u0") as tun:
    carries("u0")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.sendto(b"hello", ("10.8.0.2", 7))
    packet = tun.read()
    say([packet[0] >> 4, packet[9], packet[-5:].decode()])
"""
    assert said(script) == [4, socket.IPPROTO_UDP, "hello"]


def test_one_that_is_made_goes_unless_it_persists(sandbox: Sandbox, said: Said) -> None:
    before = sandbox.snapshot()
    script = """
with Tap("mine%d", create=True) as tap, Tun("kept", create=True) as tun:
    tun.persist()
    say([tap.name, repr(tun), os.path.exists("/proc/sys/net/ipv4/conf/mine0")])
"""
    assert said(script) == ["mine0", "Tun('kept')", True]
    assert "mine0" not in sandbox.sh("ip link")
    sandbox.sh("ip tuntap del kept mode tun")
    assert sandbox.snapshot() == before


OFFLOADED = """
def listen(address):
    server = socket.create_server(address)
    return server
with Tap("t0", vnet_header={size}) as tap:
    asked = Offload.CSUM | Offload.TSO4
    have = tap.offload(asked) if {asked} else None
    carries("t0")
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.sendto(b"odd", ("10.9.0.2", 7))
    while True:
        data = tap.read()
        header, frame = VnetHeader.parse(data), bytearray(data[{size}:])
        if frame[12:14] == b"\\x08\\x00" and frame[23] == 17: break
    before = bytes(frame[40:42])
    done = complete_checksum(header, frame)
    udp = bytes(frame[34:])
    pseudo = bytes(frame[26:34]) + bytes([0, 17]) + struct.pack("!H", len(udp))
    total = sum(struct.unpack("!%dH" % ((len(pseudo + udp) + 1) // 2), pseudo + udp + bytes(len(udp) % 2)))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    say([have == asked, header.flags, done.flags, total == 0xffff, len(header.pack({size}))])
"""
TO_TAP = f"{TAP}; ip address add 10.9.0.1/24 dev t0; ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev t0"


def test_sums_that_are_left_to_the_reader_are_completed(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh(TO_TAP)
    for size in (10, 12):
        assert said(OFFLOADED.format(size=size, asked=True)) == [True, 1, 0, True, size]
        # Who asks for nothing gets whole frames; the state is the device's, so it is set back for the next.
        script = f"with Tap('t0', vnet_header={size}) as tap: tap.offload(Offload(0))\n"
        assert said(script + OFFLOADED.format(size=size, asked=False)) == [False, 0, 0, True, size]


def test_segments_come_uncut_and_go_uncut(sandbox: Sandbox, said: Said) -> None:
    # Two taps cabled in user space, a namespace behind each: one TCP write of 60,000 bytes crosses in few frames.
    sandbox.sh("""
for end in 1 2; do
    ip netns add n$end
    ip -n n$end tuntap add t0 mode tap
    ip -n n$end link set t0 address 02:00:00:00:00:0$end addrgenmode none
    ip -n n$end address add 10.9.0.$end/24 dev t0
    ip -n n$end link set t0 up
done
""")
    script = """
from guestwire.linux import namespaces
sizes = []
a, b = (Tap("t0", netns=n, vnet_header=True) for n in ("n1", "n2"))
for tap in (a, b):
    tap.offload(Offload.CSUM | Offload.TSO4 | Offload.TSO6)
def pump(one, other):
    while True:
        data = one.read()
        header = VnetHeader.parse(data)
        sizes.append((len(data), header.gso_type))
        other.write(header.pack(), memoryview(data)[10:])
for pair in ((a, b), (b, a)):
    threading.Thread(target=pump, args=pair, daemon=True).start()
with namespaces.visiting("n2"):
    server = socket.create_server(("10.9.0.2", 7))
with namespaces.visiting("n1"):
    client = socket.create_connection(("10.9.0.2", 7), timeout=10)
peer, _ = server.accept()
sent = os.urandom(300000)
threading.Thread(target=lambda: (client.sendall(sent), client.shutdown(1)), daemon=True).start()
peer.settimeout(10)
got = bytearray()
while part := peer.recv(1 << 16):
    got += part
say([bytes(got) == sent, max(size for size, _ in sizes) > 20000, 1 in {kind for _, kind in sizes}])
os._exit(0 if not sys.stdout.flush() else 1)
"""
    assert said(script) == [True, True, True]


def test_a_macvtap_speaks_for_its_mac(sandbox: Sandbox, said: Said) -> None:
    sandbox.sh("ip link add p0 type veth peer name p1; ip link set p0 up; ip link set p1 up")
    sandbox.sh("ip link add link p0 name mt address 02:00:00:00:00:05 type macvtap mode bridge; ip link set mt up")
    script = (
        WIRE
        + """
with MacvTap("mt", vnet_header=True) as tap:
    sock = wire("p1")
    carries("mt")
    tap.write(VnetHeader().pack(), frame)
    heard = sock.recv(2000) == frame
    to = b"\\2\\0\\0\\0\\0\\5" + frame[6:]
    sock.send(to)
    while (got := tap.read()[10:]) != to: pass
    say([tap.name, heard, True, bool(tap.offload(Offload.CSUM))])
"""
    )
    assert said(script) == ["mt", True, True, True]
    sandbox.sh("ip link del p0")
