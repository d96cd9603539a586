"""What the pipelines of the benchmarks work on: bids of auctions, 96 bytes each, under the auction as key."""

from __future__ import annotations

import json
import random
from typing import ClassVar

import msgspec

import penstock as ps

AUCTIONS = 100_000
LOWEST_PRICE = 80.0
"""Prices are below 1,000: a filter by this one keeps 92 of 100 bids."""


def _schema(name: str, *fields: tuple[str, object]) -> str:
    described = [{"name": field, "type": kind} for field, kind in fields]
    return json.dumps({"type": "record", "name": name, "namespace": "bench", "fields": described})


class Bid(msgspec.Struct, frozen=True, kw_only=True):
    """An auction's bid."""

    auction: int
    bidder: int
    channel: str
    url: str
    count: int
    price: float
    extra: str | None = None

    __avro_schema__: ClassVar[str] = json.dumps(
        {
            "type": "record",
            "name": "Bid",
            "namespace": "bench",
            "fields": [
                {"name": "auction", "type": "long"},
                {"name": "bidder", "type": "long"},
                {"name": "channel", "type": "string"},
                {"name": "url", "type": "string"},
                {"name": "count", "type": "int"},
                {"name": "price", "type": "double"},
                {"name": "extra", "type": ["null", "string"], "default": None},
            ],
        }
    )


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A bid in cents, what the stateless job writes."""

    auction: int
    bidder: int
    channel: str
    cents: int
    items: int

    __avro_schema__: ClassVar[str] = _schema(
        "Offer", ("auction", "long"), ("bidder", "long"), ("channel", "string"), ("cents", "long"), ("items", "int")
    )


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """An auction so far, what the aggregate keeps and writes."""

    bids: int = 0
    cents: int = 0

    __avro_schema__: ClassVar[str] = _schema("Totals", ("bids", "long"), ("cents", "long"))


class Auction(msgspec.Struct, frozen=True, kw_only=True):
    """Whose auction it is, a row of the table."""

    seller: int
    category: str

    __avro_schema__: ClassVar[str] = _schema("Auction", ("seller", "long"), ("category", "string"))


class Sale(msgspec.Struct, frozen=True, kw_only=True):
    """A bid with its auction's row, what the join writes."""

    auction: int
    bidder: int
    seller: int
    category: str
    cents: int

    __avro_schema__: ClassVar[str] = _schema(
        "Sale", ("auction", "long"), ("bidder", "long"), ("seller", "long"), ("category", "string"), ("cents", "long")
    )


def is_high(bid: Bid) -> bool:
    """Whether a bid counts."""
    return bid.price >= LOWEST_PRICE


def offer(bid: Bid) -> Offer:
    """The bid in cents."""
    return Offer(
        auction=bid.auction, bidder=bid.bidder, channel=bid.channel, cents=int(bid.price * 100), items=bid.count
    )


def add(totals: Totals, bid: Bid) -> Totals:
    """One bid more."""
    return Totals(bids=totals.bids + 1, cents=totals.cents + int(bid.price * 100))


def sale(bid: Bid, auction: Auction) -> Sale:
    """The bid with its auction's row."""
    return Sale(
        auction=bid.auction,
        bidder=bid.bidder,
        seller=auction.seller,
        category=auction.category,
        cents=int(bid.price * 100),
    )


def pipeline(job: str, name: str, bids: str, auctions: str, output: str, partitions: int) -> ps.Pipeline:
    """The job as a pipeline of ours, under this name and on these topics."""
    made = ps.Pipeline(name)
    stream = made.stream(ps.Topic(bids, key=str, value=Bid))
    if job == "stateless":
        stream.filter(is_high).map(offer).to(ps.Topic(output, key=str, value=Offer, partitions=partitions))
    elif job == "aggregate":
        totals = stream.aggregate(Totals, add, name="totals")
        totals.to(ps.Topic(output, key=str, value=Totals, partitions=partitions))
    elif job == "join":
        rows = ps.Topic(auctions, key=str, value=Auction, config={"cleanup.policy": "compact"}, tombstones=True)
        table = made.table(rows, name="auctions")
        stream.join(table, sale).to(ps.Topic(output, key=str, value=Sale, partitions=partitions))
    else:
        raise ValueError(job)
    return made


def key_of(auction: int) -> str:
    """The key of a bid and of its auction: 13 bytes."""
    return f"auction-{auction:05d}"


def bids(count: int, seed: int = 7) -> list[Bid]:
    """So many bids of `AUCTIONS` auctions, evenly spread; the same ones for the same seed."""
    chance = random.Random(seed)
    return [
        Bid(
            auction=chance.randrange(AUCTIONS),
            bidder=chance.randrange(10**9),
            channel="Google",
            url=f"https://www.example.com/auction/{chance.randrange(10**9)}/item",
            count=chance.randrange(1_000),
            price=chance.random() * 1_000,
            extra=None if chance.random() < 0.5 else "some extra text",
        )
        for _ in range(count)
    ]


def auctions() -> list[Auction]:
    """A row for every auction."""
    chance = random.Random(11)
    return [Auction(seller=chance.randrange(10**6), category=f"category {n % 50}") for n in range(AUCTIONS)]
