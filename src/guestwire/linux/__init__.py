"""What talks to the kernel and to nothing else: rtnetlink, namespaces, nftables, sysctl, packet sockets.

Nothing here knows of guestwire's picture, file or projects. Modules hand out plain values and raise `OSError` (or
`NetlinkError`, which is one) as the kernel said it; floors above translate that into a user's words.
"""

__all__: list[str] = []
