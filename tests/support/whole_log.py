"""A log with every kind of row in it, ends of every kind, what cannot be read and what cannot be stored."""

from events.topics import Topic

from . import histories
from .histories import Log, as_json, ended, model, progressed, request, started


def everything() -> Log:
    """8 jobs with 38 events, 6 models, 2 datasets, an explanation; 2 records that cannot be projected."""
    log = Log()
    log.add("datasets.uploaded", {"dataset_id": "empty", "uri": "/data/empty.csv"})
    log.add("ml.dataset.registered", histories.registered_dataset())
    log.add("ml.dataset.rejected", histories.rejected_dataset("empty"), partition=1)
    for number in range(6):
        add_job(log, number)
    about = {"model_id": "model-1", "registered_name": "cohort-outcome", "version": "1"}
    log.add("ml.model.registered", {**about, "mlflow_run_id": "run-1"})
    log.add("ml.model.promoted", {**about, "approved_by": "grace"})
    log.add("ml.model.deleted", {"model_id": "model-2", "requested_by": "ada"}, partition=1)
    log.add("ml.explanation.completed", histories.explanation(model_id="model-1"))
    log.add("ml.job.failed", histories.failed("job-7"))
    log.add("ml.job.cancelled", ended("job-8", requested_by="ada"))
    log.bury(histories.letter())
    log.put(Topic.JOBS, b"{", key=b"job-1")
    log.put(Topic.AUTOML, as_json({"no": "event"}), key=b"job-1")
    log.add("ml.job.progressed", progressed("job-9", attempt=2**70))
    return log


def add_job(log: Log, number: int) -> None:
    """A job that ends well, with 6 events whose ids are its own."""
    job, partition, source = f"job-{number}", number % 2, f"worker of job-{number}"
    history = [
        ("ml.automl.requested", request(job, name="größte β")),
        ("ml.job.started", started(job)),
        *(("ml.job.progressed", progressed(job, seq=seq)) for seq in range(4)),
        ("ml.model.completed", model(f"model-{number}", job)),
        ("ml.job.completed", ended(job, model_id=f"model-{number}")),
    ]
    for name, data in history:
        log.add(name, data, partition=partition, source=source)
