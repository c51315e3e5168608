"""Where a task runs on a cluster: one function, called on each task while the graph is built.

A step reads its surroundings from the environment, never from parameters, so that nothing of them enters the cache key:
the run's id from its pod label, addresses from one config map, keys from one secret, only those that the step reads.
Here, on one machine, the command line sets the same variables and nothing is placed.

A pod's root may be read-only, since everything that is written lies on a volume. kfp-kubernetes cannot say that it is,
nor whose group owns a volume, nor keep pods apart: the cluster's own defaults do, and `deploy/` has them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from medu1.errors import Stop
from medu1.placements import HOLDING, NONE, STEPS, TRAINJOB, Placed, Placement, Pool, Share, Step, TrainJobPlan
from medu1.quantity import gib
from pipelines.images import LOCAL, Images

CONFIG: Final = "medu1"  # config map: where things are
SECRET: Final = "medu1"  # secret: who may use them; each key is optional
RUN_LABEL: Final = "metadata.labels['pipeline/runid']"
HOME: Final = "/scratch"  # MEDU1_HOME: the mount of a step's volume, which is fixed while the package is compiled
USER: Final = 10001  # of the images

ADDRESSES: Final = MappingProxyType({"store": "MEDU1_STORE", "tracking_uri": "MLFLOW_TRACKING_URI"})
OPTIONAL_ADDRESSES: Final = MappingProxyType({"s3_endpoint": "AWS_ENDPOINT_URL", "s3_region": "AWS_DEFAULT_REGION"})
USERS = {"mlflow_tracking_username": "MLFLOW_TRACKING_USERNAME", "mlflow_tracking_password": "MLFLOW_TRACKING_PASSWORD"}
STORE = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
HUB = {"hf_token": "HF_TOKEN"}
ENDPOINT = {"endpoint_key": "MEDU1_ENDPOINT_KEY"}
MAIL = {"smtp_user": "MEDU1_SMTP_USER", "smtp_password": "MEDU1_SMTP_PASSWORD"}
KEYS: Final = MappingProxyType(USERS)  # of every step
STEP_KEYS: Final[Mapping[Step, Mapping[str, str]]] = MappingProxyType(
    {
        "preflight": {**STORE, **HUB, **ENDPOINT},
        "tokenizer": {**STORE, **HUB},
        "prepare": {**STORE, **HUB},
        "audit": STORE,
        "base": {**STORE, **HUB},
        "train": STORE,
        "evaluate": {**STORE, **ENDPOINT},
        "decide": STORE,
        "register": {**STORE, "promotion_hook": "MEDU1_PROMOTION_HOOK"},
        "finalize": {"notify_url": "MEDU1_NOTIFY_URL", **MAIL},
    }
)
SECRETS: Final = MappingProxyType({key: name for keys in (KEYS, *STEP_KEYS.values()) for key, name in keys.items()})


class Place(NamedTuple):
    """A placement as the graph takes it."""

    placed: Placed
    put: Callable[[Any, Step], None]

    def __call__(self, task: Any, step: str) -> None:
        """Place a kfp PipelineTask by the name of its step. Raises Stop where the chain has no such step."""
        self.put(task, _step(step))


def _step(name: str) -> Step:
    for step in STEPS:
        if step == name:
            return step
    raise Stop(f"The chain has no step {name!r}.", f"It has {', '.join(STEPS)}.", "Add it to medu1/placements.py.")


def placement(name: str, profiles: Mapping[str, Placement] = MappingProxyType({}), images: Images = LOCAL) -> Place:
    """A profile by its name, or `none`, this machine. Raises Stop for another name, or images that do not fit it."""
    if name == NONE:
        return Place(Placed(name=NONE), _nowhere)
    if name not in profiles:
        raise Stop(
            f"There is no placement {name!r}.",
            f"Known are {', '.join((NONE, *profiles))}.",
            "Choose one with --placement, or add it to placements in the parameter file.",
        )
    profile = profiles[name]
    _check_images(name, profile, images)
    return Place(_placed(name, profile, images), _Cluster(profile, images).put)


def _check_images(name: str, profile: Placement, images: Images) -> None:
    if profile.accelerators and images.gpu == images.cpu:
        raise Stop(
            f"The placement {name} asks for {profile.accelerator}, and the image list has no GPU image of its own.",
            "The CPU image would hold accelerators that it cannot use.",
            "Build the GPU image too, or choose a placement without accelerators.",
        )


def _placed(name: str, profile: Placement, images: Images) -> Placed:
    counted = profile.accelerators if "train" in profile.accelerated else 0
    return Placed(
        name=name,
        accelerator=profile.accelerator if counted else "",
        accelerators=counted,
        nodes=profile.nodes,
        scratch_gib=profile.disk_gib("train"),
        images=tuple(dict.fromkeys((images.cpu, images.gpu))),
    )


def _nowhere(task: Any, step: Step) -> None:
    """Nothing to place on one machine."""


class _Cluster(NamedTuple):
    """Puts each task where its profile says."""

    profile: Placement
    images: Images

    def put(self, task: Any, step: Step) -> None:
        profile = self.profile
        launches = step == "train" and profile.nodes > 1
        pool, share = (profile.cpu, _launcher(profile)) if launches else (profile.pool(step), profile.share(step))
        _surround(task, step)
        _limit(task, share)
        _choose_nodes(task, pool)
        _give_disks(task, profile, step)
        _describe(task, profile, step)
        if launches:
            task.set_env_variable(TRAINJOB, _plan(profile, self.images).canonical())
        elif step in profile.accelerated:
            _accelerate(task, profile)
        if step != "finalize":
            _retry(task, profile, share)


def _surround(task: Any, step: Step) -> None:
    """What the step finds in its environment."""
    from kfp import kubernetes

    kubernetes.use_field_path_as_env(task, "MEDU1_RUN", RUN_LABEL)
    kubernetes.use_config_map_as_env(task, CONFIG, dict(ADDRESSES))
    kubernetes.use_config_map_as_env(task, CONFIG, dict(OPTIONAL_ADDRESSES), optional=True)
    kubernetes.use_secret_as_env(task, SECRET, {**KEYS, **STEP_KEYS[step]}, optional=True)
    for name, value in (("HOME", HOME), ("MEDU1_HOME", HOME), ("MEDU1_IMAGE", task.container_spec.image)):
        task.set_env_variable(name, value)  # HOME: where libraries keep their caches


def _limit(task: Any, share: Share) -> None:
    from kfp import kubernetes

    for amount, setter in (
        (share.requests.cpu, task.set_cpu_request),
        (share.requests.memory, task.set_memory_request),
        (share.limits.cpu, task.set_cpu_limit),
        (share.limits.memory, task.set_memory_limit),
    ):
        if amount:
            setter(amount)
    kubernetes.set_timeout(task, share.timeout)


def _choose_nodes(task: Any, pool: Pool) -> None:
    from kfp import kubernetes

    for key, value in sorted(pool.selector.items()):
        kubernetes.add_node_selector(task, key, value)
    if pool.require:  # one call: kfp makes each a term of its own, and one term that holds is enough
        kubernetes.add_node_affinity(task, [each.model_dump() for each in pool.require])
    for each in pool.prefer:
        kubernetes.add_node_affinity(task, [each.model_dump(exclude={"weight"})], weight=each.weight)
    for taint in pool.tolerations:
        kubernetes.add_toleration(task, **taint.written())


def _give_disks(task: Any, profile: Placement, step: Step) -> None:
    """A home, and a place for temporary files."""
    from kfp import kubernetes

    kubernetes.empty_dir_mount(task, "medu1-tmp", "/tmp", size_limit=profile.local)
    if profile.scratch and step in HOLDING:
        scratch = profile.scratch
        kubernetes.add_ephemeral_volume(
            task, "medu1-home", HOME, ["ReadWriteOnce"], scratch.size, scratch.storage_class
        )
    else:
        kubernetes.empty_dir_mount(task, "medu1-home", HOME, size_limit=profile.local)


def _describe(task: Any, profile: Placement, step: Step) -> None:
    """The pod: who it is, whose it is, where its image comes from."""
    from kfp import kubernetes

    for key, value in sorted(_labels(profile, step).items()):
        kubernetes.add_pod_label(task, key, value)
    for key, value in sorted(profile.annotations.items()):
        kubernetes.add_pod_annotation(task, key, value)
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.set_image_pull_policy(task, profile.pull_policy)
    if profile.pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(profile.pull_secrets))


def _labels(profile: Placement, step: Step) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": "medu1", "app.kubernetes.io/component": step, **profile.labels}


def _accelerate(task: Any, profile: Placement) -> None:
    from kfp import kubernetes

    if profile.accelerators:
        task.set_accelerator_type(profile.accelerator).set_accelerator_limit(profile.accelerators)
    if profile.shm:  # a pod's own is 64 MB
        kubernetes.empty_dir_mount(task, "medu1-shm", "/dev/shm", medium="Memory", size_limit=profile.shm)


def _retry(task: Any, profile: Placement, share: Share) -> None:
    """Argo gives up once the longest duration has passed since the first try began, however few tries there were."""
    retries = profile.retries
    waits = sum(retries.backoff * retries.factor**time for time in range(retries.times))
    longest = int((retries.times + 1) * (share.timeout or 0) + waits)
    task.set_retry(retries.times, f"{retries.backoff}s", retries.factor, f"{longest}s")


def _launcher(profile: Placement) -> Share:
    """Of the step train where it only follows a TrainJob: a small share, for as long as the training takes."""
    share = profile.cpu.model_dump(include=set(Share.model_fields))
    return Share.model_validate({**share, "timeout": profile.share("train").timeout})


def _plan(profile: Placement, images: Images) -> TrainJobPlan:
    """What the TrainJob's pods get: the store, and nothing of MLflow, which the step that follows them writes to."""
    pool, asked, scratch = profile.pool("train"), profile.share("train").requests, profile.scratch
    return TrainJobPlan(
        runtime=profile.runtime or "",
        image=images.gpu,
        nodes=profile.nodes,
        resources={profile.accelerator: str(profile.accelerators), **asked.model_dump(exclude_none=True)},
        config=CONFIG,
        addresses={"store": ADDRESSES["store"]},
        optional_addresses=OPTIONAL_ADDRESSES,
        secret=SECRET,
        keys=STEP_KEYS["train"],
        node_selector=pool.selector,
        require=pool.require,
        prefer=pool.prefer,
        tolerations=tuple(each.written() for each in pool.tolerations),
        labels=_labels(profile, "train"),
        annotations=profile.annotations,
        service_account=profile.service_account or "",
        image_pull_secrets=profile.pull_secrets,
        scratch_gib=gib(scratch.size) if scratch else 0.0,
        storage_class=scratch.storage_class if scratch else "",
        home=HOME,
        shm=profile.shm or "",
        timeout=profile.share("train").timeout,
        user=USER,
    )
