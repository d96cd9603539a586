"""One live process for each identity on a machine, told by the kernel."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.errors import DuplicateIdentity, ExitCode
from penstock.transactions.identity import IdentityLock

HOLDER = """
import sys
from pathlib import Path
from penstock.transactions.identity import IdentityLock
with IdentityLock(Path(sys.argv[1]), "flights"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holding(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_with_the_first_ones_id_and_sigkill_lets_go(tmp_path: Path) -> None:
    with holding(tmp_path) as holder:
        with pytest.raises(
            DuplicateIdentity, match=rf"'flights' is already running here as process {holder.pid} "
        ) as told:
            IdentityLock(tmp_path, "flights").__enter__()
        assert told.value.exit_code is ExitCode.DUPLICATE_IDENTITY
        with IdentityLock(tmp_path, "weather"):  # another name is free
            pass
        holder.kill()
        holder.wait()
    with IdentityLock(tmp_path, "flights"), pytest.raises(DuplicateIdentity):
        IdentityLock(tmp_path, "flights").__enter__()


def test_the_lock_is_let_go_at_the_end_of_its_block_and_may_be_taken_again(tmp_path: Path) -> None:
    lock = IdentityLock(tmp_path / "new", "flights")
    for _ in range(2):
        with lock:
            pass
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "flights.lock").stat().st_mode) == 0o600
