"""What verbs say of a plan, a project and a host, as lines for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from time import localtime, strftime
from typing import TYPE_CHECKING, Any

from guestwire.places import is_lab_namespace
from guestwire.plan import Plan, Step
from guestwire.printable import printable
from guestwire.show.domains import domain_rows, explained, network_rows

if TYPE_CHECKING:
    from guestwire.watch import Repair

__all__ = [
    "accepted",
    "cabled",
    "done",
    "host",
    "listed",
    "planned",
    "removed",
    "repaired",
    "served",
    "standing",
    "table",
    "waits",
]

MOST_LINES = 40  # of a list that says one thing a line; the rest is counted
ADVICE = {
    "waiting": "Waiting: `guestwire confirm` keeps it, `rollback` doesn't.",
    "unsettled": "Unsettled: a change was broken off; `guestwire rollback` takes it back, or ends it where it was past "
    "undoing.",
    "kept": "Kept: only libvirt has something of it yet, as after a reboot. `guestwire up` with its file builds it "
    "again, `guestwire down --project NAME` takes that away.",
}
"""What to do about a project's state."""
LOST = """
What was known of it is lost, as after a reboot; it is told by its marks. `guestwire up` builds it again, `guestwire
down` takes away what is left.
"""
FEW = 8  # changes around a lab's host that are still told one by one
NAMES = {
    "dhcp client": "DHCP client",
    "fdb": "forwarding entry",
    "nft": "nft table",
    "process": "DHCP server",
    "proxy": "proxied address",
}
PLURALS = {
    "address": "addresses",
    "dhcp client": "DHCP clients",
    "fdb": "forwarding entries",
    "nft": "nft tables",
    "process": "DHCP servers",
    "proxy": "proxied addresses",
}
DONE = {"create": "made", "change": "changed", "delete": "deleted"}
SIGNS = {"create": "+", "change": "~", "delete": "-"}
TO_DO = {"create": "make", "change": "change", "delete": "delete"}


def done(project: str, plan: Plan, *, lab: bool) -> str:
    """What `up` did."""
    if not plan:
        return f"{project}: nothing to do.\n"
    place = " in its lab" if lab else ""
    return f"{project} is up{place}: {_counts(plan.steps)}.\n"


def accepted(judgement: Mapping[str, Any]) -> list[str]:
    """What is to be said of a change that was kept: expectations that fail, and those that can't be measured."""
    judged = sorted(judgement.get("expectations", ()), key=lambda each: not each["before"])
    lines = []
    for each in (each for each in judged if each["held"] is False):
        since = ", which held before the change" if each["before"] else ""
        lines.append(f"expected: {each['text']}{since}; but {each['why']}. It was kept all the same.")
    unknown = [each for each in judged if each["held"] is None]
    lines += [f"expected: {each['text']}; that can't be measured: {each['why']}." for each in unknown[:FEW]]
    if len(unknown) > FEW:
        lines.append(f"{len(unknown) - FEW:,} more expectations can't be measured from here.")
    return lines


def waits(plan: Plan, judgement: Mapping[str, Any]) -> str:
    """What to do about a change that waits to be confirmed; nothing where none does."""
    confirm = judgement.get("confirm")
    if not confirm:
        return ""
    if confirm["unit"]:
        who = f"by the systemd service {confirm['unit']}"
    else:
        who = f"by process {confirm['pid']}, which is detached from this terminal"
    ends = sum(step.action == "delete" and step.key.kind == "namespace" for step in plan.steps)
    later = f" Only then {_plural('namespace', ends)} {'is' if ends == 1 else 'are'} ended." if ends else ""
    return (
        f"It waits to be confirmed: `guestwire confirm --project {plan.project}` keeps it.{later}\n"
        f"Without that all is taken back in {confirm['seconds']} s, {who}.\n"
    )


def removed(project: str, plan: Plan) -> str:
    """What `down` did."""
    return f"{project} is down: {_counts(plan.steps)}.\n" if plan else f"{project}: nothing is up.\n"


def repaired(repair: Repair) -> str:
    """What a watch did, as one line: when, why, what, and in how long."""
    when = f"{strftime('%H:%M:%S', localtime(repair.at))}.{repair.at % 1 * 1000:03.0f}"
    if repair.trouble is not None:
        return f"{when} {repair.trouble} It is tried again in {repair.wait:g} s."
    causes = [_cause(step) for step in repair.causes[:FEW]]
    causes += [f"{len(repair.causes) - FEW} more"] if len(repair.causes) > FEW else []
    held = f" It is undone again and again: left alone for {repair.wait:g} s now." if repair.wait else ""
    return f"{when} {_listing(causes)}: {_counts(repair.steps)} ({repair.seconds * 1000:.1f} ms).{held}"


def _cause(step: Step) -> str:
    """What was otherwise: "veth demo-web.0, master: none → demo-lan"."""
    what = step.describe().partition(" ")[2]
    if step.action == "change":
        return _line(step).partition(" ")[2]
    return f"{what} was gone" if step.action == "create" else f"{what} was in the way"


def served(document: Mapping[str, Any]) -> str:
    """What was done about a project's service."""
    project, path = document["project"], document["path"]
    if not document["changed"]:
        return f"{path} is as it should be.\n" if document["there"] else f"{project} has no service.\n"
    left = "".join(f"    {command}\n" for command in document["run"])
    left = f"systemd doesn't run here; where it does, this is left to do:\n{left}" if left else ""
    if document["there"]:
        return f"{project} is built at boot and watched: {path}\n{left}"
    return f"{project} is no service any more: {path} is gone. What is built stays until `guestwire down`.\n{left}"


def planned(plan: Plan) -> str:
    """What `up` would do, a line a step."""
    if not plan:
        return "Nothing to do.\n"
    around = [step for step in plan.steps if _is_around(step, plan.project)]
    if len(around) <= FEW:
        around = []
    told = [step for step in plan.steps if not around or not _is_around(step, plan.project)]
    lines = [_line(step) for step in told]
    if around:
        lines.insert(0, f"{SIGNS[around[0].action]} the lab around the host: {_counts(around, TO_DO)}")
    number = f"{len(plan.steps):,} steps" if len(plan.steps) > 1 else "1 step"
    return "".join(f"{line}\n" for line in _cut(lines)) + f"{number}: {_counts(plan.steps, TO_DO)}.\n"


def _is_around(step: Step, project: str) -> bool:
    """Whether a step is about a lab's switch, neighbours, gateway or internet, which the file says nothing of."""
    where = step.value.name if step.key.kind == "namespace" else step.value.netns
    return where != f"{project}-host" and is_lab_namespace(where, project)


def standing(document: Mapping[str, Any]) -> str:
    """A project's status."""
    if not document["up"]:
        return f"{document['project']} is not up. `guestwire plan` shows what `up` would do.\n"
    rows: list[tuple[str, ...]] = [("GUEST", "STATE", "NIC", "NETWORK", "DEVICE", "ADDRESSES", "ON THE HOST")]
    for guest in document["guests"]:
        nics = guest["nics"] or [{}]
        for i, nic in enumerate(nics):
            first = (guest["name"], guest["state"]) if i == 0 else ("", "")
            addresses = " ".join(nic.get("addresses", ()))
            place = nic.get("host_link") or ""
            rows.append(
                (*first, nic.get("name", ""), nic.get("network", ""), nic.get("device") or "", addresses, place)
            )
    text = table(_cut_rows(rows)) + "".join(f"{each['why']}\n" for each in document["guests"] if "why" in each)
    text += _machines(document) + _leases(document)
    networks = [("NETWORK", "TYPE", "LINK", "PORTS")]
    for each in document["networks"]:
        # Who shares a parent's cable is no port of it: then the number says nothing.
        bare = not each["ports"] and any(
            nic["network"] == each["name"] for g in document["guests"] for nic in g["nics"]
        )
        ports = "" if bare else str(len(each["ports"]))
        networks.append((each["name"], each["type"], each["link"] or ("missing" if each["missing"] else ""), ports))
    text += "\n" + table(networks) + explained(document)
    given = [(each["name"], lease) for each in document["networks"] for lease in each.get("leases", ())]
    if given:
        rows = [("LEASE", "NETWORK", "NAME", "MAC OR DUID", "UNTIL")]
        for network, lease in given:
            until = "ever" if lease["until"] is None else strftime("%Y-%m-%d %H:%M", localtime(lease["until"]))
            rows.append((lease["address"], network, lease["name"] or "", lease["mac"] or lease["duid"], until))
        text += "\n" + table(_cut_rows(rows))
    if document["enter"]:
        text += f"\nA lab of your own; a shell gets in by: {document['enter']}\n"
    if document["confirm"] is not None:
        text += (
            f"\nWaiting for confirm, {document['confirm']} s left: `guestwire confirm` keeps it, `rollback` doesn't.\n"
        )
    text += LOST if document["lost"] else ""
    drift = document["drift"]
    if not drift:
        return text + "\nAs the file says.\n"
    lines = [
        f"  {each['action']} {each['what']}"
        + "".join(
            f", {name}: {_brief(pair['is'])} → {_brief(pair['should be'])}" for name, pair in each["differs"].items()
        )
        for each in drift
    ]
    return text + "\nNot as the file says; `guestwire up` would:\n" + "".join(f"{line}\n" for line in _cut(lines))


def _machines(document: Mapping[str, Any]) -> str:
    """The virtual machines and how their frames go, where there are any."""
    rows: list[tuple[str, ...]] = [("MACHINE", "MEMORY", "CPUS", "ACCELERATOR", "NIC", "MODEL", "QUEUES", "VHOST")]
    for guest in document["guests"]:
        machine = guest.get("machine")
        for i, nic in enumerate([nic for nic in guest["nics"] if "vhost" in nic] or [{}] if machine else []):
            size = (f"{machine['memory']} MiB", str(machine["cpus"]), machine["accelerator"] or "")
            vhost = "" if nic.get("vhost") is None else "yes" if nic["vhost"] else f"no: {nic['why']}"
            own = (nic.get("name", ""), nic.get("model") or "", str(nic.get("queues") or ""), vhost)
            rows.append((*((guest["name"], *size) if i == 0 else ("",) * 4), *own))
    notes = [
        f"{guest['name']}:{nic['name']} has the MAC {nic['guest_mac']} by its guest, and was given {nic['mac']}.\n"
        for guest in document["guests"]
        for nic in guest["nics"]
        if nic.get("guest_mac")
    ]
    machines = [guest["machine"] for guest in document["guests"] if guest.get("machine")]
    whys = dict.fromkeys((each["accelerator"], each["accelerator_why"]) for each in machines if each["accelerator_why"])
    notes += [f"{accelerator}: {why}.\n" for accelerator, why in whys]
    return "\n" + table(_cut_rows(rows)) + "".join(notes) if len(rows) > 1 else ""


def _leases(document: Mapping[str, Any]) -> str:
    """What DHCP servers lent to guests' NICs and the host's; nothing where nobody asks."""
    rows: list[tuple[str, ...]] = [("LEASE OF", "NIC", "ADDRESS", "FROM", "UNTIL", "RENEWED")]
    leases = [(guest["name"], nic["name"], nic["lease"]) for guest in document["guests"] for nic in guest["nics"]]
    leases += [("host", network["link"] or "", network["lease"]) for network in document["networks"]]
    for name, link, lease in leases:
        if lease is None:
            continue
        if lease["address"] is None:
            row = ("none yet", "", "", "")
        else:
            until = lease["until"] and datetime.fromisoformat(lease["until"]).astimezone().strftime("%F %T")
            row = (lease["address"], lease["server"] or "", until or "for ever", str(lease["renewed"]))
        ended = "" if lease["running"] else " (its client has ended)"
        rows.append((name, link, row[0] + ended, *row[1:]))
    return "\n" + table(_cut_rows(rows)) if len(rows) > 1 else ""


def host(document: Mapping[str, Any]) -> str:
    """A host that no file of ours is about."""
    parts = []
    if document["networks"]:
        rows: list[tuple[str, ...]] = [("NETWORK", "TYPE", "ADDRESSES", "PLUGGED IN")]
        for each in document["networks"]:
            rows.append((each["name"], each["type"], " ".join(each["addresses"]), " ".join(each["ports"])))
        parts.append(table(rows))
    if document["links"]:
        rows = [("LINK", "DEVICE", "STATE", "ADDRESSES")]
        for each in document["links"]:
            state = "down" if not each["up"] else "up" if each["carrier"] else "no carrier"
            rows.append((each["name"], each["device"], state, " ".join(each["addresses"])))
        parts.append(table(rows))
    parts += [table(found) for found in ([*domain_rows(document)], [*network_rows(document)]) if found]
    return "\n".join(parts) or "This host has no links but lo.\n"


def listed(documents: Sequence[Mapping[str, Any]]) -> str:
    """The projects on a machine."""
    if not documents:
        return "No project is up.\n"
    rows = [("PROJECT", "HOST", "NAMESPACES", "STATE", "FILE")]
    for each in documents:
        host = "lab" if each["lab"] else "-" if each["lab"] is None else each["host"] or "this host"
        file = each["file"] or ("" if each["state"] == "unsettled" else "known by its marks alone")
        left = f" for confirm, {each['confirm']} s left" if each["state"] == "waiting" else ""
        rows.append((each["project"], host, str(each["namespaces"]), f"{each['state']}{left}", file))
    states = {each["state"] for each in documents}
    hints = [hint for state, hint in ADVICE.items() if state in states]
    return table(rows) + "".join(f"\n{hint}\n" for hint in hints)


def cabled(documents: Sequence[Mapping[str, Any]]) -> str:
    """The cables that guestwire holds."""
    if not documents:
        return "There are no cables.\n"
    rows: list[tuple[str, ...]] = [("PROJECT", "NIC", "LEADS TO", "DEVICE", "SENT", "RECEIVED", "DROPPED")]
    for each in documents:
        netns, link, device = each["end"] or ("", "nowhere", "")
        ends = [f"{where}/{name}" if where else name for where, name in ((each["netns"], each["name"]), (netns, link))]
        ways = each["sent"], each["received"]
        frames = [f"{way['frames']:,}" for way in ways]
        rows.append((each["owner"], *ends, device, *frames, f"{sum(way['drops'] for way in ways):,}"))
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as their widest cell."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


def _line(step: Step) -> str:
    differs = step.value.differs(step.before) if step.action == "change" and step.before else {}
    what = "".join(f", {name}: {_brief(old)} → {_brief(new)}" for name, (old, new) in differs.items())
    return f"{SIGNS[step.action]} {step.describe().partition(' ')[2]}{what}"


def _brief(value: object) -> str:
    """A value as it stands in a line: of a text of many lines only how many; "none" where there is nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "none" if value is None or value in ("", ()) else str(value)
    return f"{len(text.splitlines())} lines" if "\n" in text.rstrip("\n") else text.rstrip("\n")


def _counts(steps: Sequence[Step], verbs: Mapping[str, str] = DONE) -> str:
    """`made 3 bridges and 12 veths; deleted 1 route`."""
    parts = []
    for action, verb in verbs.items():
        counts = Counter(step.key.kind for step in steps if step.action == action)
        if counts:
            parts.append(f"{verb} " + _listing([_plural(kind, number) for kind, number in counts.items()]))
    return "; ".join(parts)


def _plural(kind: str, number: int) -> str:
    return f"1 {NAMES.get(kind, kind)}" if number == 1 else f"{number:,} {PLURALS.get(kind, kind + 's')}"


def _listing(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _cut(lines: Sequence[str]) -> list[str]:
    if len(lines) <= MOST_LINES:
        return list(lines)
    return [*lines[: MOST_LINES - 1], f"… and {len(lines) - MOST_LINES + 1:,} more (--json has all)"]


def _cut_rows(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    if len(rows) <= MOST_LINES:
        return rows
    more = (f"… and {len(rows) - MOST_LINES + 1:,} more (--json has all)", *[""] * (len(rows[0]) - 1))
    return [*rows[: MOST_LINES - 1], more]
