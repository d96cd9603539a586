"""Hooks in a chain are told everything."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.runtime.hook_chain import HookChain
from penstock.runtime.hooks import WorkerHooks

HOOKS = sorted(name for name in dir(WorkerHooks) if name.startswith("on_"))


class Told(WorkerHooks):
    """Remembers every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            return lambda *args: self.calls.append((name, args))
        return super().__getattribute__(name)


@pytest.mark.parametrize("name", HOOKS)
def test_everybody_in_the_chain_is_told_whatever_is_told(name: str) -> None:
    """Also of a hook that is new: one that is left out here is silent for ever."""
    first, second = Told(), Told()
    hook = getattr(HookChain(first, second), name)
    arguments = tuple(range(hook.__code__.co_argcount - 1))
    hook(*arguments)
    assert first.calls == second.calls == [(name, arguments)]
