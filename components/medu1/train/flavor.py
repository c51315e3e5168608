"""The candidate's folder as an MLflow model: a few small files beside the Hugging Face ones, no second copy of them.

A registered version points at the folder that train wrote, so the files that `mlflow.transformers` and `mlflow.pyfunc`
look for lie in it from the start: `MLmodel`, whose `model_binary` is the folder itself, the tokenizer once more under
`components/`, where MLflow reads it, the environment, and an example. MLflow is not asked to write them: it copies
weights, stamps the time, draws a random id, imports torchvision, and takes Qwen2's own tokenizer class for any model
with that configuration, which cuts text otherwise than the model was trained on.

The served task is `llm/v1/chat`: messages in OpenAI's form, through the model's own chat template, answered greedily
unless `do_sample` is set. The same model gives the same bytes; what is written here is no part of its weights digest,
since it names library versions, which change nothing in a model.
"""

import json
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from medu1 import record
from medu1.code import versions
from medu1.generation.tokenizer import PLAIN, load_tokenizer
from medu1.prompt import messages
from medu1.question import Choice, Question

NAME: Final = "MLmodel"
TOKENIZER: Final = Path("components/tokenizer")
EXAMPLE, SERVED = "input_example.json", "serving_input_example.json"
REQUIREMENTS, CONDA, PYTHON_ENV = "requirements.txt", "conda.yaml", "python_env.yaml"
FILES: Final = frozenset({NAME, EXAMPLE, SERVED, REQUIREMENTS, CONDA, PYTHON_ENV, TOKENIZER.parts[0]})  # at the top
SERVING: Final = ("mlflow", "torch", "transformers", "accelerate")
TASK: Final = "llm/v1/chat"
READS = ("tokenizer*", "*token*.json", "chat_template*", "vocab*", "merges.txt", "*.model")  # a tokenizer's files

QUESTION = Question(
    id="example",
    source="example",
    text="Which vitamin prevents and cures scurvy?",
    options={"A": "Vitamin A", "B": "Vitamin B12", "C": "Vitamin C", "D": "Vitamin D"},
    gold=Choice(letter="C"),
)


def _string(required: bool = True) -> dict[str, Any]:
    return {"type": "string", "required": required}


def _long(required: bool = True) -> dict[str, Any]:
    return {"type": "long", "required": required}


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": True}


MESSAGE: Final = {"role": _string(), "content": _string()}
INPUTS: Final = [
    {"name": "messages", "type": "array", "items": _object(**MESSAGE), "required": True},
    {"name": "max_tokens", **_long(False)},
    {"name": "do_sample", "type": "boolean", "required": False},
    {"name": "temperature", "type": "double", "required": False},
    {"name": "top_p", "type": "double", "required": False},
]
OUTPUTS: Final = [
    {"name": "id", **_string()},
    {"name": "object", **_string()},
    {"name": "created", **_long()},
    {"name": "model", **_string()},
    {
        "name": "choices",
        "type": "array",
        "items": _object(index=_long(), finish_reason=_string(), message=_object(**MESSAGE)),
        "required": True,
    },
    {"name": "usage", **_object(prompt_tokens=_long(), completion_tokens=_long(), total_tokens=_long())},
]


def write(folder: Path, digest: str, max_tokens: int) -> None:
    """Add MLflow's files to a model's folder; `digest` is of its weights, `max_tokens` the longest answer by default.

    The folder is a whole Hugging Face model: `config.json` names its class.
    """
    _copy_tokenizer(folder)
    example = json.dumps({"messages": messages(QUESTION), "max_tokens": max_tokens}, indent=1) + "\n"
    for name in (EXAMPLE, SERVED):
        record.write_text(folder / name, example)
    _write_environment(folder)
    record.write_text(folder / NAME, _yaml(_described(folder, digest, max_tokens)))


def _copy_tokenizer(folder: Path) -> None:
    """MLflow reads it from `components/tokenizer` and nowhere else."""
    (folder / TOKENIZER).mkdir(parents=True)
    for path in sorted({path for pattern in READS for path in folder.glob(pattern) if path.is_file()}):
        shutil.copyfile(path, folder / TOKENIZER / path.name)
    templates = folder / "additional_chat_templates"
    if templates.is_dir():
        shutil.copytree(templates, folder / TOKENIZER / templates.name)


def _described(folder: Path, digest: str, max_tokens: int) -> dict[str, Any]:
    """What `MLmodel` says; the keys are MLflow's. Special tokens are the chat template's: none is added to it."""
    return {
        "flavors": {
            "python_function": {
                "loader_module": "mlflow.transformers",
                "python_version": platform.python_version(),
                "env": {"conda": CONDA, "virtualenv": PYTHON_ENV},
                "config": {"max_new_tokens": max_tokens, "do_sample": False, "add_special_tokens": False},
            },
            "transformers": _transformers(folder),
        },
        "metadata": {"task": TASK, "weights": digest},
        "mlflow_version": versions(("mlflow",)).get("mlflow"),
        "model_uuid": digest[:32],
        "saved_input_example_info": {
            "artifact_path": EXAMPLE,
            "serving_input_path": SERVED,
            "type": "json_object",
        },
        "signature": {"inputs": json.dumps(INPUTS), "outputs": json.dumps(OUTPUTS), "params": None},
    }


def _transformers(folder: Path) -> dict[str, Any]:
    """No `source_model_name`: MLflow would look for that name on the hub to read a stop sequence."""
    config = _json(folder / "config.json")
    precision = config.get("dtype") or config.get("torch_dtype")
    return {
        "task": "text-generation",
        "inference_task": TASK,
        "instance_type": "TextGenerationPipeline",
        "model_binary": ".",
        "pipeline_model_type": _known(config["architectures"][0], "AutoModelForCausalLM"),
        **({"torch_dtype": f"torch.{precision}"} if precision else {}),
        "components": ["tokenizer"],
        "tokenizer_type": _tokenizer_type(folder),
        "transformers_version": versions(("transformers",))["transformers"],
        "code": None,
    }


def _tokenizer_type(folder: Path) -> str:
    """The class that reads the tokenizer as the chain does (`generation/tokenizer.py`)."""
    found = type(load_tokenizer(folder)).__name__
    return "PreTrainedTokenizerFast" if found in PLAIN else _known(found, "AutoTokenizer")


def _known(name: str, otherwise: str) -> str:
    """A class of transformers: for any other name MLflow would run code that the folder or the hub brings."""
    import transformers

    return name if hasattr(transformers, name) else otherwise


def _write_environment(folder: Path) -> None:
    """What serving needs, for MLflow's own environment managers; medu1 is not among it."""
    held = [f"{name}=={version.partition('+')[0]}" for name, version in versions(SERVING).items()]
    record.write_text(folder / REQUIREMENTS, "".join(f"{line}\n" for line in held))
    python, by_pip = platform.python_version(), f"-r {REQUIREMENTS}"
    record.write_text(
        folder / PYTHON_ENV, _yaml({"python": python, "build_dependencies": [], "dependencies": [by_pip]})
    )
    packages = [f"python={python}", "pip", {"pip": held}]
    record.write_text(
        folder / CONDA, _yaml({"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": packages})
    )


def _json(path: Path) -> Mapping[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _yaml(value: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True, width=120))
