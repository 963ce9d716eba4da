"""Every setting, read once from the environment into one typed object."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(ValueError):
    """An environment variable has no usable value; the message names it."""


class Settings(BaseSettings):
    """The environment. Field `kafka_bootstrap_servers` is the variable KAFKA_BOOTSTRAP_SERVERS, and so on."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    #: Everything below that is not told otherwise lives here. Mode 0700.
    data_dir: Path = Path("omniscope-data")

    #: None: the embedded broker that `up` starts on `embedded_kafka_port`.
    kafka_bootstrap_servers: str | None = None
    embedded_kafka_port: int = Field(9092, ge=1, le=65535)
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: str | None = Field(None, repr=False)
    topic_partitions: int = Field(8, ge=1, le=10_000)
    topic_replication: int = Field(1, ge=1, le=32)
    #: Seconds without a heartbeat after which a worker's partitions go to another.
    kafka_session_timeout_s: float = Field(10.0, ge=6, le=600)

    database_url: str = ""
    mlflow_tracking_uri: str = ""
    artifacts_uri: str = ""
    #: Directories or s3:// prefixes a dataset's uri may point into, separated by commas.
    dataset_roots: str = ""

    api_host: str = "127.0.0.1"
    api_port: int = Field(8001, ge=0, le=65535)
    api_jwt_secret: str | None = Field(None, repr=False, min_length=32)
    api_jwks: str | None = None
    api_jwt_issuer: str = "omniscope"
    api_jwt_audience: str = "omniscope-ml"

    #: Jobs at a time in one worker, and cores for each. Zero slots: as many as the cores allow.
    worker_slots: int = Field(0, ge=0, le=1024)
    slot_cpus: int = Field(1, ge=1, le=1024)
    executor: Literal["local", "ray"] = "local"
    #: A name that stays the same when this worker is started again: then a quick restart moves no jobs.
    worker_id: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    max_attempts: int = Field(3, ge=1, le=100)
    #: How long a request may wait for its dataset, counted from the broker's timestamp.
    dataset_wait_s: float = Field(60.0, ge=0, le=24 * 3600)
    #: What the copies of datasets on this machine may take; those unused for longest go first. Zero: any amount.
    cache_max_gb: float = Field(20.0, ge=0, le=1e6)
    #: What must be free on the disk of DATA_DIR before a job starts. Zero: any amount.
    min_free_gb: float = Field(0.5, ge=0, le=1e6)
    #: Where pretrained weights are fetched from; a mirror has the same files below its own address.
    weights_torchvision_url: str = Field("https://download.pytorch.org/models", pattern=r"^https?://[^\s]+$")
    #: HF_ENDPOINT serves where this is not told.
    weights_hub_url: str = Field(
        "https://huggingface.co",
        pattern=r"^https?://[^\s]+$",
        validation_alias=AliasChoices("weights_hub_url", "hf_endpoint"),
    )
    #: Whether a worker may fetch weights by itself. If not, `omniscope-ml weights prefetch` does.
    weights_download: bool = True
    #: How long a stopping worker lets running jobs go on before it gives them back.
    drain_s: float = Field(5.0, ge=0, le=24 * 3600)

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if set("?%") & set(str(value)):
            raise ValueError("must be a path without ? and %, which mean something in a database's address")
        return value.expanduser().absolute()

    @property
    def bootstrap_servers(self) -> str:
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.embedded_kafka_port}"

    @property
    def embedded_broker(self) -> bool:
        """Whether the broker is our own, for one machine."""
        return self.kafka_bootstrap_servers is None

    @property
    def broker_journal(self) -> Path:
        """Where the embedded broker's log is written down."""
        return self.data_dir / "broker.db"

    @property
    def kafka_security(self) -> dict[str, Any]:
        """Security settings in aiokafka's words."""
        found = {
            "security_protocol": self.kafka_security_protocol,
            "sasl_mechanism": self.kafka_sasl_mechanism,
            "sasl_plain_username": self.kafka_sasl_username,
            "sasl_plain_password": self.kafka_sasl_password,
        }
        return {name: value for name, value in found.items() if value is not None}

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'omniscope.db'}"

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or f"sqlite:///{self.data_dir / 'mlflow.db'}"

    @property
    def artifacts(self) -> str:
        return self.artifacts_uri or str(self.data_dir / "artifacts")

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Where datasets may lie; the first one takes `dataset add`."""
        told = tuple(_rooted(root.strip()) for root in self.dataset_roots.split(",") if root.strip())
        return told or (str(self.data_dir / "datasets"),)

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"

    @property
    def weights_dir(self) -> Path:
        """Pretrained weights that were fetched; to be copied whole to a machine without a network."""
        return self.data_dir / "weights"

    @property
    def work_dir(self) -> Path:
        """Scratch space of running jobs on this machine."""
        return self.data_dir / "work"

    @property
    def secret_file(self) -> Path:
        return self.data_dir / "api-jwt-secret"

    @property
    def slots(self) -> int:
        return self.worker_slots or max(1, len(os.sched_getaffinity(0)) // self.slot_cpus)

    def make_data_dir(self) -> None:
        """Creates the data directory, readable by its owner alone."""
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)


def _rooted(root: str) -> str:
    return root if "://" in root else str(Path(root).expanduser().absolute())


def load() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: naming the variable and what is wrong with it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(map(str, first["loc"])).upper()
        raise SettingsError(f"environment variable {name}: {first['msg']}") from None
