"""Where a house answers: the one that runs already, or ports for one that is to be started."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.cli.house import free_port

if TYPE_CHECKING:
    from infra.settings import Settings


def settings_of(settings: "Settings", about: Mapping[str, Any]) -> "Settings":
    """Our settings with the addresses that the running house has written into its lock (`api`, `broker`)."""
    api, broker = urlsplit(about["api"]), str(about["broker"])
    known: dict[str, Any] = {"api_host": api.hostname, "api_port": api.port}
    if broker != settings.bootstrap_servers:
        host, _, port = broker.rpartition(":")
        embedded = settings.embedded_broker and host == "127.0.0.1"
        known |= {"embedded_kafka_port": int(port)} if embedded else {"kafka_bootstrap_servers": broker}
    return settings.model_copy(update=known)


def with_free_ports(settings: "Settings") -> "Settings":
    """The settings with a free port in the place of each that somebody listens on: a house for one job takes any."""
    known = {"api_port": _free(settings.api_host, settings.api_port)}
    if settings.embedded_broker:
        known["embedded_kafka_port"] = _free("127.0.0.1", settings.embedded_kafka_port)
    return settings.model_copy(update=known)


def _free(host: str, port: int) -> int:
    from infra.kafka.embedded.server import BrokerError, require_free

    try:
        require_free(host, port, "")
    except BrokerError:
        return free_port(host)
    return port or free_port(host)
