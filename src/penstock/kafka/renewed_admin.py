"""An admin client that is made when it is first needed, and made anew behind a failure.

One that lived through a change of leaders or coordinators can go on asking the former ones for seconds, or give no
answer at all. And one that failed is destroyed by name, not left as garbage: see `client.let_go`.
"""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from penstock.kafka.client import Connection, connected, let_go


class RenewedAdmin:
    """For one thread at a time.

    Args:
        connection: the cluster.
        client_id: for the brokers' logs.
    """

    def __init__(self, connection: Connection, client_id: str) -> None:
        self._connection = connection
        self._client_id = client_id
        self._client: AdminClient | None = None

    def client(self) -> AdminClient:
        """The one that is there, or a new one."""
        if self._client is None:
            options = self._connection.options({}, self._connection.admin, self._client_id)
            self._client = connected(AdminClient, options, self._client_id)
        return self._client

    def forget(self) -> None:
        """Destroy it, with whatever it was asked for; those futures never come. Harmless when there is none."""
        client, self._client = self._client, None
        let_go(client)
