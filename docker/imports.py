"""The health of an image's packages: all that the steps import is imported, at build.

`imports.py` imports the packages below, `imports.py --gpu [NAME]...` those of the GPU image but for the ones named,
`imports.py --own` every module of medu1 and pipelines. Where Python may write, their byte code is kept, and only
theirs: the rest of the packages is never read.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from pkgutil import walk_packages

PACKAGES = (
    "accelerate",
    "boto3",
    "botocore",
    "croniter",
    "datasets",
    "docker",
    "dvc",
    "google",
    "huggingface_hub",
    "jinja2",
    "kfp",
    "kubeflow",
    "kubernetes",
    "markupsafe",
    "matplotlib",
    "mlflow",
    "numpy",
    "openai",
    "peft",
    "psutil",
    "pyarrow",
    "pydantic",
    "pydantic_core",
    "requests",
    "rich",
    "s3transfer",
    "safetensors",
    "scipy",
    "sklearn",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
    "typer",
    "urllib3",
    "yaml",
)
DEEPER = (  # what they import when they are used
    "alembic.command",
    "boto3.s3.transfer",
    "botocore.handlers",
    "datasets.arrow_dataset",
    "dvc.api",
    "dvc.cli.command",
    "dvc.repo",
    "dvc_s3",
    "fsspec.implementations.local",
    "kfp.compiler",
    "kfp.dsl.executor_main",
    "kfp.kubernetes",
    "kubeflow.trainer",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "mlflow.data",
    "mlflow.store.artifact.s3_artifact_repo",
    "mlflow.store.db.utils",
    "mlflow.store.model_registry.sqlalchemy_workspace_store",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.utils.search_logged_model_utils",
    "peft.tuners.lora",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "s3fs",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.linear_model",
    "sqlalchemy.dialects.sqlite",
    "torch.distributed.run",
    "torch.utils.data",
    "transformers.models.auto.modeling_auto",
    "transformers.models.llama.modeling_llama",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.qwen3.modeling_qwen3",
    "trl.trainer.grpo_trainer",
)
ONLY_CPU = {  # prepare, register and the command line need them
    *("croniter", "docker", "dvc", "dvc_s3", "huggingface_hub", "kfp.kubernetes", "rich", "s3fs", "typer"),
}
OWN = ("medu1", "pipelines")


def modules(words: Sequence[str]) -> Iterator[str]:
    """What is asked for by the command line."""
    match words:
        case ["--own"]:
            yield from own()
        case ["--gpu", *without]:
            found = ("vllm", *PACKAGES, *DEEPER)
            yield from (name for name in found if not {name, name.partition(".")[0]} & {*ONLY_CPU, *without})
        case _:
            yield from (*PACKAGES, *DEEPER)


def own() -> Iterator[str]:
    """Every module of this project's packages."""
    for name in OWN:
        package = importlib.import_module(name)
        yield name
        found = walk_packages(package.__path__, f"{name}.")
        yield from (each.name for each in found if not each.name.endswith("__main__"))  # programs


def main() -> None:
    """Import them, and name the first that is not healthy."""
    for name in modules(sys.argv[1:]):
        try:
            importlib.import_module(name)
        except Exception as error:
            raise SystemExit(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    print(f"{len(sys.modules)} modules imported", file=sys.stderr)


if __name__ == "__main__":
    main()
