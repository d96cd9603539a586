"""`key_by` and `repartition`: what a stream can do about its keys."""

from __future__ import annotations

import typing
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from penstock.dsl.origin import Known, Origin
from penstock.errors import ConfigurationError
from penstock.operators.repartition import KeyBy, Repartition
from penstock.protocols import Serde
from penstock.schemas.serdes import serde_for
from penstock.schemas.topic import Topic
from penstock.topology.node import AnyTopic, Policy

if TYPE_CHECKING:
    from penstock.dsl.stream import Stream

K = TypeVar("K")
V = TypeVar("V")
L = TypeVar("L")

Declared = type[Any] | Serde[Any] | None
"""A class or a serde, as a `Topic` takes it; None = what is known has to do."""


class Rekeying(Generic[K, V]):
    """The part of `Stream` that sends records to the task of their key."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin

    @overload
    def key_by(
        self,
        function: Callable[[V], str],
        *,
        name: str,
        key: None = None,
        value: type[V] | Serde[V] | None = None,
        partitions: int | None = None,
        on_error: Policy | None = None,
    ) -> Stream[str, V]: ...
    @overload
    def key_by(
        self,
        function: Callable[[V], L],
        *,
        name: str,
        key: type[L] | Serde[L],
        value: type[V] | Serde[V] | None = None,
        partitions: int | None = None,
        on_error: Policy | None = None,
    ) -> Stream[L, V]: ...
    def key_by(
        self,
        function: Callable[[V], Any],
        *,
        name: str,
        key: Declared = None,
        value: Declared = None,
        partitions: int | None = None,
        on_error: Policy | None = None,
    ) -> Stream[Any, V]:
        """Give each record the key that the function makes of its value, and send it to the task of that key.

        The records go through a topic of the pipeline's own, `<pipeline>.<name>.repartition`; what follows reads them
        from there, possibly in another worker. Order is kept for what one task sends to one key, not between tasks.
        Timestamp, event time and headers stay as they are. A record for which the function gives None fails.

        Behind it, stream time is the earliest of all tasks in front of it: a slow one makes nobody late, and one that
        has had no record yet holds time back.

        Args:
            function: gives the key.
            name: of the step, its topic and the state behind it; renaming it begins anew.
            key: what the keys are, a class or a serde as for a `Topic`; left out, text, or what the function's
                annotation says.
            value: likewise of the values; left out where the topic they come from tells.
            partitions: how many tasks there are behind it; left out, as many as in front of it. Not to be changed.
            on_error: see `Stream`; of what cannot be written, and behind it of what cannot be read.
        """
        topic = self._topic(name, lambda: _key_serde(function, key), value, partitions)
        return self._rekeyed(self._behind(KeyBy(topic, function), topic, name, on_error))

    def repartition(
        self,
        partitions: int | None = None,
        *,
        name: str,
        key: type[K] | Serde[K] | None = None,
        value: type[V] | Serde[V] | None = None,
        on_error: Policy | None = None,
    ) -> Stream[K, V]:
        """Send each record to the task of its key, among so many tasks. As `key_by`, without another key.

        For a join with a topic that has another number of partitions, and behind a processor that gives records other
        keys. A record without a key goes to the partition with the number of its source partition.

        Args:
            partitions: how many tasks there are behind it; left out, as many as in front of it. Not to be changed.
            name: of the step, its topic and the state behind it; renaming it begins anew.
            key: what the keys are, a class or a serde as for a `Topic`; left out where the topic they come from tells.
            value: likewise of the values.
            on_error: see `key_by`.
        """
        topic = self._topic(name, lambda: _known_serde(self.origin.key, key, "key"), value, partitions)
        return self._rekeyed(self._behind(Repartition(topic), topic, name, on_error))

    # ------------------------------------------------------------ within

    @abstractmethod
    def _rekeyed(self, origin: Origin) -> Stream[Any, Any]: ...

    def _topic(
        self, name: str, key: Callable[[], Serde[Any]], value: Declared, partitions: int | None
    ) -> AnyTopic | None:
        """The repartition topic; None, and a problem, where it cannot be."""
        drafts = self.origin.drafts
        try:
            return Topic(
                f"{drafts.pipeline}.{name}.repartition",
                key=key(),
                value=_known_serde(self.origin.value, value, "value"),
                partitions=partitions,
                tombstones=True,
            )
        except ConfigurationError as err:
            drafts.problems.append(f"'{name}': {err}")
            return None

    def _behind(self, operator: Repartition, topic: AnyTopic | None, name: str, on_error: Policy | None) -> Origin:
        node = self.origin.drafts.add(operator, [self.origin.way], name=name, on_error=on_error)
        if topic is None:
            return self.origin.after(node, self.origin.value)
        value = Known(self.origin.value.kind or Known.of(topic.value).kind, topic.value)
        return replace(self.origin.after(node, value), key=Known.of(topic.key))


def _key_serde(function: Callable[..., Any], declared: Declared) -> Serde[Any]:
    if declared is not None:
        return serde_for(declared)
    try:
        told: object = typing.get_type_hints(function).get("return", str)
    except (TypeError, NameError, AttributeError):  # nothing that could be annotated, or by names that are not there
        told = str
    if not isinstance(told, type):
        raise ConfigurationError(f"its function gives keys of type {told}; say by key= how these are written")
    try:
        return serde_for(told)
    except ConfigurationError as err:
        raise ConfigurationError(f"its function gives keys of type {told.__name__}; say it by key=: {err}") from err


def _known_serde(known: Known, declared: Declared, side: str) -> Serde[Any]:
    if declared is not None:
        return serde_for(declared)
    if known.serde is not None:
        return known.serde
    if side == "value" and isinstance(known.kind, type):
        return serde_for(known.kind)
    raise ConfigurationError(
        f"what its {side}s are cannot be told from the stream; say it by {side}=, a class or a serde as for a Topic"
    )
