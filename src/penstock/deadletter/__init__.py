"""Dead letters: what failed, where, why, as Kafka headers beside the original bytes.

In: a failure and its coordinates. Out: headers, and a value that fits. Read `envelope.py`.
"""
