"""The alert rules, dashboards and server settings of a project's `monitoring/`, written from the catalogue.

`python -m penstock.monitoring.shipped FOLDER` writes them. `rules.py` says what alerts, `dashboards/` what is shown;
both name metrics by the catalogue's constants, so that a metric that goes takes their queries with it.
"""
