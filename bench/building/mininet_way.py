"""Mininet with its Linux bridge, in a program of its own: `build` and `down` come on standard input, `done` answers.

It runs under the system's Python, which is where Debian puts Mininet. Mininet's own clean-up (`mn -c`) is never called.
"""

import sys
from typing import Any


def main() -> None:
    """Wait for the two orders; imports are done before the first."""
    from mininet.log import setLogLevel  # type: ignore[import-not-found]
    from mininet.net import Mininet  # type: ignore[import-not-found]
    from mininet.nodelib import LinuxBridge  # type: ignore[import-not-found]

    setLogLevel("critical")
    count = int(sys.argv[1])
    net: Any = None
    print("done", flush=True)
    for order in sys.stdin:
        if order.strip() == "build":
            net = Mininet(switch=LinuxBridge, controller=None, ipBase="10.77.0.0/16")
            switch = net.addSwitch("s1")
            for i in range(count):
                address = f"10.77.{(i + 2) >> 8}.{(i + 2) & 255}/16"
                net.addLink(net.addHost(f"h{i}", ip=address, defaultRoute="via 10.77.0.1"), switch)
            net.build()
            switch.start([])
            switch.cmd("ip addr add 10.77.0.1/16 dev s1")
            for host in net.hosts:
                host.setDefaultRoute("via 10.77.0.1")
        else:
            net.stop()
        print("done", flush=True)


if __name__ == "__main__":
    main()
