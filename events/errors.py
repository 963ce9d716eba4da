"""The one small error tree: every failure carries a code a program can read and a sentence a person can act on."""

from enum import StrEnum


class ReasonCode(StrEnum):
    """Why something was refused or failed. The value is part of the contract; codes are added, never renamed."""

    # An event that is no job: it ends in the dead letters with its original bytes.
    NOT_JSON = "not_json"
    NOT_A_CLOUDEVENT = "not_a_cloudevent"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    JOB_ID_MISSING = "job_id_missing"
    JOB_ID_INVALID = "job_id_invalid"
    SUBJECT_MISMATCH = "subject_mismatch"
    KEY_MISMATCH = "key_mismatch"
    JOB_ID_REUSED = "job_id_reused"
    EVENT_TOO_LARGE = "event_too_large"

    # A request that owns its job id and cannot be carried out as written: the job ends as failed.
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    OUT_OF_RANGE = "out_of_range"
    DATASET_UNKNOWN = "dataset_unknown"
    DATASET_REJECTED = "dataset_rejected"
    DATASET_CHANGED = "dataset_changed"
    KIND_UNAVAILABLE = "kind_unavailable"
    MODEL_UNKNOWN = "model_unknown"
    MODEL_UNFINISHED = "model_unfinished"
    MODEL_DELETED = "model_deleted"
    MEMBERS_DIFFER = "members_differ"
    PLAN_MISSING = "plan_missing"
    MODEL_UNSUITABLE = "model_unsuitable"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_REFUSED = "weights_refused"

    # A dataset that cannot be learned from as asked.
    TARGET_MISSING = "target_missing"
    TARGET_DUPLICATE = "target_duplicate"
    TARGET_EMPTY = "target_empty"
    TARGET_CONSTANT = "target_constant"
    TARGET_ONE_CLASS = "target_one_class"
    TARGET_CLASS_TOO_SMALL = "target_class_too_small"
    TARGET_IS_ID = "target_is_id"
    TARGET_NOT_NUMERIC = "target_not_numeric"
    GROUPS_TOO_FEW = "groups_too_few"
    COLUMN_MISSING = "column_missing"
    NO_FEATURES = "no_features"
    TOO_FEW_ROWS = "too_few_rows"

    # A file that cannot become a dataset: the upload is rejected.
    URI_OUTSIDE_ROOTS = "uri_outside_roots"
    URI_UNSUPPORTED = "uri_unsupported"
    FILE_MISSING = "file_missing"
    FILE_EMPTY = "file_empty"
    FILE_UNREADABLE = "file_unreadable"
    FORMAT_UNKNOWN = "format_unknown"
    SHA256_MISMATCH = "sha256_mismatch"
    DATASET_ID_REUSED = "dataset_id_reused"

    # A job that was started and did not come to its end.
    TRAINING_FAILED = "training_failed"
    DIVERGED = "diverged"
    ROW_IN_ARTIFACT = "row_in_artifact"
    HANDLER_ERROR = "handler_error"
    CRASHED = "crashed"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    WORKER_LOST = "worker_lost"
    DISK_FULL = "disk_full"
    STORE_DAMAGED = "store_damaged"
    INTERNAL_ERROR = "internal_error"


class OmniScopeError(Exception):
    """A failure with a reason.

    `reason` is the code, `message` the sentence: it names fields and columns, never a cell's value.
    """

    def __init__(self, reason: ReasonCode, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[ReasonCode, str]]:
        return type(self), (self.reason, self.message)


class InvalidEvent(OmniScopeError):
    """The event breaks the contract; sending it again unchanged would fail again."""


class PublishError(OmniScopeError):
    """The event could not be handed to the broker; nothing was published."""


class BrokerUnreachable(ConnectionError):
    """No broker answers at the given address."""
