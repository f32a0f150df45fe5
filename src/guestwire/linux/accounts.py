"""Users and groups by name or number, as this machine's databases have them (getpwnam(3), getgrnam(3))."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["group_name", "group_number", "is_mapped", "primary_group", "user_name", "user_number"]

MOST = 2**32 - 2  # the last number but one: the last means nobody at all to the kernel (uid_valid)


def user_number(word: str) -> int | None:
    """The number of a user, given by name or in digits; None where there is none of that name."""
    import pwd

    return _number(word, lambda name: pwd.getpwnam(name).pw_uid)


def group_number(word: str) -> int | None:
    """The number of a group, given by name or in digits; None where there is none of that name."""
    import grp

    return _number(word, lambda name: grp.getgrnam(name).gr_gid)


def primary_group(user: int) -> int:
    """The group that a user's processes are in first; the number of a user that this machine doesn't know."""
    import pwd

    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user


def is_mapped(user: int) -> bool:
    """Whether our user namespace has that user, so that a process can become it (user_namespaces(7))."""
    with open("/proc/self/uid_map") as file:
        spans = [tuple(map(int, line.split())) for line in file]
    return any(first <= user < first + count for first, _, count in spans)


def _number(word: str, find: Callable[[str], int]) -> int | None:
    if word.isascii() and word.isdecimal():
        return int(word) if int(word) <= MOST else None
    try:
        return find(word)
    except (KeyError, ValueError):
        return None


def user_name(number: int) -> str:
    """The name of a user, or its number in digits where it has none here."""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    """The name of a group, or its number in digits where it has none here."""
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
