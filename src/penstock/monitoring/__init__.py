"""What can be seen of workers and groups from outside: metrics, health, lag; and what servers make of it.

In: what hooks tell of a worker, and what the cluster says of groups. Out: Prometheus' text format over HTTP.
`catalogue.py` first: every metric there is. `worker_metrics.py` counts, `endpoints.py` answers, `lag/` looks at
groups from outside, `shipped/` writes the dashboards and alert rules that stand in `monitoring/`.
"""
