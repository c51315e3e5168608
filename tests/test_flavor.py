"""A registered version is an MLflow model wherever its files lie, and stays the Hugging Face folder it was."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from medu1 import record
from medu1.generation.model import policy, sees
from medu1.generation.tokenizer import load_tokenizer
from medu1.manifest import DatasetManifest, EvaluationManifest, ModelManifest
from medu1.params import Registry
from medu1.prompt import SYSTEM, messages
from medu1.register import files
from medu1.register.promotion import promote
from medu1.register.registry import register
from medu1.stage import Output, produce
from medu1.tracking import Tracking
from medu1.train import flavor
from medu1.workspace import Workspace
from mlflow_server import Server
from s3 import S3
from training import CHOICES, TINY, _write_base

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType"),  # MLflow's own types, at import
    pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning"),  # in MLflow, of itself
]
TOKENS = 12
ASKED = messages(CHOICES[0])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """A tiny model in Hugging Face layout."""
    folder = tmp_path_factory.mktemp("model")
    _write_base(folder, TINY.model_copy(update={"steps": 2}))
    return folder


def flavored(model: Path, folder: Path) -> Path:
    """A copy with MLflow's files, as train writes a candidate."""
    shutil.copytree(model, folder, dirs_exist_ok=True)
    flavor.write(folder, record.content_digest(folder), TOKENS)
    return folder


def answered(folder: Path) -> str:
    """What the chain's own way of loading answers greedily."""
    tokenizer = load_tokenizer(folder)
    prompt = tokenizer.apply_chat_template(ASKED, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    written = policy(folder).generate(**prompt, max_new_tokens=TOKENS, do_sample=False)
    return str(tokenizer.decode(written[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))


def content(answers: Any) -> str:
    (choice,) = answers[0]["choices"]
    return str(choice["message"]["content"])


# The folder


def test_mlflow_reads_the_model_its_signature_and_its_example(model: Path, tmp_path: Path) -> None:
    from mlflow.models import Model

    found = Model.load(str(flavored(model, tmp_path / "c")))
    assert found.flavors.keys() == {"python_function", "transformers"}
    assert found.metadata["task"] == "llm/v1/chat"
    assert {"messages", "max_tokens"} <= set(found.signature.inputs.input_names())
    assert found.signature.inputs.required_input_names() == ["messages"]
    example: Any = found.load_input_example(str(tmp_path / "c"))
    assert example["max_tokens"] == TOKENS
    assert example["messages"] == messages(flavor.QUESTION)
    assert example["messages"][0]["content"] == SYSTEM


def test_the_keys_are_those_that_mlflow_writes_itself(model: Path, tmp_path: Path) -> None:
    """MLflow's own folder of the same model; what it cannot read of its own version would be told by its keys."""
    import yaml
    from mlflow.transformers import FLAVOR_NAME
    from mlflow.transformers.flavor_config import FlavorKey

    written = yaml.safe_load((flavored(model, tmp_path / "c") / flavor.NAME).read_text())["flavors"][FLAVOR_NAME]
    known = {value for name, value in vars(FlavorKey).items() if name.isupper()}
    known |= {FlavorKey.COMPONENT_TYPE.format("tokenizer"), "inference_task", "transformers_version", "code"}
    assert written.keys() <= known
    assert written["model_binary"] == "."


def test_both_flavors_answer_as_the_chain_does(model: Path, tmp_path: Path) -> None:
    import mlflow

    folder = flavored(model, tmp_path / "c")
    expected = answered(folder)
    served = mlflow.pyfunc.load_model(str(folder))
    assert content(served.predict({"messages": ASKED})) == expected.lstrip()
    assert served.predict({"messages": ASKED})[0]["usage"]["completion_tokens"] <= TOKENS
    (answer,) = mlflow.transformers.load_model(str(folder))(ASKED, max_new_tokens=TOKENS, do_sample=False)
    assert answer["generated_text"][-1] == {"role": "assistant", "content": expected}


def test_a_request_limits_its_answer_and_may_sample(model: Path, tmp_path: Path) -> None:
    import mlflow

    served = mlflow.pyfunc.load_model(str(flavored(model, tmp_path / "c")))
    (one,) = served.predict({"messages": ASKED, "max_tokens": 1, "do_sample": True, "temperature": 0.5})
    assert one["usage"]["completion_tokens"] == 1
    assert one["choices"][0]["finish_reason"] == "length"


def test_serving_needs_no_part_of_medu1(model: Path, tmp_path: Path) -> None:
    folder = flavored(model, tmp_path / "c")
    code = (
        "import sys; sys.modules['medu1'] = None\n"
        "import json, mlflow\n"
        "asked = json.load(open(sys.argv[1] + '/input_example.json'))\n"
        "print('answer', json.dumps(mlflow.pyfunc.load_model(sys.argv[1]).predict(asked)))\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(folder)], capture_output=True, text=True)
    line = next((line for line in done.stdout.splitlines() if line.startswith("answer ")), "")
    assert json.loads(line.removeprefix("answer "))[0]["object"] == "chat.completion", done.stderr


def test_equal_models_are_equal_folders_and_their_digest_is_of_the_model_alone(model: Path, tmp_path: Path) -> None:
    first, second = (record.entries(flavored(model, tmp_path / name)) for name in "ab")
    assert first == second
    plain = record.entries(model)
    assert {name: entry for name, entry in first.items() if name.partition("/")[0] not in flavor.FILES} == plain
    weights = [name for name in first if name.endswith(".safetensors")]
    assert weights == ["model.safetensors"]
    assert record.content_digest(model)[:32] in (tmp_path / "a" / flavor.NAME).read_text()


def test_the_folder_stays_a_plain_hugging_face_model(model: Path, tmp_path: Path) -> None:
    folder = flavored(model, tmp_path / "c")
    assert not sees(folder)
    assert answered(folder) == answered(model)
    held = folder / flavor.TOKENIZER
    assert (held / "tokenizer.json").read_bytes() == (model / "tokenizer.json").read_bytes()
    assert load_tokenizer(held).get_vocab() == load_tokenizer(model).get_vocab()


def test_no_name_makes_mlflow_run_code_of_the_folder(model: Path, tmp_path: Path) -> None:
    strange = shutil.copytree(model, tmp_path / "strange")
    for name, changes in (
        ("config.json", {"architectures": ["TheirsForCausalLM"], "auto_map": {"AutoModelForCausalLM": "m.T"}}),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["m.T", None]}}),
    ):
        described = json.loads((strange / name).read_text())
        (strange / name).write_text(json.dumps(described | changes))
    flavor.write(strange, "0" * 64, TOKENS)
    import yaml

    written = yaml.safe_load((strange / flavor.NAME).read_text())["flavors"]["transformers"]
    assert written["pipeline_model_type"] == "AutoModelForCausalLM"
    assert written["tokenizer_type"] == "PreTrainedTokenizerFast"


def test_no_version_of_a_machine_is_asked_for_that_an_index_has_not(model: Path, tmp_path: Path) -> None:
    lines = (flavored(model, tmp_path / "c") / flavor.REQUIREMENTS).read_text().splitlines()
    assert [line.partition("==")[0] for line in lines] == list(flavor.SERVING)
    assert not any("+" in line for line in lines)


# A registered version


def enter(workspace: Workspace, patch: pytest.MonkeyPatch) -> None:
    """The workspace's environment is the process's, and MLflow's own."""
    patch.delenv("MLFLOW_RUN_ID", raising=False)
    for key, value in workspace.environment().items():
        patch.setenv(key, value)


def other(step: str) -> Output:
    def make(running: object, folder: Path) -> Mapping[str, Any]:
        (folder / "file.txt").write_text(step)
        return {}

    return produce(step, {"text": step}, {}, "code", make)


def registered(model: Path) -> Output:
    """The candidate in the store and as version 1."""

    def make(running: object, folder: Path) -> Mapping[str, Any]:
        flavored(model, folder)
        return {"digest": record.content_digest(model)}

    trained, judged, data, start = (
        produce("train", {}, {}, "code", make),
        other("evaluate"),
        other("prepare"),
        other("base"),
    )
    weights = trained.record.facts["digest"]
    register(
        Registry(name="medu1").canonical(),
        EvaluationManifest(key=judged.key, digest="e", candidate=weights, champion="", frozen="f").text(),
        DatasetManifest(key=data.key, digest="q", frozen="f", sets={}, rows={}, data="d.dir").text(),
        ModelManifest(key=start.key, digest="b", base="builtin", revision="").text(),
        ModelManifest(key=trained.key, digest=weights, base="builtin", revision="").text(),
    )
    return trained


def assert_it_loads_and_is_whole(workspace: Workspace, expected: str) -> None:
    """Both ways by alias, as anybody with MLflow would; afterwards the files are still those registered."""
    import mlflow

    uri = "models:/medu1@champion"
    assert content(mlflow.pyfunc.load_model(uri).predict({"messages": ASKED})) == expected.lstrip()
    (answer,) = mlflow.transformers.load_model(uri)(ASKED, max_new_tokens=TOKENS, do_sample=False)
    assert answer["generated_text"][-1]["content"] == expected
    tracking = Tracking(workspace)
    version = tracking.models.version("medu1", "1")
    assert version
    files.check(tracking, version)


def test_a_version_in_a_local_store_loads_from_where_it_lies(
    model: Path, tracked_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(home=tracked_home, run="r", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    enter(workspace, monkeypatch)
    trained = registered(model)
    assert_it_loads_and_is_whole(workspace, answered(model))
    assert [path.parent for path in tracked_home.rglob("*.safetensors")] == [trained.folder]


def test_a_note_that_mlflow_leaves_is_no_added_file_and_a_longer_one_is(
    model: Path, tracked_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medu1.errors import Stop

    workspace = Workspace(home=tracked_home, run="r", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    enter(workspace, monkeypatch)
    note = registered(model).folder / files.NOTE
    tracking = Tracking(workspace)
    version = tracking.models.version("medu1", "1")
    assert version
    note.write_text("model_name: medu1\nmodel_version: '1'\n")
    files.check(tracking, version)
    for text in ("import os\n", "model_name: a\nmodel_version: 1\nx: 1\n", "model_name: " + "x" * files.NOTE_BYTES):
        note.write_text(text)
        with pytest.raises(Stop, match="added: registered_model_meta"):
            files.check(tracking, version)


def test_a_version_in_an_object_store_loads_from_there(
    model: Path, tracked_home: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3.bucket()
    workspace = Workspace(
        home=tracked_home,
        run="r",
        tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}",
        store=f"s3://{bucket}/p",
    )
    enter(workspace, monkeypatch)
    trained = registered(model)
    shutil.rmtree(trained.folder)  # this machine's cache
    assert_it_loads_and_is_whole(workspace, answered(model))
    assert weights_in(s3, bucket) == [f"p/{trained.key}/model.safetensors"]


def weights_in(s3: S3, bucket: str) -> list[str]:
    found = s3.client.list_objects_v2(Bucket=bucket)["Contents"]
    return [each["Key"] for each in found if each["Key"].endswith(".safetensors")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, home / "mlflow.db")
    found = Server(home)
    found.start()
    yield found
    found.kill()


@pytest.fixture
def emptied(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The server without a registered model; its address."""
    from mlflow import MlflowClient

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server.uri
    client = MlflowClient(server.uri, server.uri)
    for each in client.search_registered_models():
        client.delete_registered_model(each.name)


def test_behind_a_server_an_object_store_is_not_copied(
    model: Path, emptied: str, server: Server, s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3.bucket()
    workspace = Workspace(home=tmp_path, run="stored", tracking_uri=emptied, store=f"s3://{bucket}/p")
    enter(workspace, monkeypatch)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    trained = registered(model)
    assert_it_loads_and_is_whole(workspace, answered(model))
    assert weights_in(s3, bucket) == [f"p/{trained.key}/model.safetensors"]
    assert not list((server.home / "artifacts").rglob("*.safetensors"))


def test_behind_a_server_a_local_store_is_uploaded_and_loads(
    model: Path, emptied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(home=tmp_path, run="uploaded", tracking_uri=emptied)
    enter(workspace, monkeypatch)
    shutil.rmtree(registered(model).folder)
    assert_it_loads_and_is_whole(workspace, answered(model))


def test_a_version_from_before_the_flavor_is_still_promoted(
    model: Path, tracked_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(home=tracked_home, run="r", tracking_uri=f"sqlite:///{tracked_home / 'mlflow.db'}")
    enter(workspace, monkeypatch)
    registered(model)
    plain = tracked_home / "store" / "train" / "plain"
    made = record.StepRecord.model_validate_json(
        next((tracked_home / "store/train").glob("*/record.json")).read_bytes()
    )
    shutil.copytree(model, plain)
    record.write(made.model_copy(update={"outputs": record.entries(plain)}), plain)
    tags = {"medu1.weights": "w2", "medu1.evaluation": "e2", "medu1.champion": record.content_digest(model)}
    tags |= {"medu1.files": files.digest(record.entries(plain)), "medu1.key": "train/plain"}
    tracking = Tracking(workspace)
    tracking.client.create_model_version("medu1", plain.as_uri(), tags=tags)
    assert promote(tracking, "medu1", "2", "ann", "better").version == "2"


def test_a_vision_language_model_is_served_on_text(model: Path, tmp_path: Path) -> None:
    """transformers logs that its pipeline is not made for such a model, and it answers all the same."""
    import mlflow

    folder = shutil.copytree(model, tmp_path / "llava")
    write_llava(folder, load_tokenizer(model))
    flavor.write(folder, record.content_digest(folder), TOKENS)
    assert sees(folder)
    served = mlflow.pyfunc.load_model(str(folder))
    assert served.predict({"messages": ASKED})[0]["usage"]["completion_tokens"] > 0
    assert type(served.get_raw_model().model).__name__ == "LlavaForConditionalGeneration"


def write_llava(folder: Path, tokenizer: Any) -> None:
    """A tiny one with random weights; of its processor only the name, which nobody reads for text."""
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration, Qwen2Config

    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    text = Qwen2Config(**sizes, num_hidden_layers=1, num_key_value_heads=2, vocab_size=len(tokenizer), **ends)
    vision = CLIPVisionConfig(**sizes, num_hidden_layers=1, image_size=28, patch_size=14)
    LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=len(tokenizer) - 1, image_seq_length=4)
    ).save_pretrained(folder)
    (folder / "processor_config.json").write_text("{}")


def test_the_environment_has_no_home_of_mine(model: Path, tmp_path: Path) -> None:
    folder = flavored(model, tmp_path / "c")
    written = "".join((folder / name).read_text() for name in flavor.FILES if (folder / name).is_file())
    assert str(tmp_path) not in written
    assert os.environ["HOME"] not in written
