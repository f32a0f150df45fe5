"""A file that is right in itself and wrong for this host: told before the first step where it can be, else undone."""

from __future__ import annotations

import pytest

from tests.sandbox import Sandbox
from tests.trouble.saying import errors_of, place_of, refused

BRIDGE = "networks:\n  net: {type: bridge, uplink: «eth0}\nguests:\n  web: {nics: [net]}\n"
MACVTAP = BRIDGE.replace("bridge", "macvtap")
PASSTHRU = "networks:\n  net: {type: macvtap, uplink: eth0, mode: «passthru}\nguests:\n  web: {nics: [net]}\n"
SUBNET = "networks:\n  net: {type: bridge, subnet: «10.77.0.0/24}\n"
NIC = "ip link add eth0 type veth peer name far; ip link set eth0 up\n"
CHILD = NIC + "ip link add child link eth0 type macvlan mode %s\n"
FAR_CHILD = NIC + "ip netns add far; ip link add child link eth0 netns far type macvlan mode %s\n"
ON_CHILD = "ip link add below type veth peer name far; ip link add eth0 link below type macvlan mode bridge\n"
ON_BRIDGE = NIC + "ip link add br0 type bridge; ip link set eth0 master br0\n"

# The host, the file, what is said, what is advised.
WRONG = {
    "no uplink": ("", BRIDGE, "the host has no link eth0", "guestwire up --lab"),
    "another uplink": (NIC, BRIDGE.replace("eth0", "eth9"), "the host has no link eth9", "It has eth0, far."),
    "uplink on a bridge": (ON_BRIDGE, BRIDGE, "already a port of bridge br0", "uplink: br0"),
    "parent on a bridge": (ON_BRIDGE, MACVTAP, "already a port of bridge br0", "uplink: br0"),
    "uplink is a tun": ("ip tuntap add eth0 mode tun", BRIDGE, "carries no Ethernet frames", "Use a NIC"),
    "uplink is a macvlan": (ON_CHILD, BRIDGE, "eth0 is itself a child of below (macvlan)", "uplink: below"),
    "parent is a macvlan": (ON_CHILD, MACVTAP, "eth0 is itself a child of below (macvlan)", "uplink: below"),
    "uplink is a macvlan of elsewhere": (
        ON_CHILD + "ip netns add far; ip link set below netns far",
        BRIDGE,
        "eth0 is itself a child of another NIC",
        "type routed",
    ),
    "uplink has a macvlan": (CHILD % "bridge", BRIDGE, "has a macvlan, child", "type macvtap"),
    "passthru beside another": (CHILD % "vepa", PASSTHRU, "has macvlan child in mode vepa", "another uplink"),
    "beside passthru": (
        CHILD % "passthru",
        PASSTHRU.replace("passthru", "bridge"),
        "has macvlan child in mode passthru",
        "another uplink",
    ),
    "subnet of the host": (
        NIC + "ip address add 10.77.0.9/16 dev eth0",
        SUBNET,
        "overlaps with what is there: the host has 10.77.0.9/16 on eth0",
        "another subnet",
    ),
    "IPv6 subnet of the host": (
        NIC + "ip address add fd00:77::9/64 dev eth0 nodad",
        SUBNET.replace("10.77.0.0/24", "fd00:77::/64"),
        "the host has fd00:77::9/64 on eth0",
        "another subnet",
    ),
    "subnet that the host routes": (
        NIC + "ip address add 192.168.7.2/24 dev eth0; ip route add 10.77.0.128/25 via 192.168.7.1",
        SUBNET,
        "the host has a route to 10.77.0.128/25 by eth0",
        "another subnet",
    ),
    "subnet that the host drops": (
        "ip route add blackhole 10.77.0.0/16",
        SUBNET,
        "the host has a route to 10.77.0.0/16.",
        "another subnet",
    ),
    "IPv6 of the host's that is link-local only": (
        NIC + "ip link set far up; until ip -6 address show dev eth0 | grep -q fe80; do sleep 0.02; done",
        "networks:\n  lan: {type: bridge, uplink: eth0, mtu: «1000}\n",
        "under IPv6's 1280, and the bridge, which takes its ports' least, has fe80:",
        "1280 or more",
    ),
    "foreign link": (
        "ip link add t-net type bridge",
        "networks:\n  «net: {type: bridge}\n",
        "bridge t-net is already there and isn't guestwire's",
        "Rename it",
    ),
    "foreign link for a port": (
        "ip link add t-web.0 type veth peer name far",
        "networks:\n  net: {type: bridge}\nguests:\n  «web: {nics: [net]}\n",
        "veth t-web.0 is already there and isn't guestwire's",
        "Rename it",
    ),
    "foreign namespace": (
        "ip netns add t-web",
        "guests:\n  «web: {}\n",
        "namespace t-web is already there and isn't guestwire's",
        "Rename it",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_host(case: str, sandbox: Sandbox) -> None:
    script, marked, says, hint = WRONG[case]
    text, at = place_of(marked)
    sandbox.write(text)
    sandbox.sh(script)
    refused(sandbox, "up", code=65, says=says, hint=hint, at=at)


# What lies in a namespace that isn't the project's is out of sight: the kernel refuses, and all is undone.
REFUSED = {
    "uplink has a macvlan elsewhere": (FAR_CHILD % "bridge", BRIDGE, "change veth eth0: Device or resource busy"),
    "passthru beside another elsewhere": (FAR_CHILD % "vepa", PASSTHRU, "in namespace t-web: Invalid argument"),
    "beside passthru elsewhere": (FAR_CHILD % "passthru", MACVTAP, "in namespace t-web: Invalid argument"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_only_the_kernel_sees(case: str, sandbox: Sandbox) -> None:
    script, marked, says = REFUSED[case]
    sandbox.write(place_of(marked)[0])
    sandbox.sh(script)
    hint = "All was undone."
    refused(sandbox, "up", code=71, says=says, hint=hint)
    (error,) = errors_of(sandbox, "up", code=71)
    assert "perhaps in another namespace" in error["hint"]


def test_wifi(sandbox: Sandbox) -> None:
    """No Wi-Fi can be made here: a link of another kind is shown as one, in a sysfs of the sandbox's own."""
    text, at = place_of(BRIDGE.replace("eth0", "wlan0"))
    sandbox.write(text)
    folder = "/sys/class/net"
    sandbox.sh(f"ip link add wlan0 type ifb; mount -t tmpfs none {folder}; mkdir -p {folder}/wlan0/phy80211")
    prelude = """\
from guestwire.linux import reading
dump = reading.dump_links
reading.dump_links = lambda sock: [m._replace(kind="" if m.name == "wlan0" else m.kind) for m in dump(sock)]
"""
    refused(sandbox, "up", code=65, says="uplink wlan0 is Wi-Fi", hint="without uplink", at=at, prelude=prelude)


def test_a_bridge_that_is_full(sandbox: Sandbox) -> None:
    """A macvlan on one NIC is the quickest port to make: a veth is two links."""
    text, at = place_of("networks:\n  net: {type: bridge, uplink: «br0}\nguests:\n  web: {count: 4, nics: [net]}\n")
    sandbox.write(text)
    ports = "\n".join(f"link add p{i} link eth0 master br0 type macvlan" for i in range(1020))
    sandbox.run("ip", "-batch", "-", text=f"link add eth0 type ifb\nlink add br0 type bridge\n{ports}\n")
    says = "bridge br0 has 1,020 ports and would get 4 more"
    refused(sandbox, "up", code=65, says=says, hint="another bridge", at=at)
    sandbox.write(text.replace("count: 4", "count: 3"))
    assert sandbox.json("plan")["changes"]


def test_a_namespace_of_another_project(sandbox: Sandbox) -> None:
    """Project `t` with guest `a-b`, and project `t-a` with guest `b`: their namespaces would have one name."""
    sandbox.write("name: t-a\nguests:\n  b: {}\n", "first.yaml")
    sandbox.guestwire("up", "first.yaml")
    sandbox.write("name: t\nguests:\n  a-b: {}\n")
    says = "namespace t-a-b is already there and belongs to project t-a"
    refused(sandbox, "up", code=65, says=says, hint="another name for the project", at=(3, 3))


def test_projects_of_like_names_do_not_meet(sandbox: Sandbox) -> None:
    sandbox.write("name: t-a\nguests:\n  b: {}\n", "first.yaml")
    sandbox.guestwire("up", "first.yaml")
    before = sandbox.snapshot()
    sandbox.write("name: t\nguests:\n  c: {}\n")
    sandbox.guestwire("up")
    assert sandbox.json("plan")["changes"] == []
    listed = {each["project"]: each["namespaces"] for each in sandbox.json("list")["projects"]}
    assert listed == {"t": 1, "t-a": 1}
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize("wish", ["none", "../../etc/passwd", "..", "a b"])
def test_a_host_that_is_not_there(wish: str, sandbox: Sandbox) -> None:
    sandbox.write("guests:\n  web: {}\n")
    refused(sandbox, "up", "--netns", wish, code=64, says=f'no network namespace "{wish}"', hint="ip netns list")


def test_a_lab_on_a_host(sandbox: Sandbox) -> None:
    sandbox.write("guests:\n  web: {}\n")
    sandbox.sh("ip netns add h")
    refused(sandbox, "up", "--lab", "--netns", "h", code=64, says="--netns names another", hint="one of them")


def test_a_project_that_is_up_elsewhere(sandbox: Sandbox) -> None:
    sandbox.write("guests:\n  web: {}\n")
    sandbox.guestwire("up")
    refused(sandbox, "up", "--lab", code=65, says="project t is up on host (this one) already", hint="--project")


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "ä", "a" * 64])
def test_a_project_of_an_odd_name(name: str, sandbox: Sandbox) -> None:
    sandbox.write("guests:\n  web: {}\n")
    says = "64 characters" if len(name) > 15 else "is no name for a project"
    hint = "Shorten" if len(name) > 15 else "letters, digits and -"
    refused(sandbox, "up", f"--project={name}", code=64, says=says, hint=hint)


# What a lab's LAN has already, where a guest is given it.
TAKEN = {
    "192.0.2.1": "the gateway's",
    "'2001:db8:1::1'": "the gateway's",
    "192.0.2.10/24": "the host's",
    "192.0.2.100": "the neighbour's",
    "'2001:db8:1::100'": "the neighbour's",
    "192.0.2.0": "the network's own",
    "192.0.2.255": "the broadcast",
}


@pytest.mark.parametrize("address", TAKEN)
@pytest.mark.parametrize("kind", ["bridge", "macvtap"])
def test_an_address_of_the_labs(kind: str, address: str, sandbox: Sandbox) -> None:
    text = f"networks: {{lan: {{type: {kind}, uplink: eth0}}}}\n"
    text, at = place_of(f"{text}guests:\n  web: {{nics: [{{network: lan, address: «{address}}}]}}\n")
    sandbox.write(text)
    refused(sandbox, "up", "--lab", code=65, says=f"is {TAKEN[address]}", hint="leave it out", at=at)


def test_the_hosts_other_address_on_one_lan(sandbox: Sandbox) -> None:
    text, at = place_of(
        "lab: {same-lan: true}\nnetworks:\n  a: {type: macvtap, uplink: eth0}\n  b: {type: macvtap, uplink: eth1}\n"
        "guests:\n  web: {nics: [{network: a, address: «192.0.2.11}]}\n"
    )
    sandbox.write(text)
    refused(sandbox, "up", "--lab", code=65, says="is the host's", hint="leave it out", at=at)


# What only the kernel would refuse, in a lab: told before the first step.
LAN = "networks:\n  lan: {type: %s, uplink: eth0%s}\nguests:\n  web: {count: 2, nics: [{network: lan%s}]}\n"
IN_A_LAB = {
    "mtu over the uplink's": (LAN % ("macvtap", ", mtu: «9000", ""), "over the 1500 of uplink eth0", "Write 1500"),
    "a NIC's mtu over the uplink's": (LAN % ("bridge", "", ", mtu: «1501"), "over the 1500 of", "Write 1500"),
    "mtu that takes IPv6 from the host": (LAN % ("bridge", "", ", mtu: «1000"), "under IPv6's 1280", "1280 or more"),
    "mtu that takes IPv6 from a host without guests": (
        "networks:\n  lan: {type: bridge, uplink: eth0, mtu: «1000}\n",
        "under IPv6's 1280",
        "1280 or more",
    ),
    "gateway of another LAN": (LAN % ("bridge", "", ", gateway: «10.9.9.9"), "is outside 192.0.2.0/24", "router"),
    "uplink called as the switch": (
        (LAN % ("bridge", "", "")).replace("eth0", "«lan0"),
        "no uplink can be called lan0",
        "another name",
    ),
    "NIC called as no link can be": (LAN % ("bridge", "", ", name: «all"), '"all" can\'t be the name', "another"),
}


@pytest.mark.parametrize("case", IN_A_LAB)
def test_what_the_kernel_would_refuse(case: str, sandbox: Sandbox) -> None:
    marked, says, hint = IN_A_LAB[case]
    text, at = place_of(marked)
    sandbox.write(text)
    refused(sandbox, "up", "--lab", code=65, says=says, hint=hint, at=at)


@pytest.mark.parametrize("taken", ["eth0", "child"])
def test_a_mac_that_the_uplink_or_a_child_has(taken: str, sandbox: Sandbox) -> None:
    mac = "02:00:00:00:00:77"
    text, at = place_of(
        f"networks:\n  lan: {{type: macvtap, uplink: eth0}}\n"
        f"guests:\n  web: {{nics: [{{network: lan, mac: «'{mac}'}}]}}\n"
    )
    sandbox.write(text)
    sandbox.sh(NIC + "ip link add child link eth0 type macvlan\n" + f"ip link set {taken} address {mac}")
    says = f"MAC {mac} is that of {taken} already"
    refused(sandbox, "up", code=65, says=says, hint="leave it out", at=at)


def test_an_mtu_that_ends_ipv6_on_a_nic(sandbox: Sandbox) -> None:
    """A network of small frames has IPv4 only, and comes up like any other."""
    sandbox.write(
        "networks:\n  small: {type: bridge, mtu: 68, subnet: 10.77.0.0/24}\n  lan: {type: macvtap, uplink: eth0}\n"
        "guests:\n  web: {nics: [small, {network: lan, mtu: 1000}]}\n"
    )
    sandbox.guestwire("up", "--lab")
    assert sandbox.json("status")["drift"] == []
    assert [nic["addresses"] for nic in sandbox.json("status")["guests"][0]["nics"]] == [
        ["10.77.0.2/24"],
        ["192.0.2.200/24"],
    ]


def test_an_address_that_is_none_of_the_lans(sandbox: Sandbox) -> None:
    """It has no default route, since the LAN's gateway is out of its reach; one that is asked for is refused."""
    nic = "{network: lan, address: 10.9.0.7/24%s}"
    text = f"networks:\n  lan: {{type: bridge, uplink: eth0}}\nguests:\n  web: {{nics: [{nic}]}}\n"
    marked, at = place_of(text % ", default-route: «true")
    sandbox.write(marked)
    refused(sandbox, "up", "--lab", code=65, says="192.0.2.1 is outside 10.9.0.0/24", hint="a router", at=at)
    sandbox.write(text % "")
    sandbox.guestwire("up", "--lab")
    assert sandbox.sh("ip -n t-web route") == "10.9.0.0/24 dev eth0 proto kernel scope link src 10.9.0.7 \n"


@pytest.mark.parametrize("subnet", ["192.0.2.0/25", "203.0.113.0/30", "2001:db8::/32"])
def test_a_subnet_of_the_labs(subnet: str, sandbox: Sandbox) -> None:
    text, at = place_of(
        f"networks:\n  lan: {{type: bridge, uplink: eth0}}\n  net: {{type: bridge, subnet: «'{subnet}'}}\n"
    )
    sandbox.write(text)
    refused(sandbox, "up", "--lab", code=65, says="overlaps with what is there", hint="another subnet", at=at)


def test_a_lan_that_is_full(sandbox: Sandbox) -> None:
    """It has .200 to .254 and .11 to .149 but .100, the neighbour's, for each family."""
    text = "networks: {lan: {type: bridge, uplink: eth0}}\nguests: {web: {count: %d, nics: [lan]}}\n"
    sandbox.write(text % 194)
    errors = errors_of(sandbox, "plan", "--lab", code=65)
    assert [error["message"] for error in errors] == [
        f'network "lan": no IPv{version} address is left for all of its guests.' for version in (4, 6)
    ]
    sandbox.write(text % 193)
    assert sandbox.json("plan", "--lab")["changes"]


# What works and may surprise: the host, the file, what is said, what is advised.
WHOLE = NIC + "ip link set far up\n"
ADDRESSED = WHOLE + "ip address add 192.168.7.2/24 dev eth0\n"
NAT = "networks: {net: {type: bridge, subnet: 10.77.0.0/24, nat: true, forward: [{host: «8022, to: web}]}}\n"
SURPRISES = {
    "passthru of the host's own NIC": (ADDRESSED, PASSTHRU, "has the host's 192.168.7.2/24", "can do without"),
    "a NIC for smaller frames": (
        "",
        SUBNET.replace("«", "") + "guests: {web: {nics: [{network: net, mtu: «1400}]}, db: {nics: [net]}}\n",
        "mtu 1400 beside 1500 of guest db",
        "the same",
    ),
    "a network for smaller frames than the LAN's": (
        NIC,
        BRIDGE.replace("«", "").replace("eth0", "eth0, mtu: «1400"),
        "mtu 1400 beside 1500 of uplink eth0",
        "the same",
    ),
    "the host's own NIC under STP": (
        NIC,
        "networks:\n  net: {type: bridge, uplink: eth0, stp: «true}\n",
        "passes nothing for the first 30 s",
        "--no-guard",
    ),
    "a macvlan of the host's with an address that is lent": (
        WHOLE + "ip address add 192.168.7.2/24 dev eth0 valid_lft 600 preferred_lft 600\n",
        "networks:\n  net: {type: macvtap, uplink: eth0, host-access: «true}\n",
        "the host's 192.168.7.2/24 on uplink eth0 is lent to it",
        "`up` again",
    ),
    "an uplink without a cable": (NIC, MACVTAP, "eth0 has no carrier", "Plug its cable in"),
    "a port that leads elsewhere": (
        "iptables-nft -t nat -N DOCKER; iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n"
        "iptables-nft -t nat -A DOCKER ! -i docker0 -p tcp --dport 8022 -j DNAT --to-destination 172.17.0.2:80\n",
        NAT + "guests: {web: {nics: [net]}}\n",
        "tcp/8022 of the host leads elsewhere: table ip nat, chain DOCKER",
        "another port",
    ),
    "a port of another project": (
        "nft 'table inet guestwire-o { chain forwards { tcp dport 8022 dnat ip to 10.78.0.2:80; }; }'",
        NAT + "guests: {web: {nics: [net]}}\n",
        "tcp/8022 of the host leads elsewhere: table inet guestwire-o, chain forwards",
        "another port",
    ),
    "a port to a guest that answers elsewhere": (
        NIC,
        "networks:\n  net: {type: bridge, subnet: 10.77.0.0/24, nat: true, forward: [{host: 80, to: «web}]}\n"
        "  other: {type: bridge, subnet: 10.78.0.0/24, nat: true}\nguests: {web: {nics: [other, net]}}\n",
        'guest "web" answers by its default route, which leads by network "other"',
        "default-route: true",
    ),
    "a port that is in use": (
        """python3 -c 'import socket, time
s = socket.create_server(("", 8022)); print("ready", flush=True); time.sleep(600)' > said 2>&1 &
until grep -q ready said; do sleep 0.02; done
""",
        NAT + "guests: {web: {nics: [net]}}\n",
        'listens on tcp/8022, which leads to "web"',
        "another port",
    ),
}


@pytest.mark.parametrize("case", SURPRISES)
def test_what_may_surprise(case: str, sandbox: Sandbox) -> None:
    script, marked, says, hint = SURPRISES[case]
    text, at = place_of(marked)
    assert at
    sandbox.write(text)
    sandbox.sh(script)
    (warning,) = sandbox.json("plan")["warnings"]
    assert f":{at[0]}:{at[1]}: " in warning
    assert says in warning
    assert hint in warning
