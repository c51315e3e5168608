"""What several rooms' tests share."""

import shutil
from pathlib import Path

import pytest

from engine import bases as bases
from engine import engine as engine
from engine import images as images
from engine import registry as registry
from hub import hub as hub
from medu1.tracking import Tracking
from medu1.workspace import Workspace
from models import one_thread as one_thread
from prepared import chain as chain
from prepared import database as database
from s3 import s3 as s3
from s3 import s3_endpoint as s3_endpoint
from services import served as served
from services import services as services


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without runs: making its tables takes seconds, copying it takes none."""
    home = tmp_path_factory.mktemp("empty")
    path = home / "mlflow.db"
    Tracking(Workspace(home=home, run="none", tracking_uri=f"sqlite:///{path}")).client.search_experiments()
    return path


@pytest.fixture
def tracked_home(tmp_path: Path, empty_database: Path) -> Path:
    """A home whose database is ready."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path
