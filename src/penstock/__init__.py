"""penstock: exactly-once Kafka pipelines in plain Python."""

__all__: list[str] = []
