"""The fluent face: `Pipeline`, `Stream` and `Table` build a topology out of operators.

Building does nothing but build the graph: no connection, no thread, no file. Read `pipeline.py` first, then
`stream.py`; `discovery.py` finds a project's pipelines.
"""
