"""For users' tests as well as ours.

Fixtures on a real broker come from the pytest plugin `penstock.testing.pytest_plugin`, which pytest loads through its
entry point wherever penstock is installed; nothing in here imports pytest but the plugin itself. What is in a topic
according to the broker's own files is told by `penstock.testing.segments`.
"""
