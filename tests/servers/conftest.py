"""Servers from Debian's packages. Where one is missing the test is skipped; with REQUIRE_SERVERS it fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Where a server's program is; skips, or with REQUIRE_SERVERS fails, where it is not installed."""

    def find(name: str) -> str:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if found is None and os.environ.get("REQUIRE_SERVERS"):
            pytest.fail(f"{name} is not installed, and REQUIRE_SERVERS is set")
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    return find
