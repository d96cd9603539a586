"""Endless made-up flights for load tests: `penstock produce load --rate 5000`.

Flight number i is a function of the seed and i alone, so the cursor is i and any part can be made again. The seed is
1903 unless the environment variable LOAD_SEED names another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from itertools import count

import penstock as ps
from producers.zone import moment
from schemas.flights import Flight

LOAD = ps.Topic("load", key=str, value=Flight, partitions=8)

_START = 22_616_640
"""1 January 2013 as minutes since 1970."""
_FLIGHTS_PER_MINUTE = 60
_AIRCRAFT = 4000
_CARRIERS = ("AA", "B6", "DL", "EV", "UA", "WN")
_ORIGINS = ("EWR", "JFK", "LGA")
_DESTINATIONS = {"ATL": 761, "BOS": 187, "FLL": 1076, "LAX": 2475, "MIA": 1090, "ORD": 733, "SFO": 2586, "SJU": 1598}


def to_record(seed: int, index: int) -> ps.Record[str, Flight]:
    """Flight `index` of the endless row that `seed` begins; later ones leave later, sixty a minute."""
    dice = blake2b(f"{seed}:{index}".encode(), digest_size=16).digest()
    tail_number = f"N{int.from_bytes(dice[0:3]) % _AIRCRAFT + 1000}PS"
    destination, distance_mi = list(_DESTINATIONS.items())[dice[3] % len(_DESTINATIONS)]
    scheduled = _START + index // _FLIGHTS_PER_MINUTE
    air_time_min = distance_mi // 8 + 15 + dice[4] % 20
    scheduled_arrival = scheduled + distance_mi // 8 + 60
    cancelled = dice[5] < 6
    # As in life: half of them leave on time or early, one in ten is hours late, the latest 21.
    delay_min = int(1260 * (int.from_bytes(dice[6:8]) / 65536) ** 20) - 10
    departed = scheduled + delay_min
    arrived = departed + air_time_min + 10 + dice[8] % 30
    return ps.Record(
        key=tail_number,
        value=Flight(
            carrier=_CARRIERS[dice[9] % len(_CARRIERS)],
            flight_number=1 + int.from_bytes(dice[10:12]) % 6000,
            tail_number=tail_number,
            origin=_ORIGINS[dice[12] % len(_ORIGINS)],
            destination=destination,
            scheduled_departure_at=moment(scheduled),
            departed_at=None if cancelled else moment(departed),
            departure_delay_min=None if cancelled else delay_min,
            scheduled_arrival_at=moment(scheduled_arrival),
            arrived_at=None if cancelled else moment(arrived),
            arrival_delay_min=None if cancelled else arrived - scheduled_arrival,
            air_time_min=None if cancelled else air_time_min,
            distance_mi=distance_mi,
            cancelled=cancelled,
        ),
    )


@ps.producer("load", topic=LOAD, fingerprint=lambda: f"seed {_seed()}")
def load(cursor: int | None) -> Iterator[tuple[int, ps.Record[str, Flight]]]:
    """Endless made-up flights for load tests; give a --rate."""
    seed = _seed()
    for index in count(0 if cursor is None else cursor + 1):
        yield index, to_record(seed, index)


def _seed() -> int:
    return int(os.environ.get("LOAD_SEED", "1903"))
