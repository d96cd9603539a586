"""Kafka as the engine sees it; the only importer of `confluent_kafka`.

In: `Connection` (where the cluster is, which options pass through). Out: a producer, a reader and an admin whose
errors are families of `penstock.errors`. Read `error_map.py` first: it says what each broker code means for us.
"""
