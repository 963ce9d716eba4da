"""From a file to a report, in a house that stands: the one way that `try` and `demo` go, for any training."""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from infra.cli.client import ApiClient
from infra.cli.console import counted
from infra.cli.errors import CliError
from infra.cli.runtime import program

if TYPE_CHECKING:
    from events.requests import JobRequested
    from infra.cli.dataset_files import LocalFile
    from infra.settings import Settings

#: How long an upload may take to be looked into, and a published job to be written down.
_UPLOAD_S = 300.0
_PATIENCE_S = 30.0
#: A registration follows a completed job within seconds, or later: a report does not wait for it for long.
_REGISTRATION_S = 10.0
_EVERY_S = 0.4


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to try: a file, what to train on it, and where the report goes.

    `file`: None where the models that it builds on know the data. `heading` is said before it. `after`: the places
    among several wishes of those whose models this one builds on.
    """

    file: "LocalFile | None"
    request: "JobRequested"
    report: Path
    heading: str = ""
    after: tuple[int, ...] = ()

    def on_models(self, model_ids: Sequence[str]) -> "Wish":
        """The same wish, built on these models."""
        from events.requests import EnsembleRequested

        several = isinstance(self.request, EnsembleRequested)
        built_on = {"model_ids": list(model_ids)} if several else {"base_model": f"job:{model_ids[0]}"}
        heading = self.heading
        for model_id in model_ids:
            heading = heading.replace("MODEL_ID", model_id, 1)
        return replace(self, request=self.request.model_copy(update=built_on), heading=heading)


class Trial:
    """One upload, one training, one explanation, one report, where `settings` find broker and API.

    `results` come with the model. `dataset`: what is known of the data, where nothing is uploaded.
    """

    def __init__(
        self,
        settings: "Settings",
        wish: Wish,
        dataset: dict[str, Any] | None = None,
        *,
        is_explained: bool = True,
    ) -> None:
        self._settings = settings
        self._wish = wish
        self._is_explained = is_explained
        self._given_up = threading.Event()
        #: The job that was asked for last, and whether it still has no end that we know of.
        self.job_id: str | None = None
        self.is_under_way = False
        self.dataset = dataset or {}
        self.results: dict[str, Any] = {}
        #: Whether the report has been written.
        self.is_told = False

    async def run(self) -> None:
        """All of it, told as it goes.

        Raises:
            CliError: the upload was rejected, the training failed, or somebody does not answer.
        """
        if self._wish.file is not None:
            self.dataset = await self._upload(self._wish.file)
        try:
            await self._submit(self._wish.request)
            self.results = await asyncio.to_thread(self._train)
            explanation = await self._explained() if self._is_explained else None
        finally:
            self._given_up.set()  # or a thread would go on asking after we were told to stop
        await self._write_report(explanation)
        typer.echo(f"report {self._wish.report}")

    async def _upload(self, file: "LocalFile") -> dict[str, Any]:
        from events.requests import DatasetUploaded
        from infra.cli.dataset_files import copy_into
        from infra.cli.datasets import publish_upload
        from infra.cli.publishing import build

        dataset_id = self._wish.request.dataset_id  # type: ignore[attr-defined]  # what has a file is a training
        self._settings.make_data_dir()
        uri = await asyncio.to_thread(copy_into, self._settings.roots[0], file)
        told = {"dataset_id": dataset_id, "uri": uri, "format": file.format, "sha256": file.sha256}
        upload = build(DatasetUploaded, {**told, "name": file.path.name[:200]})
        outcome = await publish_upload(self._settings, upload, _UPLOAD_S)
        if outcome["status"] == "rejected":
            raise CliError(f"{file.path} cannot be used: {outcome['error']['message']} ({outcome['error']['reason']})")
        if outcome["status"] != "registered":
            raise CliError(f"nobody looked into {file.path} within {_UPLOAD_S:g} s: see the logs of the agent")
        missing = f"{counted(outcome['n_missing'], 'cell')} missing" if outcome["n_missing"] else "nothing missing"
        typer.echo(f"dataset {dataset_id}: {outcome['n_rows']:,} rows, {outcome['n_columns']:,} columns, {missing}")
        return outcome

    async def _submit(self, request: "JobRequested") -> None:
        from infra.cli.publishing import send

        receipt = await send(self._settings, request)
        self.job_id, self.is_under_way = receipt.job_id, True
        typer.echo(f"job     {receipt.job_id}: {how(request)}")

    def _train(self) -> dict[str, Any]:
        from infra.cli.jobs import told
        from infra.cli.models import print_results

        with ApiClient(self._settings) as client:
            job = self._followed(client)
            if job["status"] != "completed":
                reason = f" ({job['error']['reason']})" if job.get("error") else ""
                raise CliError(f"the training {job['status']}: {told(job)}{reason}")
            results = self._registered(client, job)
        print_results(results, self._settings)
        return results

    async def _explained(self) -> dict[str, Any] | None:
        """Which features matter to the model; None, and why, where that could not be found out."""
        from events.requests import ExplanationRequested

        asked = {"model_id": self.results["model_id"], "created_by": self._wish.request.created_by}
        await self._submit(ExplanationRequested(**asked, method="shap"))
        return await asyncio.to_thread(self._explain)

    def _explain(self) -> dict[str, Any] | None:
        from infra.cli.explanations import print_explanation
        from infra.cli.jobs import told

        with ApiClient(self._settings) as client:
            job = self._followed(client)
            if job["status"] != "completed":
                typer.echo(f"! not explained: {told(job)}")
                return None
            explanation = client.explanation_of(job)
        print_explanation(explanation, self._settings)
        return explanation

    def _followed(self, client: ApiClient) -> dict[str, Any]:
        from infra.cli.jobs import until_final

        assert self.job_id is not None
        job = until_final(client, self.job_id, as_json=False, patience_s=_PATIENCE_S, pause=self._pause)
        self.is_under_way = False
        return job

    def _registered(self, client: ApiClient, job: dict[str, Any]) -> dict[str, Any]:
        """The results, with the model's place in the registry if that is told soon."""
        until = time.monotonic() + _REGISTRATION_S
        results = client.results_of(job)
        while not results["registered_name"] and time.monotonic() < until:
            self._pause(_EVERY_S)
            results = client.results_of(job)
        return results

    def _pause(self, seconds: float) -> None:
        if self._given_up.wait(seconds):
            raise GivenUp

    async def _write_report(self, explanation: dict[str, Any] | None) -> None:
        from infra.cli.models import model_directory
        from infra.report.commands import Place
        from infra.report.data import report_data
        from infra.report.explained import read_explained
        from infra.report.pictures import read_pictures
        from infra.report.rendering import render, save
        from infra.storage.store import ObjectStore

        place = Place(
            model=model_directory(self.results, self._settings),
            data_dir=str(self._settings.data_dir),
            program=program(),
            tracking_uri=self._settings.tracking_uri,
        )
        store = ObjectStore.open(self._settings.artifacts)
        pictures = await read_pictures(store, self.results)
        explained = None if explanation is None else await read_explained(store, explanation)
        save(render(report_data(self.results, self.dataset, pictures, place, explained)), self._wish.report)
        self.is_told = True


class GivenUp(Exception):
    """Nobody waits any more for what this thread was to find out."""


def how(request: "JobRequested") -> str:
    """What is about to happen, in a few words."""
    from events.requests import EnsembleRequested, ExplanationRequested, TrainingRequested

    match request:
        case TrainingRequested(target_column=target):
            return f"predicting «{target}», {_trained(request)}"
        case EnsembleRequested(model_ids=members, method=method):
            return f"combining {len(members)} models by {method}"
        case ExplanationRequested(method=method):
            return f"explaining the model by {method}"
    return "as asked for"


def _trained(request: "JobRequested") -> str:
    from events.requests import AutomlRequested, DeepLearningRequested, TransferLearningRequested

    match request:
        case AutomlRequested(time_limit=seconds):
            return f"{seconds} s to train"
        case DeepLearningRequested(architecture=architecture, epochs=epochs):
            return f"{architecture}, {epochs} epochs at most"
        case TransferLearningRequested(base_model=base, fine_tune_layers=depth, epochs=epochs):
            known = {"auto": "as many layers as validation rows say", 0: "the head alone", 1: "the last layer"}
            layers = known.get(depth, f"the last {depth} layers")
            return f"from {base}, {layers}, {epochs} epochs at most"
    return "as asked for"
