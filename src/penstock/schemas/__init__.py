"""Schemas and serdes: bytes come in, typed values go out, and back.

Start with `topic.py` (how a topic declares its types), then `serdes.py` (which serde a type gets), `codec.py` (Avro in
Confluent's framing) and `resolution.py` (how a writer's schema is read as the reader's). `parse.py` decides what a
valid schema is.
"""
