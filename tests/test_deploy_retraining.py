"""The CronJob that submits a run when the data has changed: its very argv, against an API on loopback."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kfp_server import KfpServer
from manifests import DEPLOY, OVERLAYS, RUNTIME_KIND, Pod, named, of, one, pods, retraining
from test_deploy import KUBERNETES, fits, yaml
from test_deploy_pods import PINNED, security

TOKEN = "a token of medu1-submitter"
IMAGE = "registry.internal/medu1@sha256:" + "12ab" * 16
ROOT = DEPLOY.parent


def cronjob(overlay: str = "overlays/eks") -> Pod:
    """The pod of the CronJob."""
    (found,) = (pod for pod in pods(retraining(overlay)) if pod.owner["kind"] == "CronJob")
    return found


def submitted(home: Path, server: KfpServer) -> "subprocess.CompletedProcess[str]":
    """The container's command in its working directory, with the address of a server on loopback and no git."""
    (container,) = cronjob().containers
    assert container["command"] == ["medu1", "submit"]
    words = [f"--endpoint={server.url}" if each.startswith("--endpoint=") else each for each in container["args"]]
    words = [f"--home={home / 'home'}" if each.startswith("--home=") else each for each in words]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MEDU1_", "AWS_"))}
    kept |= {"PATH": str(home), "PYTHONPATH": f"{ROOT / 'components'}:{ROOT}", "NO_PROXY": "127.0.0.1,.internal"}
    kept |= {"MEDU1_KFP_TOKEN_FILE": str(home / "token")}
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "submit", *words, "--json"],
        cwd=home,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_component_fits_the_schemas_and_the_policies_of_pods() -> None:
    (found,) = of(retraining("overlays/eks"), "CronJob")
    assert not [told for version in KUBERNETES if (told := fits(yaml.safe_dump(found), version))]
    (container,) = cronjob().containers
    held = security(cronjob(), container)
    assert (held["runAsNonRoot"], held["readOnlyRootFilesystem"], held["allowPrivilegeEscalation"]) == (
        True,
        True,
        False,
    )
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert PINNED.fullmatch(container["image"])


def test_its_token_is_for_kubeflow_pipelines_alone() -> None:
    assert cronjob().spec["automountServiceAccountToken"] is False
    (source,) = (each["projected"]["sources"] for each in cronjob().spec["volumes"] if "projected" in each)
    assert source[0]["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"
    one(retraining("overlays/eks"), "ServiceAccount", cronjob().spec["serviceAccountName"])


@pytest.mark.parametrize("overlay", [each for each in OVERLAYS if each != "overlays/dev"])
def test_every_overlay_takes_the_component(overlay: str) -> None:
    names = [named(each) for each in retraining(overlay)]
    assert len(names) == len(set(names))
    assert "CronJob medu1-runs/retraining" in names
    assert of(retraining(overlay), RUNTIME_KIND)


def test_its_command_submits_once_for_the_same_data(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(ROOT / "data.dvc", tmp_path)
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    (tmp_path / "images.json").write_text(json.dumps({"cpu": IMAGE, "gpu": IMAGE, "commit": "3f" * 20}), "utf-8")
    with KfpServer(token=TOKEN, namespaces=("medu1-runs",)) as server:
        first, second = submitted(tmp_path, server), submitted(tmp_path, server)
        assert first.returncode == 0, first.stderr
        assert second.returncode == 0, second.stderr
        assert [json.loads(each.stdout)["submitted"] for each in (first, second)] == [True, False]
        assert len(server.runs) == 1
        assert TOKEN not in first.stdout + first.stderr
