"""N worker processes of one pipeline on one machine: started, restarted, stopped, heard.

In: how a worker is started, and how many. Out: one stream of whole lines, and an exit code. It knows nothing of Kafka;
what a worker does is the worker's affair. `supervisor.py` first; `memory.py` and `cgroup.py` judge before the start
whether so many fit, `parent.py` and `heartbeat.py` run in the workers.
"""
