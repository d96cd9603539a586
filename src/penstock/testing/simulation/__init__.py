"""Random pipelines under random faults on a simulated cluster, judged by the history checker.

    make simulate SEEDS=1000       a thousand seeds from 0 on; a seed that fails is shrunk and printed as a test

Read `scenario.py` first: a scenario is plain data. `world.py` plays it, `model.py` says what should have come of it,
`finding.py` what is wrong with what has. That something would be found is shown by engines that are broken on purpose
(`tests/mutants`, `make mutants`).
"""
