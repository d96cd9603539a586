"""Adds everything up once more, and compares what is in the topics so far: each record once, in order, and right."""

import json
import subprocess
from collections import defaultdict
from typing import Any


def read(topic: str) -> dict[str, list[Any]]:
    """{key: the values of its committed records, in their order}."""
    command = ["penstock", "peek", topic, "--json", "--limit", "1000000"]
    values = defaultdict(list)
    for line in subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines():
        record = json.loads(line)
        values[record["key"]].append(record["value"])
    return values


volumes, refused = defaultdict(list), defaultdict(list)
for reservoir, flows in read("flows").items():
    m3 = 0
    for flow in flows:
        if m3 + flow["m3"] < 0:
            refused[reservoir].append(flow)
        else:
            m3 += flow["m3"]
            volumes[reservoir].append({"hour": flow["hour"], "m3": m3})

for topic, due in (("volumes", volumes), ("dlq.volumes.flows", refused)):
    found = read(topic)
    wrong = sum(found[reservoir] != due[reservoir][: len(found[reservoir])] for reservoir in found)
    counts = (sum(map(len, values.values())) for values in (found, due))
    print(f"{topic}: {' of '.join(f'{count:,}' for count in counts)}, wrong in {wrong} reservoirs")
