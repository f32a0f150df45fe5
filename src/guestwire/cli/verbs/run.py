"""`guestwire run`: run a program with a NIC of its own."""

from __future__ import annotations

from argparse import Namespace

from guestwire.cli.table import FILE, Argument, Verb, of_project, queues

__all__ = ["VERB", "run"]

VERB = Verb(
    "run",
    "run a program with a NIC of its own, a descriptor or a namespace",
    (
        FILE,
        Argument(
            "--network",
            "the network that it is plugged into; given again, one more",
            value="NAME",
            required=True,
            several=True,
        ),
        of_project("the project, where several are up"),
        Argument(
            "--device",
            "what it gets: a descriptor of a tap, macvtap or tun, or a namespace; else what the network's type says",
            value="DEVICE",
            choices=("tap", "macvtap", "tun", "namespace"),
        ),
        Argument("--namespace", "the same as --device namespace: it runs in a namespace of its own"),
        Argument(
            "--address", "the address; else one is assigned, or the LAN's DHCP asked", value="ADDRESS", several=True
        ),
        Argument("--mac", "the MAC; else one made from the names", value="MAC", several=True),
        Argument("--name", "the guest's name; else run-1, run-2 …", value="GUEST"),
        Argument(
            "--queues",
            "how many descriptors of the NIC it gets, each a queue",
            value="N",
            type=queues,
            default=1,
        ),
        Argument("--vnet-header", "each frame has a virtio-net header before it, as a hypervisor wants it"),
        Argument("--user", "run it as this user, by name or number", value="USER"),
    ),
    command=Argument("COMMAND", "the command and its words"),
    details="""\
The NIC is there for as long as the command runs, and the command's exit code is run's. Signals are passed on. On a
`bridge` it is a tap, on `macvtap` a macvtap, on `routed` a tun.

Descriptors are 3, 4 … and LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES are set as systemd sets them. In the command's
words {fd} stands for the first number, {fds} for all, as 3:4; {mac}, {address}, {name}, {link} and {network} for what
their names say. {{fd}} is {fd}; other braces stay as they are. With several networks the descriptors come in their
order, each called after its network in LISTEN_FDNAMES; {fd:lan}, {mac:lan} … are those of the NIC on `lan`. --address
and --mac are in their order, too.

What the command does with frames is up to it: {address} is the address that is kept for it, and nobody sets it. With
--namespace it has a link that is set up already, with address and default route.

`status` shows it as a guest of kind program. `up` meanwhile leaves its NIC alone; `down` takes it away. Where this
command is killed, the program goes on, and has its NIC until it ends. With --json what it writes to standard output
goes to standard error, and the document comes at the end: guest, code, nics.""",
    examples=(
        (
            "guestwire run --network lan -- qemu-system-x86_64 -netdev tap,id=n,fd={fd} "
            "-device virtio-net-pci,netdev=n,mac={mac} disk.img",
            "a virtual machine on the network `lan`",
        ),
        ("guestwire run --network lan --namespace -- curl http://web/", "a command with an address of its own"),
    ),
    exits=((0, "the exit code is the command's own"),),
)


def run(args: Namespace) -> int:
    """Run it; its exit code."""
    from guestwire import api
    from guestwire.cli.terminal import emit, say
    from guestwire.errors import Problem

    def warn(warning: Problem) -> None:
        say(args, f"warning: {warning}")

    wish = api.Wish(
        args.network,
        device="namespace" if args.namespace else args.device,
        name=args.name,
        addresses=args.address,
        macs=args.mac,
        queues=args.queues,
        vnet_header=args.vnet_header,
        user=args.user,
        silent=args.json,
    )
    ran = api.run(args.command, wish, path=args.file, project=args.project, netns=args.netns, warn=warn)
    if ran.left:
        say(args, f"warning: {ran.left}")
    emit(args, ran.to_json, "")
    return ran.code
