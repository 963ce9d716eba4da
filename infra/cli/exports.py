"""What another terminal must be told, so that its commands find the house that runs in this one."""

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.settings import Settings

#: The settings by which commands find broker, API, data and models. Others matter to services alone.
_TELLING = (
    "data_dir", "kafka_bootstrap_servers", "embedded_kafka_port", "kafka_security_protocol", "kafka_sasl_mechanism",
    "kafka_sasl_username", "api_host", "api_port", "api_jwt_issuer", "api_jwt_audience", "artifacts_uri",
    "dataset_roots",
)  # fmt: skip
#: Their values are on no screen.
_SECRET = ("kafka_sasl_password", "api_jwt_secret")


def exports(settings: "Settings") -> list[str]:
    """Shell lines for each of these settings that is not as it would be by itself; for a secret, a reminder."""
    changed = [name for name in (*_TELLING, *_SECRET) if getattr(settings, name) != _default(settings, name)]
    return [
        f"# set {name.upper()} as well: it is a secret and not shown"
        if name in _SECRET
        else f"export {name.upper()}={shlex.quote(str(getattr(settings, name)))}"
        for name in changed
    ]


def _default(settings: "Settings", name: str) -> object:
    default = type(settings).model_fields[name].default
    return default.absolute() if name == "data_dir" else default
