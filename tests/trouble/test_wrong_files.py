"""A file that is wrong in itself: one error with its place, exit code 65, and nothing is done."""

from __future__ import annotations

import pytest

from tests.sandbox import Sandbox
from tests.trouble.saying import place_of, refused

LAN = "networks: {lan: {type: bridge, subnet: [10.77.0.0/24, 'fd00:77::/64']}}\n"
ON = "guests:\n  web: {nics: [{network: lan, %s}]}\n"
MAC = "02:00:5e:00:00:01"
LONG = "a" * 64

# What the text is, with « before the place that the error names; what it says; what it advises.
WRONG = {
    "unknown key": ("«xyzzy: 1\n", 'unknown key "xyzzy"', "The file has name, lab, networks"),
    "misspelt key": (f"{LAN}guests:\n  web: {{«nisc: [lan]}}\n", 'unknown key "nisc"', '"nics"?'),
    "misspelt key of a NIC": (LAN + ON % "«adress: 10.77.0.9", 'unknown key "adress"', '"address"?'),
    "misspelt key of the lab": ("lab: {«realy: true}\n", 'unknown key "realy"', '"relay"?'),
    "another type's key": ("networks: {a: {type: bridge, «mode: vepa}}\n", "means nothing for type bridge", "Leave"),
    "key twice": (f"{LAN}guests:\n  web: {{}}\n  «web: {{}}\n", 'the key "web" is given twice', "line 3, column 3"),
    "section twice": ("name: t\n«name: u\n", 'the key "name" is given twice', "line 1, column 1"),
    "a list for a text": ("«name: [a]\n", "expected a name", "one word"),
    "a text for a list": (f"{LAN}guests:\n  web: {{«nics: lan}}\n".replace("«nics: ", "nics: «"), "a list", "[lan]"),
    "a text for a number": ("guests:\n  web: {count: «many}\n", "not a whole number", "1 to 10000"),
    "a word for a truth value": ("lab: {relay: «on}\n", "neither true nor false", "Write true"),
    "a text for a mapping": ("networks:\n  lan: «bridge\n", "expected keys and values", "{type: bridge}"),
    "no type": ("networks:\n  «lan: {}\n", 'missing key "type"', "bridge, ipvlan, libvirt, macvtap"),
    "unknown type": ("networks: {lan: {type: «brigde}}\n", "is not a type of network", '"bridge"?'),
    "unknown mode": ("networks: {a: {type: macvtap, uplink: e, mode: «vapa}}\n", "is not known here", '"vepa"?'),
    "a text for an address": (LAN + ON % "address: «ten", "is not an address", "10.77.0.20"),
    "unknown network": (f"{LAN}guests:\n  web: {{nics: [«lam]}}\n", 'there is no network "lam"', '"lan"?'),
    "reserved name": ("guests:\n  «internet: {}\n", "is no name for a guest", "my-internet"),
    "name that a count makes": ("guests:\n  web: {count: 2}\n  «web-2: {}\n", "the name is taken", "another name"),
    "name with a slash": ("guests:\n  «a/b: {}\n", "is no name for a guest", "letters, digits and -"),
    "name with a space": ("guests:\n  «a b: {}\n", "is no name for a guest", "letters, digits and -"),
    "name of nothing": ("guests:\n  «'': {}\n", "is no name for a guest", "letters, digits and -"),
    "name that is an option": ("guests:\n  «-n: {}\n", "is no name for a guest", "a letter or digit first"),
    "name over 63": (f"guests:\n  «{LONG}: {{}}\n", "64 characters", "Shorten"),
    "project's name": ("name: «my project\n", "is no name for a project", "letters, digits and -"),
    "outside its subnet": (LAN + ON % "address: «10.78.0.9", "outside 10.77.0.0/24", "10.77.0.2 is free"),
    "taken twice": (
        LAN + ON % "address: 10.77.0.2" + "  db: {nics: [{network: lan, address: «10.77.0.2}]}\n",
        'is that of guest "web", NIC 1 already',
        "10.77.0.3 is free",
    ),
    "the gateway's": (LAN + ON % "address: «10.77.0.1", "the host's own on network", "10.77.0.2 is free"),
    "the network's": (LAN + ON % "address: «10.77.0.0", "the network's own address", "10.77.0.2 is free"),
    "the broadcast address": (LAN + ON % "address: «10.77.0.255", "the broadcast address", "10.77.0.2 is free"),
    "the anycast address": (LAN + ON % "address: «'fd00:77::'", "anycast address", "fd00:77::2 is free"),
    "multicast MAC": (LAN + ON % "mac: «'01:00:5e:00:00:01'", "a multicast MAC", "00:00:5e:00:00:01"),
    "MAC twice": (
        LAN + ON % f"mac: '{MAC}'" + f"  db: {{nics: [{{network: lan, mac: «'{MAC}'}}]}}\n",
        f'MAC {MAC} is that of guest "web", NIC 1 already',
        "leave it out",
    ),
    "loopback as uplink": ("networks: {a: {type: bridge, uplink: «lo}}\n", "loopback, no NIC", "eth0"),
    "two NICs in passthru": (
        "networks: {a: {type: macvtap, uplink: eth0, mode: «passthru}}\nguests: {web: {count: 2, nics: [a]}}\n",
        "gives the whole of eth0 to one NIC, and 2",
        "mode bridge",
    ),
    "passthru beside another network": (
        "networks:\n  a: {type: macvtap, uplink: eth0}\n  b: {type: macvtap, uplink: «eth0, mode: passthru}\n",
        "mode passthru takes the whole NIC",
        "another uplink",
    ),
    "bridge beside macvtap": (
        "networks:\n  a: {type: macvtap, uplink: eth0}\n  b: {type: bridge, uplink: «eth0}\n",
        "a NIC that is a bridge's port can serve nothing else",
        "another uplink",
    ),
    "overlapping subnets": (
        "networks:\n  a: {type: bridge, subnet: 10.0.0.0/8}\n  b: {type: bridge, subnet: «10.77.0.0/24}\n",
        "overlaps 10.0.0.0/8, that of network",
        "another",
    ),
    "1,024 ports": (
        "networks:\n  «a: {type: bridge}\nguests: {web: {count: 1024, nics: [a]}}\n",
        "1,023 at most",
        "several",
    ),
    "1,024 ports with the uplink": (
        "networks:\n  «a: {type: bridge, uplink: eth0}\nguests: {web: {count: 1023, nics: [a]}}\n",
        "1,024 ports",
        "several",
    ),
    "tab": ("networks:\n«\tlan: {}\n", "a tab in the indentation", "spaces"),
    "empty": ("«\n", "the file is empty", "networks:"),
    "comments only": ("«# nothing here\n", "the file is empty", "networks:"),
    "control characters": ("name: a\nguests: «\x1b[31mred\n", "control character U+001B", "YAML file"),
    "two documents": ("name: a\n«---\nname: b\n", "a second YAML document", "a file of its own"),
    "unclosed": ("guests: {web: {}\n«", "not YAML", "brackets"),
    "code": ("«guests: !!python/object/apply:os.system [reboot]\n", "expected a name for each guest", "{NAME: {…}}"),
    "bomb": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
        "the aliases add up to more than 100,000 values",
        "count",
    ),
    "nested without end": ("a: " + "[" * 19 + "«" + "[" * 50_000, "nested more than 20 deep", "seven deep"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file(case: str, sandbox: Sandbox) -> None:
    marked, says, hint = WRONG[case]
    text, at = place_of(marked)
    sandbox.write(text)
    refused(sandbox, "up", "--lab", code=65, says=says, hint=hint, at=at)


@pytest.mark.parametrize("verb", ["plan", "status", "check", "draw"])
def test_every_verb_that_reads_the_file_tells(verb: str, sandbox: Sandbox) -> None:
    sandbox.write("guests:\n  web: {nics: [lan]}\n")
    refused(sandbox, verb, code=65, says='there is no network "lan"', hint="Define it", at=(2, 16))


def test_all_that_is_wrong_is_told_at_once(sandbox: Sandbox) -> None:
    sandbox.write("xyzzy: 1\nnetworks: {lan: {type: bridgf}}\nguests: {host: {nics: [lam]}}\n")
    errors = sandbox.json("up", "--lab", code=65)["errors"]
    assert [error["line"] for error in errors] == [1, 2, 3, 3]


def test_binary(sandbox: Sandbox) -> None:
    (sandbox.folder / "guestwire.yaml").write_bytes(b"\x7fELF\x02\x01" + bytes(range(256)))
    refused(sandbox, "up", code=65, says="binary", hint="YAML file", at=(2, 1))


def test_a_folder(sandbox: Sandbox) -> None:
    refused(sandbox, "up", str(sandbox.folder), code=65, says="is a folder", hint="Name the file")


def test_a_missing_file_names_what_is_there(sandbox: Sandbox) -> None:
    sandbox.write("name: t\n", "three.yaml")
    refused(sandbox, "up", code=65, says='there is no file "guestwire.yaml"', hint="There is three.yaml: name it")
    refused(sandbox, "up", "none/x.yaml", code=65, says='there is no file "none/x.yaml"', hint="after the verb")


def test_a_name_that_cannot_be_shown_is_shown_harmlessly(sandbox: Sandbox) -> None:
    sandbox.write('guests:\n  "\\e[2J\\a": {}\n')
    refused(sandbox, "up", "--lab", code=65, says=r"\x1b[2J\x07", hint="letters", at=(2, 3))
    refused(sandbox, "up", "\x1b[2J\n", code=65, says=r"\x1b[2J\n", hint="guestwire.yaml")
    refused(sandbox, "up", "--netns", "\x1b[2J", code=65, says=r"\x1b[2J\x07", hint="letters")


def test_a_hundred_thousand_lines(sandbox: Sandbox) -> None:
    lines = ["networks: {lan: {type: bridge}}", "guests:", *(f"  web{i}: {{nics: [lan]}}" for i in range(99_997))]
    sandbox.write("\n".join([*lines, "  last: {nics: [lam]}"]))
    done = sandbox.guestwire("up", "--lab", check=False)
    assert done.returncode == 65
    assert "guestwire.yaml:100000:17: guest" in done.stderr
    assert 'Did you mean "lan"?' in done.stderr


def test_a_hundred_thousand_wrong_lines(sandbox: Sandbox) -> None:
    sandbox.write("".join(f"key{i}: {i}\n" for i in range(100_000)))
    errors = sandbox.json("up", "--lab", code=65)["errors"]
    assert len(errors) == 101
    assert "more" in errors[-1]["message"]
