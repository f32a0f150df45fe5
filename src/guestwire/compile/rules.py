"""A project's one nft table while it is written: chains by name, each with its rules, and sets of links.

Whoever else filters or translates on the host has tables of their own. At each hook all tables' chains are asked, and
the first that drops has the last word: an accept here overrules nobody's drop (nft(8), "VERDICT STATEMENTS").
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Rules"]

HOOKS = {
    "prerouting": "type nat hook prerouting priority dstnat;",
    "output": "type nat hook output priority -100;",
    "postrouting": "type nat hook postrouting priority srcnat;",
    "forward": "type filter hook forward priority filter;",
}
"""The chains that the kernel calls; others are jumped to."""


class Rules:
    """The table of a project; false while there is nothing in it."""

    def __init__(self) -> None:
        self._sets: dict[str, Sequence[str]] = {}
        self._chains: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._chains)

    def add(self, chain: str, *rules: str) -> None:
        """Put rules at the end of a chain; each once, however many ask for it."""
        there = self._chains.setdefault(chain, [])
        there += [rule for rule in rules if rule not in there]

    def links(self, name: str, links: Sequence[str]) -> str:
        """What stands for links in a rule: one by its name, several as a set, which is called `links-NAME`."""
        if len(links) == 1:
            return f'"{links[0]}"'
        self._sets[f"links-{name}"] = links
        return f"@links-{name}"

    def text(self) -> str:
        """What stands between the table's braces."""
        parts = []
        for name, links in self._sets.items():
            elements = ", ".join(f'"{link}"' for link in links)
            parts.append(f"set {name} {{ type ifname; elements = {{ {elements} }}; }}")
        for name in sorted(self._chains, key=lambda name: name in HOOKS):  # what is jumped to comes first
            body = "\n".join(f"  {rule}" for rule in filter(None, (HOOKS.get(name), *self._chains[name])))
            parts.append(f"chain {name} {{\n{body}\n}}")
        return "\n".join(parts)
