"""What the pages say is so: their files load, their links lead somewhere, their commands print what they show."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from guestwire.guests import KINDS
from guestwire.networks import TYPES
from guestwire.spec import load
from tests.docs.pages import ROOT, WRITTEN, Block, blocks, commands, matches, play, transcripts
from tests.examples import ELSEWHERE, EXAMPLES, furnish
from tests.sandbox import Sandbox, sandboxed

each_page = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_MARKED = re.compile(r"<!-- commands of ([\w./-]+) -->\n+```sh\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_files_in_pages_load(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "page" / "guestwire.yaml"  # where it gives no name the folder does
    path.parent.mkdir()
    path.write_text(block.text, encoding="utf-8")
    load(str(path), networks=TYPES, guests=KINDS)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in _LINK.findall(index.read_text())}
    pages = {page for page in (ROOT / "docs").rglob("*.md") if page != index}
    assert pages <= linked


def test_every_example_has_a_page() -> None:
    said = "".join(page.read_text(encoding="utf-8") for page in WRITTEN if page.parent.name == "ways")
    assert [example.name for example in (*EXAMPLES, *ELSEWHERE) if f"examples/{example.name}" not in said] == []


@pytest.mark.parametrize("block", transcripts(), ids=str)
def test_transcripts_are_true(sandbox: Sandbox, block: Block) -> None:
    sandbox.folder = ROOT
    for (words, shown), printed in zip(commands(block.text), play(sandbox, block.text), strict=True):
        now = "\n".join(printed)
        assert matches(shown, printed), f"{words}: `python -m tests.docs.pages` renews this page; now it is\n{now}"


def _plain(command: str) -> str:
    """A command without what pages leave out: MACs, marks, queues, and in which namespace of the lab it runs.

    And without what another machine or image has otherwise.
    """
    for left_out in (
        r" address [0-9a-f]{2}(:[0-9a-f]{2}){5}",
        r" alias guestwire:\S+",
        r" num[tr]xqueues 1",
        r" addrgenmode none",
        r" mtu \d+",
        r" proto 103",
        r" metric 1024",
        r"(?<=^ip) -n \S+-host\b",
        r"(?<=^bridge) -n \S+-host\b",
        r"\.[0-9a-f]{8}(?=\.qcow2)",
        r",vhost=on,vhostforce=on",
    ):
        command = re.sub(left_out, "", command)
    command = re.sub(r"ip netns exec \S+-host sh -c '([^']*)'", r"\1", command)
    return command.replace("-accel tcg -cpu max", "-accel kvm -cpu host").strip()


@cache
def planned(example: str) -> tuple[str, ...]:
    """The commands that an example's plan says, trimmed."""
    import tempfile

    furnish(ROOT / example)
    with tempfile.TemporaryDirectory() as folder, sandboxed(Path(folder)) as sandbox:
        text = sandbox.guestwire("plan", str(ROOT / example), "--lab", "--commands").stdout
    return tuple(_plain(line) for line in text.splitlines())


@each_page
def test_commands_are_those_of_the_plan(page: Path) -> None:
    """A ```sh block under <!-- commands of FILE --> has lines of `plan FILE --commands`, in their order."""
    for example, text in _MARKED.findall(page.read_text(encoding="utf-8")):
        real = iter(planned(example))
        for line in text.splitlines():
            words = re.sub(r"\s+#.*", "", line).strip()
            if words and not words.startswith("#"):
                assert words in real, f"{example}: {words!r} isn't in the plan, or not after those above it"
