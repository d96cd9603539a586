"""The schemas of this repository's own project, as `penstock schemas register` puts them into a registry."""

from __future__ import annotations

from pathlib import Path

from penstock.dsl.discovery import pipelines
from penstock.publishing.discovery import producers
from penstock.schemas.manifest import read_manifest
from penstock.schemas.register import register
from penstock.schemas.serdes import AvroSerde
from penstock.schemas.tree import load_tree, read_folder
from penstock.testing.memory_registry import MemoryRegistry

ROOT = Path(__file__).parents[3]


def avro_topics() -> dict[str, str]:
    """{topic: the schema of its values, as the generated class carries it}."""
    topics = {spec.topic.name: spec.topic for spec in producers(ROOT, "producers").values()}
    for pipeline in pipelines(ROOT).values():
        topics |= pipeline.topology().topics
    kinds = {name: topic.value.kind for name, topic in topics.items() if isinstance(topic.value, AvroSerde)}
    return {name: str(vars(kind)["__avro_schema__"]) for name, kind in kinds.items()}


def test_what_the_code_reads_and_writes_is_registered_word_for_word() -> None:
    """Where schemas are not registered by themselves, as in the profile prod, nothing could be written otherwise."""
    registry, folder = MemoryRegistry(), ROOT / "schemas"
    register(load_tree(read_folder(folder)), read_manifest(folder), registry, dry_run=False)
    topics = avro_topics()
    assert {"flights", "flight-status"} <= topics.keys()
    assert [name for name, text in topics.items() if registry.lookup(f"{name}-value", text) is None] == []
