"""Random pipelines under random faults on a simulated cluster, judged by a fold of their input that is code of its own.

    make simulate SEEDS=1000       a thousand seeds from 0 on; a seed that fails is shrunk and printed as a test
    make mutants                   the same against an engine that is broken on purpose: each has to be found

Read `scenario.py` first: a scenario is plain data. `world.py` plays it, `model.py` says what should have come of it.
"""
