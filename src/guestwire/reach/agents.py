"""Probes from inside virtual machines, by the commands that their guest agents run: `ping`, and what can connect.

A machine is asked once for all that it shall ask, by one script for its `sh`, which does AT_ONCE at a time. TCP is
tried by bash, Python or nc, whichever is there. What needs a tool that isn't there can't be told, and UDP never can.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from threading import Thread

from guestwire.daemons import guestagent
from guestwire.linux.kernel import Kernel
from guestwire.reach.probe import Answer, Probe, icmp_error
from guestwire.reach.sockets import DOMAIN

__all__ = ["ask"]

AT_ONCE = 32
ANSWER = 2.0  # seconds that an agent gets to answer at all: that it is there is known
MISSING = 127
HANGS_ON = (0, 124, 143)  # connected: nc waits for the other side then, and timeout(1) ends that, by either number
_SCRIPT = r"""
told() {
    said=$(printf '%s' "$3" | tr '\n' ' ')
    echo "$1 $2 $said"  # at once, since others write too
}
echo_() {
    for seconds in 1 1 2; do
        said=$(ping -c 1 -W $seconds "$2" 2>&1 >/dev/null); code=$?
        case $code:$said in 0:* | 127:* | *nreachable*) break ;; esac
    done
    told "$1" $code "$said"
}
tcp() {
    if command -v bash >/dev/null; then
        said=$(timeout 3 bash -c "exec 3<>/dev/tcp/$2/$3" 2>&1); code=$?
        [ $code = 124 ] && code=1
    elif command -v python3 >/dev/null; then
        said=$(python3 -c "import socket; socket.create_connection(('$2', $3), 3)" 2>&1 | tail -n 1)
        code=0; [ -n "$said" ] && code=1
    else
        said=$(timeout 4 nc -w 2 "$2" "$3" 2>&1 </dev/null); code=$?
    fi
    told "$1" $code "$said"
}
"""


def ask(kernel: Kernel, asked: Mapping[str, Sequence[Probe]]) -> dict[str, list[Answer]]:
    """What the machines, by the paths of their agents' sockets, find of the probes that each gets; all at once.

    A probe's own `netns` says nothing here. Where nothing listens in a namespace that a probe is to, we do meanwhile.
    """
    if not asked:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    with ExitStack() as opened:
        for each in {probe for probes in asked.values() for probe in probes}:
            if each.proto == "tcp" and each.listen and each.answerer is not None:
                _listen(kernel, each, each.answerer, opened)
        with ThreadPoolExecutor(len(asked)) as threads:
            return dict(zip(asked, threads.map(_one, asked, asked.values()), strict=True))


def _listen(kernel: Kernel, probe: Probe, netns: str, opened: ExitStack) -> None:
    with kernel.inside(netns):
        sock = opened.enter_context(socket.socket(DOMAIN[probe.family], socket.SOCK_STREAM))
    if probe.family == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with suppress(OSError):  # somebody listens there already
        sock.bind(probe.behind or (probe.target, probe.port))
        sock.listen()
        thread = Thread(target=_hang_up, args=(sock,))
        thread.start()
        opened.callback(thread.join)
        opened.callback(sock.shutdown, socket.SHUT_RDWR)  # wakes it


def _hang_up(sock: socket.socket) -> None:
    """Take each connection, and end it at once: nc waits for that."""
    with suppress(OSError):
        while True:
            sock.accept()[0].close()


def _one(path: str, probes: Sequence[Probe]) -> list[Answer]:
    answers = [Answer(None, "an agent can't ask by UDP")] * len(probes)
    numbers = [number for number, probe in enumerate(probes) if probe.proto != "udp"]
    if not numbers:
        return answers
    try:
        ended = guestagent.run(path, ["sh", "-c", "".join(_script(probes, numbers))], None, ANSWER)
    except OSError as error:
        why = f"its guest agent can't be asked to ({error.strerror or error})"
        return [Answer(None, why) for _ in probes]
    told = {}
    for line in ended.out.decode(errors="replace").splitlines():
        word, _, rest = line.partition(" ")
        if word.isdecimal():
            told[int(word)] = rest
    for number in numbers:
        answers[number] = _answer(probes[number], told.get(number, ""))
    return answers


def _script(probes: Sequence[Probe], numbers: Sequence[int]) -> Iterator[str]:
    yield _SCRIPT
    for first in range(0, len(numbers), AT_ONCE):
        for number in numbers[first : first + AT_ONCE]:
            probe = probes[number]
            yield (
                f"echo_ {number} {probe.target} &\n"
                if probe.proto == "icmp"
                else (f"tcp {number} {probe.target} {probe.port} &\n")
            )
        yield "wait\n"


def _answer(probe: Probe, told: str) -> Answer:
    code, _, said = told.partition(" ")
    tool = "ping" if probe.proto == "icmp" else "bash, python3 or nc"
    if not code.isdecimal() or int(code) == MISSING:
        return Answer(None, f"there is no {tool} in it to ask with" if code else "its agent's answer was cut off")
    place = probe.target if probe.proto == "icmp" else f"{probe.target} port {probe.port}"
    if int(code) == 0 or (probe.proto == "tcp" and int(code) in HANGS_ON):
        return Answer(True, f"{place} {'answered' if probe.proto == 'icmp' else 'accepted'}")
    if "refused" in said:
        return icmp_error(errno.ECONNREFUSED, probe.target, "")
    return Answer(False, f"no answer from {place}" + (f" ({said.strip()})" if said.strip() else ""))
