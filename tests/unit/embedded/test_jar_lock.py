"""The lock that is shipped."""

from __future__ import annotations

import msgspec

from penstock.embedded.jar_lock import load_lock


def test_the_lock_holds_the_broker_and_a_logging_backend_in_class_path_order() -> None:
    lock = load_lock()
    names = [jar.file_name for jar in lock.jars]

    assert names == sorted(set(names))
    assert {f"{jar.group}:{jar.artifact}:{jar.version}" for jar in lock.jars} >= set(lock.roots)
    assert {jar.version for jar in lock.jars if jar.group == "org.apache.kafka"} == {lock.kafka_version}
    assert all(len(bytes.fromhex(jar.sha512)) == 64 and jar.size > 0 for jar in lock.jars)


def test_another_jar_means_another_cache() -> None:
    lock = load_lock()
    changed = msgspec.structs.replace(lock.jars[0], sha512="0" * 128)

    assert msgspec.structs.replace(lock, jars=(changed, *lock.jars[1:])).digest != lock.digest
