"""sysfs: what the kernel says of a link nowhere else. It shows the links of the namespace in which it was mounted."""

from __future__ import annotations

import os

__all__ = ["is_wireless"]

LINKS = "/sys/class/net"


def is_wireless(name: str, folder: str = LINKS) -> bool:
    """Whether a link is a Wi-Fi station or access point (cfg80211 links its phy there: net/wireless/core.c)."""
    return os.path.exists(f"{folder}/{name}/phy80211")
