"""What a guest that runs cloud-init is told: its keys in the file, and the seed that they and its NICs make."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from pydantic import Field

from guestwire.compile.leading import leading, to_networks
from guestwire.compile.parts import BuiltNetwork
from guestwire.compile.site import Seat, Site
from guestwire.daemons import cloudinit
from guestwire.kinds.seed import Seed
from guestwire.picture import Secret
from guestwire.spec.models import Part
from guestwire.spec.report import Where
from guestwire.spec.scalars import Texts, Word

__all__ = ["CloudInit", "add_seed", "seed_file"]

KEYS = ("ssh-", "ecdsa-", "sk-")
"""What a public key starts with."""
MOST = 16 << 20  # bytes of user-data that are taken


class CloudInit(Part):
    """What a cloud image is to set up as it boots for the first time."""

    user: Word | None = Field(None, description="the name of the user that may become root; else as the image has it")
    ssh_keys: Texts = Field(
        (), description="public keys that this user logs in with: each one itself, or a file of them"
    )


def seed_file(site: Site, name: str) -> str:
    """Where the seed of a guest is."""
    return f"{site.run}/{name}.seed"


def add_seed(
    site: Site,
    name: str,
    seats: Sequence[Seat],
    macs: Mapping[str, str],
    dns: Iterable[str],
    told: CloudInit,
    data: str | None,
    where: Where,
) -> None:
    """Add a guest's seed; `macs` are its NICs' by their names, `data` is its user-data, as said at `where`."""
    ways = []
    for version in (4, 6):
        default = leading(site, seats, version)
        ways += [*([default] if default else []), *to_networks(site, seats, version, default)]
    nics = [
        cloudinit.Nic(
            seat.nic.link,
            macs[seat.nic.link],
            seat.addresses,
            seat.dhcp,
            tuple(cloudinit.Route(way.gateway, way.onlink, way.to) for way in ways if way.seat is seat and way.gateway),
            seat.mtu,
        )
        for seat in seats
    ]
    networks = [site.file.networks[seat.nic.network] for seat in seats]
    answering = (n.name_servers() for n in networks if isinstance(n, BuiltNetwork) and n.name_servers())
    files = cloudinit.seed(
        f"{site.project}-{name}",
        name,
        nics,
        tuple(dns) or next(answering, ()),
        told.user,
        tuple(_keys(site, told)),
        _user_data(site, data, where),
    )
    digest = cloudinit.digest(files)
    content = Secret(partial(cloudinit.image, files, cloudinit.mark(site.project, digest)))
    seed = Seed(
        name=seed_file(site, name),
        owner=site.project,
        digest=digest,
        content=content,
        shown=tuple((file, text.decode()) for file, text in files.items() if file != "user-data"),
        user_data=_place(site, name, data),
    )
    there = site.seen.get(seed.key)
    if isinstance(there, Seed) and seed.differs(there):
        site.warn(told.path or where, f"guest {name} reads at its next boot what is new for its cloud-init.")
    site.add(seed)


def _keys(site: Site, told: CloudInit) -> Iterable[str]:
    for number, given in enumerate(told.ssh_keys):
        if given.startswith(KEYS):
            yield given.strip()
            continue
        where = told.at("ssh-keys", number)
        text = _read(site, given, "ssh-keys", where).decode(errors="replace")
        if "PRIVATE KEY" in text:
            site.refuse(where, f"{given} is a private key, which stays with you.", f"Write {given}.pub.")
            continue
        keys = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if text and not all(any(word.startswith(KEYS) for word in key.split()) for key in keys):
            site.refuse(where, f"{given} holds something else than public keys.", "Name one that ends in .pub.")
            continue
        yield from keys


def _user_data(site: Site, given: str | None, where: Where) -> bytes:
    """The bytes of the user's own user-data: what stands in the file itself, or in one that it names."""
    if given is None:
        return b""
    data = given.encode() if _is_itself(given) else _read(site, given, "user-data", where)
    text = data.decode(errors="replace") if data[:2] != b"\x1f\x8b" else "\x1f\x8b"
    if data and not text.startswith(cloudinit.STARTS):
        hint = "Its first line is #cloud-config where settings follow, #!/bin/sh where a script does."
        site.refuse(where, "user-data starts with nothing that cloud-init knows, which would pass over it.", hint)
    elif text.startswith("#cloud-config\n"):
        _see_that_it_is_yaml(site, text, where)
    return data


def _is_itself(given: str) -> bool:
    """Whether it is user-data, and no file's name."""
    return "\n" in given or given.startswith("#")


def _place(site: Site, name: str, given: str | None) -> str:
    """Where a shell finds a guest's user-data: what stands in our file the reader has to put beside."""
    if given is None:
        return ""
    return f"{name}.user-data" if _is_itself(given) else os.path.join(site.file.folder, os.path.expanduser(given))


def _see_that_it_is_yaml(site: Site, text: str, where: Where) -> None:
    """Refuse settings that cloud-init couldn't read. What is in them is said to nobody."""
    import yaml

    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = f", in its line {mark.line + 1}" if mark is not None else ""
        site.refuse(where, f"user-data is no YAML{place}.", "Check its brackets, quotes and indentation there.")
        return
    if root is not None and not isinstance(root, yaml.MappingNode):
        site.refuse(
            where, "user-data has no keys and values.", "Write them below #cloud-config, as “packages: [nginx]”."
        )


def _read(site: Site, given: str, key: str, where: Where) -> bytes:
    path = os.path.join(site.file.folder, os.path.expanduser(given))
    try:
        with open(path, "rb") as file:
            data = file.read(MOST + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        site.refuse(where, f"{key} {path} can't be opened: {why}.", "Write another path.")
        return b""
    if len(data) > MOST:
        site.refuse(where, f"{key} {path} has more than {MOST >> 20} MiB.", "Have the guest fetch the rest itself.")
        return b""
    return data
