"""For users' tests as well as ours.

Fixtures come from the pytest plugin `penstock.testing.pytest_plugin`, which pytest loads through its entry point
wherever penstock is installed; nothing in here imports pytest but the plugin itself. `driver.py` runs a pipeline on a
cluster in memory (`cluster/`), `simulation/` does so with random pipelines and faults. What is in a topic according to
a broker's own files is told by `segments.py`.
"""
