"""What `penstock doctor` looks at, one module for each kind of thing; `finding.py` first.

In: the configuration, and what the machine and the servers answer. Out: findings, each with what to do about it.
"""
