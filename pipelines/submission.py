"""One run on a Kubeflow Pipelines endpoint, checked here before anything is sent.

A run is asked for by name, and the name says what is asked: the package, so its images and its placement, and the
arguments, so parameters and data. The same command given twice finds the run of the first time and follows it; a run
that failed or was cancelled is no answer, and another one starts. A request that the caller names, such as a job of CI,
has one run for good.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from medu1 import record
from medu1.errors import Stop
from medu1.placements import NONE
from medu1.prepare.rawdata import Digests
from medu1.question import Frozen
from medu1.run.checks.images import check
from medu1.run.finding import Unsure
from pipelines import package, remote_request, request
from pipelines.answers import Run
from pipelines.endpoint import PIPELINE, Endpoint, version_name
from pipelines.images import Images

REQUEST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Order(Frozen):
    """What is asked for, as files and names."""

    params: Path
    images: Path
    placement: str
    experiment: str
    home: Path  # where remote sources are kept once fetched
    settings: tuple[str, ...] = ()
    service_account: str = ""
    request: str = ""  # the caller's name for this request; "": what it asks for
    if_data_changed: bool = False
    allow_skew: bool = False


class Checked(Frozen):
    """An order that holds together, and its package."""

    order: Order
    package: Path
    arguments: Mapping[str, str]
    doubts: tuple[str, ...] = ()  # what could not be looked at from here

    @property
    def name(self) -> str:
        """The run's: by it a second order of the same finds it."""
        asked = (version_name(self.package), dict(self.arguments), self.order.service_account)
        return f"{PIPELINE}-{self.order.request or record.digest(asked)[:12]}"


class Submitted(Frozen):
    """What came of an order."""

    run: Run
    link: str
    new: bool  # whether this order started it
    why: str = ""  # where it did not
    unchanged: bool = False  # whether it did not since the data is the same


@contextmanager
def checked(order: Order) -> Iterator[Checked]:
    """The order compiled, as long as it lasts. Raises Stop where a cluster could not do it; nothing is sent."""
    _check_names(order)
    images = Images.read(order.images)
    remote_request.refuse_placeholders(images, order.images)
    params = request.read_params(order.params, order.settings)
    request.check_options(params.train)
    doubts = _doubts(images)
    arguments = remote_request.arguments(params, images, order.home)
    with TemporaryDirectory(prefix="medu1-") as folder:
        file = Path(folder) / f"{PIPELINE}.yaml"
        package.write(file, order.images, order.placement, order.allow_skew, order.params)
        yield Checked(order=order, package=file, arguments=arguments, doubts=doubts)


def submit(endpoint: Endpoint, asked: Checked) -> Submitted:
    """The order's run: the one that is there, or a new one. Raises Stop where the endpoint does not do it."""
    order, data = asked.order, asked.arguments["data"]
    if order.if_data_changed and (same := _with_data(endpoint, order.experiment, data)):
        why = f"Run {same.name} has this data already"
        return _found(endpoint, same, why).model_copy(update={"unchanged": True})
    version = endpoint.publish(asked.package)
    experiment = endpoint.experiment(order.experiment)
    if there := _there(endpoint.named(experiment, asked.name), bool(order.request)):
        return _found(endpoint, there, "This request has a run already")
    about = f"data {_identity(data)}"
    made = endpoint.submit(version, experiment, asked.name, asked.arguments, order.service_account, about)
    return Submitted(run=made, link=endpoint.link(made.id), new=True)


def _found(endpoint: Endpoint, run: Run, why: str) -> Submitted:
    return Submitted(run=run, link=endpoint.link(run.id), new=False, why=f"{why} ({run.state.lower()}).")


def _check_names(order: Order) -> None:
    if order.request and not REQUEST.fullmatch(order.request):
        raise Stop(
            f"--request {order.request!r} is no name for a request.",
            next_step="Use up to 63 letters, digits, dots, dashes and underscores.",
        )
    if order.placement == NONE:
        raise Stop(
            f"The placement {NONE} is this machine.",
            "Its pods would find no store and no tracking server.",
            "Choose a profile of placements in the parameters with --placement.",
        )


def _doubts(images: Images) -> tuple[str, ...]:
    """Ask the registry for each image. Raises Stop where it says that it has it not."""
    doubts = []
    for image in dict.fromkeys((images.cpu, images.gpu)):
        try:
            check(image)
        except Unsure as unsure:
            doubts.append(f"{image.partition('@')[0]} is not checked: {unsure.seen}")
    return tuple(doubts)


def _there(runs: list[Run], named: bool) -> Run | None:
    """The run that answers a request: of one that the caller named, any; else one that goes on or went well."""
    well = [run for run in runs if run.under_way or run.succeeded]
    return next(iter([*well, *runs] if named else well), None)


def _with_data(endpoint: Endpoint, experiment: str, data: str) -> Run | None:
    """The newest run of the chain that goes on or went well, if its data is this."""
    id_ = endpoint.find_experiment(experiment)
    for listed in endpoint.runs(id_) if id_ else ():
        if not (listed.under_way or listed.succeeded):
            continue
        run = listed if listed.config.parameters else endpoint.run(listed.id)
        if found := _identity(str(run.config.parameters.get("data", ""))):
            return run if found == _identity(data) else None
    return None


def _identity(data: str) -> str:
    """The digests alone: where files lie is no part of what they are. "" for what is no argument `data`."""
    try:
        return Digests.parse(data).identity()
    except Stop:
        return ""
