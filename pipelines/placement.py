"""Where a task runs on a cluster: one function, called on each task while the graph is built.

A step reads its surroundings from the environment, never from parameters, so that nothing of them enters the cache key:
the run's id from its pod label, the addresses from one config map, the keys from one secret. Here, on one machine, the
command line sets the same variables and nothing is placed.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from medu1.errors import Stop
from medu1.placements import Placed

CONFIG = "medu1"  # config map: where things are
SECRET = "medu1"  # secret: who may use them; each key is optional
RUN_LABEL = "metadata.labels['pipeline/runid']"

ADDRESSES = MappingProxyType({"store": "MEDU1_STORE", "tracking_uri": "MLFLOW_TRACKING_URI", "home": "MEDU1_HOME"})
KEYS = MappingProxyType(
    {
        "aws_access_key_id": "AWS_ACCESS_KEY_ID",
        "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
        "mlflow_tracking_username": "MLFLOW_TRACKING_USERNAME",
        "mlflow_tracking_password": "MLFLOW_TRACKING_PASSWORD",
    }
)
STEP_KEYS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "evaluate": {"endpoint_key": "MEDU1_ENDPOINT_KEY"},
        "register": {"promotion_hook": "MEDU1_PROMOTION_HOOK"},
    }
)
ACCELERATED = frozenset({"base", "train", "evaluate"})  # they load weights
RETRIES = 2  # a lost node, an evicted pod: complete outputs are found again, training resumes


class Place(NamedTuple):
    """A placement as the graph takes it."""

    placed: Placed
    put: Callable[[Any, str], None]

    def __call__(self, task: Any, step: str) -> None:
        """Place a kfp PipelineTask by the name of its step."""
        self.put(task, step)


def placement(name: str) -> Place:
    """`none` for this machine, `cpu` and `gpu` for a cluster. Raises Stop for another name."""
    try:
        return PLACEMENTS[name]
    except KeyError:
        known = ", ".join(PLACEMENTS)
        raise Stop(f"There is no placement {name!r}.", f"Known are {known}.", "Choose one with --placement.") from None


def _none(task: Any, step: str) -> None:
    """Nothing to place on one machine."""


def _cpu(task: Any, step: str) -> None:
    """Surroundings from the cluster, retries for steps that may be repeated."""
    from kfp import kubernetes

    kubernetes.use_field_path_as_env(task, "MEDU1_RUN", RUN_LABEL)
    kubernetes.use_config_map_as_env(task, CONFIG, dict(ADDRESSES))
    kubernetes.use_secret_as_env(task, SECRET, {**KEYS, **STEP_KEYS.get(step, {})}, optional=True)
    if step != "finalize":
        task.set_retry(RETRIES, backoff_duration="30s", backoff_factor=2.0)


def _gpu(task: Any, step: str) -> None:
    """As `cpu`, with one accelerator for the steps that load weights."""
    from kfp import kubernetes

    _cpu(task, step)
    if step in ACCELERATED:
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory")  # the pod's own is 64 MB
        kubernetes.add_toleration(task, key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")


PLACEMENTS: Mapping[str, Place] = MappingProxyType(
    {name: Place(Placed(name=name), put) for name, put in (("none", _none), ("cpu", _cpu), ("gpu", _gpu))}
)
