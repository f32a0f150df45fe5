"""Hands descriptors to a program that is about to start, from 3 on, and tells it so in systemd's words.

LISTEN_FDS says how many there are, LISTEN_PID for whom, LISTEN_FDNAMES what each is called (sd_listen_fds(3)). A shell
between may have another number than the program that it starts, so a program that only reads LISTEN_FDS works too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from guestwire.linux.inside import out_of_the_way

__all__ = ["FIRST", "become_user", "hand_over"]

FIRST = 3  # SD_LISTEN_FDS_START


def hand_over(fds: Sequence[int], names: Sequence[str]) -> None:
    """Have the calling process hold the descriptors, called so, as 3, 4 …, left open in the program that it becomes."""
    away = [out_of_the_way(fd) for fd in fds]
    for number, fd in enumerate(away, FIRST):
        os.dup2(fd, number, inheritable=True)
    os.environ["LISTEN_FDS"] = str(len(away))
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDNAMES"] = ":".join(names)


def become_user(user: int) -> None:
    """Have the calling process be that user, with the groups that the user has, and no way back. Raises OSError."""
    import pwd

    try:
        entry = pwd.getpwuid(user)
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
    except KeyError:  # a number that has no name
        os.setgroups([])
        os.setgid(user)
    os.setuid(user)
