"""The browser of the person, where there is one."""

from __future__ import annotations

import sys
from collections.abc import Mapping

REMOTE = ("CI", "SSH_CONNECTION", "SSH_TTY")
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


def has_browser(environment: Mapping[str, str], platform: str = sys.platform) -> bool:
    """Say whether the person would see a page that this process opens.

    Args:
        environment: of the process.
        platform: as in `sys.platform`.
    """
    if environment.get("BROWSER"):  # as editors set it that forward a remote machine's pages
        return True
    if any(map(environment.get, REMOTE)):
        return False
    return platform in ("darwin", "win32") or any(map(environment.get, SCREENS))
