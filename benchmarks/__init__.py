"""What it costs: `make bench` runs every job here and writes `latest.json` and the table in the docs."""
