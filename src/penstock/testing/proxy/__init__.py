"""A proxy between clients and a Kafka cluster that can do with chosen requests what a bad network does.

    with KafkaProxy(cluster.bootstrap_servers) as proxy:
        held = proxy.hold(Api.END_TXN, client_id="billing.0.0")
        ...                       # a client of proxy.bootstrap_servers commits; its request waits, and is sent again
        answer = held.release()   # the first copy arrives only now

In: requests as length-prefixed frames (`frame.py`), told apart by their headers. Out: the same frames, late, twice or
never (`order.py`, which names what can be done to one). Nothing is left to chance or to time: an order means the nth
request of its kind from when it was given, and it is over when a method says so.
"""

from penstock.testing.proxy.frame import Api, Request
from penstock.testing.proxy.order import HeldRequest, Order
from penstock.testing.proxy.proxy import KafkaProxy

__all__ = ["Api", "HeldRequest", "KafkaProxy", "Order", "Request"]
