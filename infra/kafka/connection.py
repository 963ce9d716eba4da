"""How this house's own processes reach the broker, in aiokafka's words."""

from typing import Any

from infra.settings import Settings


def client_settings(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client (producer, consumer, admin) is told: addresses and security."""
    known: dict[str, Any] = {"bootstrap_servers": settings.bootstrap_servers, **settings.kafka_security}
    if settings.kafka_security_protocol in ("SSL", "SASL_SSL"):
        from aiokafka.helpers import create_ssl_context

        known["ssl_context"] = create_ssl_context()
    return known
