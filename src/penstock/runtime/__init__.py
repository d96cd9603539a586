"""The worker: poll, process, commit; and everything that happens between tasks coming and going.

Read `worker.py` first, then `task.py`.
"""
