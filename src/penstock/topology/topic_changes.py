"""What a deploy does to what is read and written, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from penstock.topology.change import Change, difference
from penstock.topology.deployment import Deployment, Step, TopicForm

Use = tuple[Step, TopicForm]
"""A node, and the topic that it reads or writes."""


def source_changes(before: Deployment, after: Deployment) -> Iterator[Change]:
    """Topics that are read from now on, no more, or in another form. New tables are told as tables."""
    old, new = _uses(before, lambda node: node.reads), _uses(after, lambda node: node.reads)
    in_place_of = {node.name: topic for topic, (node, _) in new.items() if topic not in old}
    replaced: set[str] = set()
    for topic, (node, form) in old.items():
        if topic in new:
            yield from _same_source((node, form), new[topic])
        elif node.name in in_place_of:
            replaced.add(in_place_of[node.name])
            now, _ = new[in_place_of[node.name]]
            told = f"'{node.name}' reads '{in_place_of[node.name]}' now, from its {_start(now)}"
            yield _left(node, Change("replaces", "notice", f"source topic '{topic}'", told))
        else:
            yield _left(node, Change("removes", "notice", f"source topic '{topic}'", "it is read no more"))
    for topic, (node, _) in new.items():
        if topic not in old and topic not in replaced and not node.stores:
            yield Change("adds", "harmless", f"source topic '{topic}'", f"it is read from its {_start(node)}")


def _left(node: Step, change: Change) -> Change:
    """What to do about the records in a topic that is read no more; a table needs none of them any more."""
    if node.stores:
        return Change(change.verb, "harmless", change.what, change.told)
    advice = "let the old code work it off first (until its lag is 0): what is left in it is not processed"
    return Change(change.verb, change.effect, change.what, change.told, advice)


def _same_source(old: Use, new: Use) -> Iterator[Change]:
    (node, form), (node_now, now) = old, new
    what = f"source topic '{now.name}'"
    if form.key != now.key:
        advice = (
            "what is in it has to fit the new form; keys of other bytes may be in other partitions than their state"
        )
        yield Change("changes", "notice", what, difference("keys", form.key, now.key), advice)
    if (form.value, form.tombstones) != (now.value, now.tombstones):
        told = difference("values", form.value, now.value)
        told = told or f"null values are {'allowed' if now.tombstones else 'refused'} now"
        advice = "what is in it and not yet processed has to fit the new form"
        yield Change("changes", "notice", what, told, advice)
    for setting, value in node_now.settings.items():
        before = node.settings.get(setting, value)
        if before != value:
            reason = "; it counts only where the group has no place yet" if setting == "start" else ""
            yield Change("changes", "harmless", what, f"{setting} is {before} before, {value} now{reason}")


def partition_changes(before: Deployment, after: Deployment) -> Iterator[Change]:
    """Topics that have another number of partitions now than when the pipeline was deployed."""
    for topic, width in after.partitions.items():
        old = before.partitions.get(topic, width)
        if old == width:
            continue
        what, told = f"source topic '{topic}'", f"it has {width} partitions, {old} when it was deployed"
        readers = [g for g in after.groups if any(node.reads and node.reads.name == topic for node in g.nodes)]
        if any(group.stores and before.keeps(group.name) for group in readers):
            told += "; keys have moved away from their state"
            advice = (
                f"publish its records into a new topic with {old} partitions and read that, or start the pipeline anew "
                "under another name"
            )
            yield Change("repartitions", "impossible", what, told, advice)
        else:
            told += "; records of one key may stand in two of them"
            yield Change("repartitions", "harmless", what, told)


def sink_changes(before: Deployment, after: Deployment) -> Iterator[Change]:
    """Topics that are written from now on, no more, or in another form; those between task groups among them."""
    old, new = _uses(before, lambda node: node.writes), _uses(after, lambda node: node.writes)
    for topic, (node, _) in old.items():
        if topic not in new and node.is_internal:
            advice = "stop what is published, and let the old code work everything off (until its lag is 0)"
            told = "it is read no more: records on their way through it are not processed"
            yield Change("removes", "notice", f"repartition topic '{topic}'", told, advice)
        elif topic not in new:
            yield Change("removes", "harmless", f"sink topic '{topic}'", "it is written no more")
    for topic, (node, now) in new.items():
        what = f"{'repartition' if node.is_internal else 'sink'} topic '{topic}'"
        if topic not in old:
            yield Change("adds", "harmless", what, "it is written from now on")
            continue
        told = _other_form(old[topic], (node, now))
        if told:
            advice = "what is on its way through it has to fit" if node.is_internal else "its readers meet both forms"
            yield Change("changes", "notice", what, told, advice)


def _other_form(old: Use, new: Use) -> str:
    (node, form), (node_now, now) = old, new
    told = [difference("keys", form.key, now.key), difference("values", form.value, now.value)]
    if form.tombstones != now.tombstones:
        told.append(f"null values are {'written' if now.tombstones else 'refused'} now")
    if node.settings != node_now.settings:
        names = sorted(node.settings.keys() | node_now.settings.keys())
        told += [difference(n, node.settings.get(n, "not said"), node_now.settings.get(n, "not said")) for n in names]
    return "; ".join(filter(None, told))


def _uses(deployment: Deployment, which: Callable[[Step], TopicForm | None]) -> dict[str, Use]:
    """{topic: who uses it and as what}; a topic that several nodes write stands there once."""
    found: dict[str, Use] = {}
    for group in deployment.groups:
        for node in group.nodes:
            form = which(node)
            if form is not None:
                found.setdefault(form.name, (node, form))
    return found


def _start(node: Step) -> str:
    return "end" if node.settings.get("start") == "latest" else "beginning"
