"""The `penstock` command: one module per command group, `app.py` first.

In: the command line and the project's configuration. Out: text for people on a terminal, JSON with `--json`, an exit
code of `penstock.errors.ExitCode`. Heavy imports stand inside the command functions, so that `penstock --help` is fast.
"""
