"""Open vSwitch in a sandbox, from Debian's packages in .cache: in the other host on its kernel module, here without."""

from __future__ import annotations

import os

from tests.machine.debian import package
from tests.sandbox import Sandbox

__all__ = ["COMMANDS", "DATAPATH", "start"]

DATAPATH = "system" if os.environ.get("GUESTWIRE_MACHINE") else "netdev"
"""What carries its frames: the kernel's module, or itself."""

COMMANDS = "/run/ovs"
"""Where its commands are in the sandbox: in the PATH of what shall find them."""

START = """
mkdir -p {here} /run/openvswitch
for program in {server} {daemon} {tool} {control} {maker}; do
    printf '#!/bin/sh\\nLD_LIBRARY_PATH={libraries} exec %s "$@"\\n' $program >{here}/${{program##*/}}
done
chmod +x {here}/*
export PATH={here}:$PATH OVS_PKGDATADIR={data}
ovsdb-tool create /run/openvswitch/conf.db {schema}
daemon="--detach --no-chdir --pidfile --log-file=/dev/null"
ovsdb-server $daemon --remote=punix:/run/openvswitch/db.sock /run/openvswitch/conf.db
ovs-vsctl --no-wait init
ovs-vswitchd $daemon {without}
"""


def start(sandbox: Sandbox) -> None:
    """Start it, without bridges."""
    common, switch = package("openvswitch-common"), package("openvswitch-switch")
    (library,) = package("libxdp1").glob("usr/lib/*/libxdp.so.1")
    (server,) = common.glob("usr/*bin/ovsdb-server")
    (maker,) = [*common.glob("usr/bin/ovsdb-tool"), *switch.glob("usr/bin/ovsdb-tool")]
    (tool,) = [*common.glob("usr/bin/ovs-vsctl"), *switch.glob("usr/bin/ovs-vsctl")]
    (control,) = [*common.glob("usr/bin/ovs-appctl"), *switch.glob("usr/bin/ovs-appctl")]
    sandbox.sh(
        START.format(
            here=COMMANDS,
            without="--disable-system" if DATAPATH == "netdev" else "",
            server=server,
            daemon=switch / "usr/lib/openvswitch-switch/ovs-vswitchd",
            tool=tool,
            control=control,
            maker=maker,
            libraries=library.parent,
            data=switch / "usr/share/openvswitch",
            schema=switch / "usr/share/openvswitch/vswitch.ovsschema",
        )
    )
