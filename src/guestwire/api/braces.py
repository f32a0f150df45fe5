"""What a command's words ask for in braces, put in: `{fd}`, and of one among several NICs `{fd:lan}`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from guestwire.errors import UsageError
from guestwire.linux.handing import FIRST

__all__ = ["Asked", "filled"]

WORDS = ("fd", "fds", "mac", "address", "name", "link", "network")
_WORD = re.compile(r"\{(\{)?(" + "|".join(WORDS) + r")(:[^{}:]+)?\}(?(1)\})")


class Asked(NamedTuple):
    """A NIC as a command may ask for it: its descriptors count from `first` on; what it hasn't is None."""

    name: str
    network: str
    link: str
    mac: str | None
    address: str | None
    first: int
    descriptors: int

    def value(self, word: str) -> str | None:
        """What stands for a word."""
        numbers = [str(FIRST + self.first + each) for each in range(self.descriptors)]
        if word in ("fd", "fds"):
            return (numbers[0] if word == "fd" else ":".join(numbers)) if numbers else None
        found: str | None = getattr(self, word)
        return found


def filled(word: str, nics: Sequence[Asked]) -> str:
    """A word of a command with what it asks for; without a network's name that is the first NIC's.

    Raises UsageError where it asks for what there isn't.
    """
    by_network: Mapping[str, Asked] = {nic.network: nic for nic in nics}

    def value(match: re.Match[str]) -> str:
        name, network = match[2], match[3][1:] if match[3] else nics[0].network
        if match[1]:
            return match[0][1:-1]
        if network not in by_network:
            message = f"{match[0]} stands in the command, and there is no NIC on {network}."
            raise UsageError(message, hint=f"There is {', '.join(by_network)}; {{{match[0]}}} is the word itself.")
        found = by_network[network].value(name)
        if found is None:
            hint = f"Say one: `--address ADDRESS`. {{{match[0]}}} is the word itself."
            if name != "address":
                hint = f"Write {{{match[0]}}} where the word itself is meant."
            what = f"nobody has said which address {network} gives it" if name == "address" else "there is none"
            raise UsageError(f"{match[0]} stands in the command, and {what}.", hint=hint)
        return found

    return _WORD.sub(value, word)
