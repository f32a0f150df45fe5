"""A user's own libvirt session, whose libvirtd may do no more than its user: domains there get taps of ours."""

from __future__ import annotations

import pytest

from tests.libvirt.daemon import Libvirtd, domain_xml

USER = """
echo lv:x:4000:4000::/run/home:/bin/sh >>/etc/passwd; echo lv:x:4000: >>/etc/group
mkdir -p /run/home /run/user/4000; chown 4000:4000 /run/home /run/user/4000
"""
SESSION = (
    "cd /run/home; exec setpriv --reuid 4000 --regid 4000 --clear-groups "
    "env HOME=/run/home XDG_RUNTIME_DIR=/run/user/4000 LIBVIRT_AUTOSTART=0 "
)
URI = "qemu+unix:///session?socket=/run/user/4000/libvirt/libvirt-sock"
FILE = """
name: demo
networks: {lan: %s}
guests: {mine: {kind: libvirt, uri: "%s", nics: [lan]}}
"""
BRIDGE = "{type: bridge, subnet: 10.1.0.0/24}"


@pytest.mark.slow
def test_a_domain_of_a_users_session(libvirtd: Libvirtd) -> None:
    sandbox = libvirtd.sandbox
    sandbox.sh(USER)

    def virsh(*words: str) -> str:
        return sandbox.sh(f"{SESSION}virsh -q -c qemu:///session {' '.join(words)}")

    domain = domain_xml("mine").replace("/run/mine.console", "/run/home/mine.console")
    sandbox.run("sh", "-c", "cat >/run/home/mine.xml", text=domain)
    libvirtd.start("sh", "-c", f"{SESSION}libvirtd --daemon")
    virsh("define", "/run/home/mine.xml")
    before, links = virsh("dumpxml", "mine"), sandbox.sh("ip -br link")
    for network, uri, said in (
        ("{type: macvtap, uplink: eth0}", URI, "is a user's session, where libvirt makes no link and opens taps only"),
        (f"{{type: libvirt, subnet: 10.4.0.0/24, uri: '{URI}'}}", URI, "there libvirt makes no networks"),
        (BRIDGE, "qemu:///session", "is the session of whoever asks, and so root's"),
    ):
        sandbox.sh("ip link show eth0 >/dev/null 2>&1 || ip link add eth0 type bridge")
        sandbox.write(FILE % (network, uri))
        done = sandbox.guestwire("up", check=False)
        assert (done.returncode, said in done.stderr) == (65, True), done.stderr
    sandbox.sh("ip link delete eth0")
    sandbox.write(FILE % (BRIDGE, URI))
    sandbox.guestwire("up")
    virsh("start", "mine")
    sandbox.until("ip link show demo-mine.0 master demo-lan | grep -q 'state UP'")
    assert sandbox.json("status")["guests"][0]["nics"][0]["plugged"] is True
    assert sandbox.json("plan")["changes"] == []
    virsh("destroy", "mine")
    sandbox.guestwire("down")
    assert (virsh("dumpxml", "mine"), sandbox.sh("ip -br link")) == (before, links)
