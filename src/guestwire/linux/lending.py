"""A file lent to a program of another user's, by a descriptor that it can open anew as /dev/fd/N.

To open a file by its descriptor's name in /proc is to open it again: the path to it doesn't count then, the file's own
mode does (proc_pid_fd(5)). So what that user couldn't read is lent as a copy in memory (memfd_create(2)).
"""

from __future__ import annotations

import os
import stat

__all__ = ["lend"]


def lend(path: str, user: int, group: int) -> int:
    """A descriptor of a file, or of a copy of it, that `user` can open anew for reading; the caller closes it.

    Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    seen = os.fstat(fd)
    # As the kernel looks at it (acl_permission_check in fs/namei.c): the first that fits decides.
    if seen.st_uid == user:
        readable = seen.st_mode & stat.S_IRUSR
    elif seen.st_gid == group:
        readable = seen.st_mode & stat.S_IRGRP
    else:
        readable = seen.st_mode & stat.S_IROTH
    if readable:
        return fd
    try:
        copy = os.memfd_create(os.path.basename(path)[:200], os.MFD_CLOEXEC)
        try:
            while os.sendfile(copy, fd, None, 1 << 30):
                pass
            os.fchmod(copy, 0o444)
        except BaseException:
            os.close(copy)
            raise
    finally:
        os.close(fd)
    return copy
