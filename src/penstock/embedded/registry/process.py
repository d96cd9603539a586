"""The registry as a process: bind, lead, read the log, serve, until a signal or until somebody else leads.

Start, in five steps: 1. Bind the port, not yet listening. 2. The topic, made or checked. 3. Leadership in the group.
4. The log, read to its end and claimed. 5. Listen.

Leadership ends when Kafka has not heard of us for a session: we stood still, Kafka did, or the connection was lost (a
laptop that was closed is all of these). Nobody else need have taken it. So the end of leadership begins again with
step 1, and only another registry that does lead ends the process.
"""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

import uvicorn

from penstock.embedded.ports import LOOPBACK
from penstock.embedded.registry.definitions import Definitions
from penstock.embedded.registry.http import application
from penstock.embedded.registry.schemas import Schemas
from penstock.embedded.registry.settings import Settings
from penstock.embedded.registry.store import MAX_RECORD_BYTES, Store
from penstock.embedded.registry.subjects import Subjects
from penstock.errors import ConfigurationError, DuplicateIdentity, PenstockError, ServerUnreachable, StartFailed
from penstock.kafka.admin import Admin, TopicSettings
from penstock.kafka.client import Connection
from penstock.kafka.leadership import Leadership

LOGGER = logging.getLogger("penstock.embedded.registry")

SCHEMAS_TOPIC = "_schemas"
DEFAULT_PORT = 8081
SESSION_TIMEOUT_S = 6.0
"""How long after its sudden death a registry's place stays taken; the least that brokers accept by default."""

_WRITE_TIMEOUT_S = 10.0
_KAFKA_BUDGET_S = 10.0
_PAUSE_S = 1.0


def serve(
    connection: Connection,
    *,
    port: int = DEFAULT_PORT,
    topic: str = SCHEMAS_TOPIC,
    session_timeout_s: float = SESSION_TIMEOUT_S,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve on the loopback address until SIGINT or SIGTERM; in the main thread, which gets the signals.

    Args:
        connection: the cluster that holds the topic.
        port: 0 takes a free one.
        topic: the log; made if it is not there.
        session_timeout_s: how long a registry that died or hangs keeps others out.
        on_ready: called with the URL when requests are answered, after an interruption again.

    Raises:
        DuplicateIdentity: another registry writes this topic, or has taken over from this one.
        StartFailed: the port is taken.
        ServerUnreachable: Kafka does not answer at the start. Later it is waited for.
        ConfigurationError: the topic is there but cannot be a registry's, or there is no right to it.
    """
    # uvicorn sends itself the signal again when it is done: that must unwind what is below, not end the process.
    signal.signal(signal.SIGTERM, _leave)
    served = False

    def ready(url: str) -> None:
        nonlocal port, served
        port, served = int(url.rpartition(":")[2]), True
        on_ready(url)

    while True:
        try:
            if _lead_and_serve(connection, port, topic, session_timeout_s, ready):
                return
        except DuplicateIdentity as exc:
            if not served:
                raise
            raise DuplicateIdentity(f"another registry has taken over: {exc}. Nothing acknowledged is lost") from exc
        except ServerUnreachable as exc:
            if not served:
                raise
            LOGGER.warning("the schema registry is down until Kafka is back: %s", exc)
            time.sleep(_PAUSE_S)
        else:
            LOGGER.warning("the schema registry has lost its place as the writer of '%s'; taking it again", topic)


def _lead_and_serve(
    connection: Connection, port: int, topic: str, session_timeout_s: float, ready: Callable[[str], None]
) -> bool:
    """Serve once; False when leadership was lost."""
    end = _End()
    with ExitStack() as stack:
        listener = stack.enter_context(_bound(port))
        require_topic(Admin(connection, budget_s=_KAFKA_BUDGET_S), topic)
        leadership = Leadership(
            connection,
            group=f"penstock-registry.{topic}",
            topic=topic,
            session_timeout_s=session_timeout_s,
            on_lost=lambda: end.come(None),
        )
        leadership.acquire()
        stack.callback(leadership.close)
        store = Store(connection, topic, timeout_s=_WRITE_TIMEOUT_S, on_end=end.come)
        stack.callback(store.close)
        end.store = store
        store.take_over()

        app = application(Subjects(store, Definitions()), Schemas(store), Settings(store))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3, server_header=False
        )
        end.server = uvicorn.Server(config)
        listener.listen(128)
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        LOGGER.info("schema registry (development, single node) on %s, topic %s", url, topic)
        ready(url)
        if not end.came:
            end.server.run(sockets=[listener])
    if end.reason:
        raise end.reason
    return not end.came


class _End:
    """The end of leadership, told by the group or by the log, whichever notices first."""

    def __init__(self) -> None:
        self.came = False
        self.store: Store | None = None
        self.server: uvicorn.Server | None = None
        self.reason: PenstockError | None = None

    def come(self, reason: PenstockError | None) -> None:
        self.came = True
        self.reason = self.reason or reason
        if self.store:
            self.store.lose()
        if self.server:
            self.server.should_exit = True


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _bound(port: int) -> socket.socket:
    # asyncio sends small answers without delay (TCP_NODELAY) only when the socket names its protocol.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as exc:
        listener.close()
        raise StartFailed(
            f"port {port} on {LOOPBACK} is taken: stop what listens there, or choose another with --port"
        ) from exc
    return listener


def require_topic(admin: Admin, topic: str) -> None:
    """Make the topic, or refuse one in which schemas would be lost.

    Raises:
        ConfigurationError: it has several partitions, or is not compacted.
    """
    replication = min(3, len(admin.cluster().brokers))
    config = {"cleanup.policy": "compact", "max.message.bytes": str(MAX_RECORD_BYTES)}
    admin.create([TopicSettings(topic, partitions=1, replication=replication, config=config)])
    found = admin.described([topic])[topic]  # another broker may not have heard of it yet
    policy = admin.topic_config([topic])[topic]["cleanup.policy"]
    if found.partitions != 1 or policy != "compact":
        raise ConfigurationError(
            f"topic '{topic}' has {found.partitions} partitions and cleanup.policy={policy}; a registry needs one "
            "partition and `compact`, or it would lose schemas. Mend it, or take another topic"
        )
