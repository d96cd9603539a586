"""Crash-only transactions: one way out of every error, the way a restart takes.

In: a way to make producer handles. Out: transactions that are whole or absent, and an identity that one process holds.
Read `session.py` first.
"""
