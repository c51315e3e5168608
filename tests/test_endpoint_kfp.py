"""A Kubeflow Pipelines endpoint over real HTTP: who asks, what fails how, and that nothing is made twice."""

import base64
import json
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from kfp_server import KfpServer, Moment
from medu1.errors import Stop
from pipelines import access as access_module
from pipelines.access import Access, Credentials
from pipelines.answers import Run, Version
from pipelines.endpoint import PIPELINE, Endpoint, version_name
from pipelines.wire import Patience, Refused, Unanswered

SECRET = "s3cret-t0ken"
QUICK = Patience(seconds=2.0, pauses=(0.01, 0.01))
HASTY = Patience(seconds=0.3, pauses=(0.01, 0.01))
LOST = ("drop", "cut", "garbage", "empty", 500, 502, 503, 504)  # after these a run may be there, or not


@pytest.fixture
def server() -> Iterator[KfpServer]:
    with KfpServer(token=SECRET) as served:
        yield served


@pytest.fixture
def endpoint(server: KfpServer) -> Endpoint:
    return at(server)


def at(server: KfpServer, patience: Patience = QUICK, token: str = SECRET, **options: Any) -> Endpoint:
    return Endpoint(Access.read(server.url, environment={"MEDU1_KFP_TOKEN": token}, **options), patience)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A pipeline with one parameter."""
    inputs = {"data": {"parameterType": "STRING"}}
    spec = {
        "pipelineInfo": {"name": PIPELINE},
        "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": inputs}},
        "schemaVersion": "2.1.0",
    }
    path = tmp_path / "retraining.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return path


class Ready:
    """An endpoint with a version and an experiment."""

    def __init__(self, endpoint: Endpoint, package: Path) -> None:
        self.endpoint = endpoint
        self.version: Version = endpoint.publish(package)
        self.experiment = endpoint.experiment("medu1")

    def submit(self, name: str = "one") -> Run:
        return self.endpoint.submit(self.version, self.experiment, name, {"data": "x"})


@pytest.fixture
def ready(endpoint: Endpoint, package: Path) -> Ready:
    return Ready(endpoint, package)


# the test server


def test_the_servers_answers_serve_kfps_own_client(server: KfpServer, package: Path) -> None:
    """What is tested here is what kfp.Client speaks too."""
    import kfp

    server.plan = [Moment("RUNNING", {"train": "RUNNING"}), Moment("SUCCEEDED", {"train": "SUCCEEDED"})]
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # the client's own
        patch.setattr("builtins.print", lambda *words: None)  # it prints links
        client = kfp.Client(host=server.url, existing_token=SECRET, namespace="mine")
        pipeline = client.upload_pipeline(str(package), pipeline_name=PIPELINE)
        version = client.upload_pipeline_version(str(package), "second", pipeline_id=pipeline.pipeline_id)
        experiment = client.create_experiment("medu1").experiment_id
        what = {"pipeline_id": pipeline.pipeline_id, "version_id": version.pipeline_version_id, "params": {"data": "x"}}
        run = client.run_pipeline(experiment, "job", **what)
        states = [client.get_run(run.run_id).state for _ in range(2)]
        recurring = client.create_recurring_run(experiment, "weekly", cron_expression="0 0 3 * * 1", **what)
        client.disable_recurring_run(recurring.recurring_run_id)
    assert states == ["RUNNING", "SUCCEEDED"]
    assert client.get_pipeline_id(PIPELINE) == pipeline.pipeline_id
    assert client.get_recurring_run(recurring.recurring_run_id).status == "DISABLED"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"display_nam": "x"}, "is not in V2beta1Run"),
        ({"display_name": 7}, "is no string"),
        ({"display_name": "x", "state": "DONE"}, "is none of"),
        ({"display_name": "x", "runtime_config": {"parameters": []}}, "is no mapping"),
    ],
)
def test_the_server_refuses_what_the_description_has_not(body: Any, said: str, endpoint: Endpoint) -> None:
    with pytest.raises(Refused, match=said):
        endpoint.api.wire.call("POST", "/apis/v2beta1/runs", body=body)
    with pytest.raises(Refused, match="no query parameter"):
        endpoint.api.wire.get("/apis/v2beta1/runs", {"experiment": "x"})


# the address and who asks


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "No endpoint is named"),
        ("kubeflow.example", "is no address"),
        ("ftp://kubeflow.example", "is no address"),
        ("https://", "is no address"),
        ("https://host:port", "is no address"),
        ("https://host/?x=1", "is no address"),
        ("https://me:pa55@host", "holds a user's name or password"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, said: str) -> None:
    with pytest.raises(Stop, match=said) as stop:
        Access.read(address, environment={})
    assert "pa55" not in str(stop.value)


def test_an_address_from_a_browser_is_one_of_the_api() -> None:
    access = Access.read("https://kubeflow.example/pipeline/#/runs", environment={})
    assert access.url == "https://kubeflow.example/pipeline"
    assert access.link("7") == "https://kubeflow.example/pipeline/#/runs/details/7"


def test_the_environment_names_what_options_leave_open() -> None:
    given = {
        "MEDU1_KFP_ENDPOINT": "https://there.example",
        "MEDU1_KFP_NAMESPACE": "team",
        "MEDU1_KFP_UI": "https://ui/",
    }
    access = Access.read(environment=given)
    assert (access.url, access.namespace) == ("https://there.example", "team")
    assert access.link("7") == "https://ui/#/runs/details/7"
    assert Access.read("https://other.example", "mine", environment=given).namespace == "mine"


@pytest.mark.parametrize("variable", ["MEDU1_KFP_TOKEN", "MEDU1_KFP_COOKIE"])
def test_credentials_do_not_cross_a_network_in_the_open(variable: str) -> None:
    given = {variable: SECRET}
    with pytest.raises(Stop, match="plain http") as stop:
        Access.read("http://ml-pipeline.kubeflow.svc:8888", environment=given)
    assert SECRET not in str(stop.value)
    assert Access.read("http://ml-pipeline.kubeflow.svc:8888", plain_http=True, environment=given).credentials
    assert Access.read("http://localhost:8080", environment=given).credentials
    assert Access.read("http://127.0.0.1:8080", environment=given).credentials
    assert Access.read("http://ml-pipeline.kubeflow.svc:8888", environment={}).credentials.kind == "none"


def test_two_kinds_of_credentials_are_refused() -> None:
    given = {"MEDU1_KFP_TOKEN": SECRET, "MEDU1_KFP_COOKIE": "authservice_session=x"}
    with pytest.raises(Stop, match="MEDU1_KFP_TOKEN and MEDU1_KFP_COOKIE"):
        Access.read("https://host", environment=given)


@pytest.mark.parametrize("token", ["two\nlines", "t\u00f6ken", "a\tb"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(Stop, match="no credentials that a header can carry") as stop:
        Access.read("https://host", environment={"MEDU1_KFP_TOKEN": token})
    assert token not in str(stop.value)


def test_a_secret_does_not_show_in_what_is_printed_of_it() -> None:
    access = Access.read("https://host", environment={"MEDU1_KFP_TOKEN": SECRET})
    assert SECRET not in repr(access)
    assert SECRET not in access.model_dump_json()


def test_a_renewed_token_file_is_read_again(tmp_path: Path, server: KfpServer) -> None:
    path = tmp_path / "token"
    path.write_text("old\n")
    endpoint = Endpoint(Access.read(server.url, environment={"MEDU1_KFP_TOKEN_FILE": str(path)}), QUICK)
    with pytest.raises(Refused, match="MEDU1_KFP_TOKEN_FILE"):
        endpoint.find_experiment("x")
    path.write_text(SECRET + "\n")
    assert endpoint.find_experiment("x") == ""
    path.unlink()
    with pytest.raises(Stop, match="token file of MEDU1_KFP_TOKEN_FILE cannot be read"):
        endpoint.find_experiment("x")


def test_a_pods_projected_token_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text(SECRET)
    monkeypatch.setattr(access_module, "PROJECTED", path)
    assert Credentials.read({}).headers() == {"Authorization": f"Bearer {SECRET}"}
    assert Credentials.read({"MEDU1_KFP_COOKIE": "a=b"}).headers() == {"Cookie": "a=b"}


def test_a_session_cookie_opens_the_endpoint() -> None:
    with KfpServer(cookie="authservice_session=abc") as server:
        given = {"MEDU1_KFP_COOKIE": "authservice_session=abc"}
        assert Endpoint(Access.read(server.url, environment=given), QUICK).find_experiment("x") == ""


def test_a_refusal_says_whose_token_it_was_and_that_it_ran_out(server: KfpServer) -> None:
    claims = {"sub": "system:serviceaccount:team:runner", "exp": 1_600_000_000}
    token = "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".signature"
    with pytest.raises(Refused) as refused:
        at(server, token=token).find_experiment("x")
    assert "system:serviceaccount:team:runner, expired 2020-09-13 12:26 UTC" in str(refused.value)
    assert "signature" not in str(refused.value)


def test_an_answer_that_repeats_the_token_is_not_repeated(server: KfpServer) -> None:
    with pytest.raises(Refused) as refused:
        at(server).api.wire.call("POST", "/apis/v2beta1/runs", body={"display_name": "x", SECRET: 1})
    assert "***" in str(refused.value)
    assert SECRET not in str(refused.value)


class Issuer(BaseHTTPRequestHandler):
    """Gives identity tokens to whom it takes for a service account."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 3600}).encode()).decode().rstrip("=")
        body = json.dumps({"id_token": f"e30.{claims}.c2ln"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def issuer() -> Iterator[str]:
    served = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}/token"
    served.shutdown()
    thread.join()
    served.server_close()


def test_a_service_account_passes_an_identity_aware_proxy(
    issuer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: KfpServer
) -> None:
    """Up to the signature, which Google checks."""
    key = {
        "type": "service_account",
        "client_email": "runner@project.iam.gserviceaccount.com",
        "token_uri": issuer,
        "private_key": private_key(),
    }
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    server.token = ""
    access = Access.read(server.url, iap_client="client.apps.googleusercontent.com", environment={})
    Endpoint(access, QUICK).find_experiment("x")
    assert server.requests[-1].headers["authorization"].endswith(".c2ln")


def test_no_service_account_for_the_proxy_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    access = Access.read("https://host", environment={"MEDU1_KFP_IAP_CLIENT": "client"})
    with pytest.raises(Stop, match="GOOGLE_APPLICATION_CREDENTIALS"):
        access.credentials.headers()


def private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.private_bytes(*form).decode()


# what fails, and how


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (400, "refused the request"),
        (401, "does not accept the token of MEDU1_KFP_TOKEN"),
        (403, "forbids the token of MEDU1_KFP_TOKEN"),
        (404, "does not know what is asked for"),
        (409, "refused the request"),
        ("login", "a page for people"),
        ("redirect", "a page for people"),
    ],
)
def test_a_no_is_not_asked_twice(how: int | str, said: str, server: KfpServer, endpoint: Endpoint) -> None:
    server.fail("GET", "/runs/", how)
    with pytest.raises(Refused, match=said) as refused:
        endpoint.run("7")
    assert len(server.requests) == 1
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("how", [429, 500, 502, 503, 504, "drop", "cut", "garbage", "empty"])
def test_a_question_is_repeated_a_bounded_number_of_times(how: int | str, server: KfpServer, ready: Ready) -> None:
    run, endpoint = ready.submit(), ready.endpoint
    asked = len(server.requests)
    server.fail("GET", "/runs/", how, times=2)
    assert endpoint.run(run.id).id == run.id
    assert len(server.requests) == asked + 3
    server.fail("GET", "/runs/", how, times=4)
    with pytest.raises(Stop):
        endpoint.run(run.id)
    assert len(server.requests) == asked + 6


@pytest.mark.parametrize("how", ["hang", "slow"])
def test_an_answer_without_an_end_has_a_deadline(how: str, server: KfpServer) -> None:
    server.fail("GET", "/runs/", how, times=3)
    with pytest.raises(Unanswered, match=r"no whole answer in 0\.3 s"):
        at(server, HASTY).run("7")


def test_an_answer_without_measure_is_not_read(server: KfpServer, endpoint: Endpoint) -> None:
    server.fail("GET", "/runs/", "huge", times=3)
    with pytest.raises(Unanswered, match="more than 32 MiB"):
        endpoint.run("7")


def test_an_endpoint_that_is_down_is_named() -> None:
    with pytest.raises(Unanswered, match=r"Nothing answers at http://127\.0\.0\.1:9: Connection refused"):
        Endpoint(Access.read("http://127.0.0.1:9", environment={}), QUICK).run("7")


def test_a_proxy_of_the_environment_is_used_beyond_this_machine(
    server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = ""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:pa55@"))
    assert Endpoint(Access.read("http://kfp.invalid", environment={}), QUICK).find_experiment("x") == ""
    assert server.requests[0].headers["host"] == "kfp.invalid"
    assert server.requests[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"me:pa55").decode()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert at(server).find_experiment("x") == ""


def test_an_answer_of_something_else_is_no_run(endpoint: Endpoint) -> None:
    with pytest.raises(Stop, match="something else than a run"):
        endpoint.api.read(Run, {"multi_user": True})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signs itself, for 127.0.0.1."""
    import datetime as dates
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    key = serialization.load_pem_private_key(private_key().encode(), None)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kfp")])
    now = dates.datetime.now(dates.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())  # type: ignore[arg-type]
        .serial_number(1)
        .not_valid_before(now - dates.timedelta(days=1))
        .not_valid_after(now + dates.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(*form))
    return folder / "cert.pem", folder / "key.pem"


def test_a_certificate_is_trusted_by_its_issuer_alone(certificate: tuple[Path, Path]) -> None:
    with KfpServer(token=SECRET, certificate=certificate) as server:
        with pytest.raises(Refused, match=r"certificate of https://.* is not trusted"):
            at(server).find_experiment("x")
        assert at(server, ca=certificate[0]).find_experiment("x") == ""
        given = {"MEDU1_KFP_TOKEN": SECRET, "MEDU1_KFP_CA": str(certificate[0])}
        assert Endpoint(Access.read(server.url, environment=given), QUICK).find_experiment("x") == ""
        plain = Access.read(server.url.replace("https", "http"), environment={})
        with pytest.raises(Unanswered, match="http or https"):
            Endpoint(plain, QUICK).find_experiment("x")


def test_an_endpoint_without_tls_is_told_from_one_that_is_down(server: KfpServer) -> None:
    access = Access.read(server.url.replace("http", "https"), environment={})
    with pytest.raises(Refused, match="does not speak TLS"):
        Endpoint(access, QUICK).find_experiment("x")


def test_certificates_that_are_not_there_are_said() -> None:
    with pytest.raises(Stop, match=r"absent\.pem cannot be read"):
        Access.read("https://host", ca=Path("absent.pem"), environment={})


# namespaces


def test_a_namespace_that_is_not_ours_is_forbidden_and_named(package: Path) -> None:
    with KfpServer(token=SECRET, namespaces=("mine",)) as server:
        with pytest.raises(Refused, match="in namespace theirs") as refused:
            at(server, namespace="theirs").publish(package)
        assert refused.value.status == 403
        assert not server.pipelines
        run = Ready(at(server, namespace="mine"), package).submit()
        assert server.experiments[run.experiment]["namespace"] == "mine"
        with pytest.raises(Refused, match="namespace is required"):
            at(server).experiment("medu1")


# packages and experiments


def test_the_same_package_is_published_once(server: KfpServer, ready: Ready, package: Path) -> None:
    assert ready.endpoint.publish(package) == ready.version
    assert ready.version.name == version_name(package)
    package.write_text(package.read_text() + "# another\n")
    assert ready.endpoint.publish(package) != ready.version
    assert (len(server.pipelines), len(server.versions)) == (1, 2)
    assert [each.name for each in ready.endpoint.versions()][1] == ready.version.name


@pytest.mark.parametrize("path", ["/pipelines$", "/upload_version$", "/experiments$"])
@pytest.mark.parametrize("how", [409, 503, "drop"])
def test_what_someone_else_made_meanwhile_is_taken(
    path: str, how: int | str, server: KfpServer, endpoint: Endpoint, package: Path
) -> None:
    """Made, and the answer says that the name is taken, or does not come."""
    server.fail("POST", path, how, after_effect=True)
    Ready(endpoint, package).submit()
    assert [len(kept) for kept in (server.pipelines, server.versions, server.experiments)] == [1, 1, 1]


def test_a_name_that_is_taken_and_not_listed_is_said(server: KfpServer, endpoint: Endpoint, package: Path) -> None:
    server.fail("POST", "/pipelines$", 409, times=99)
    with pytest.raises(Refused, match="409"):
        endpoint.publish(package)


def test_a_package_that_is_none_is_refused_by_the_server(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "no.yaml").write_text("a: 1")
    with pytest.raises(Refused, match="unknown template format"):
        endpoint.publish(tmp_path / "no.yaml")


# runs


@pytest.mark.parametrize("done", [True, False], ids=["carried-out", "not-carried-out"])
@pytest.mark.parametrize("how", LOST)
def test_a_lost_answer_makes_one_run(how: int | str, done: bool, server: KfpServer, ready: Ready) -> None:
    server.fail("POST", "/runs$", how, after_effect=done)
    run = ready.submit()
    assert list(server.runs) == [run.id]


@pytest.mark.parametrize("how", ["hang", "slow"])
def test_an_answer_that_comes_too_late_makes_one_run(how: str, server: KfpServer, package: Path) -> None:
    ready = Ready(at(server, HASTY), package)
    server.fail("POST", "/runs$", how, after_effect=True)
    assert [ready.submit().id] == list(server.runs)


def test_a_run_is_not_asked_for_again_before_a_look(server: KfpServer, ready: Ready) -> None:
    server.fail("POST", "/runs$", 503)
    before = len(server.requests)
    ready.submit()
    methods = [each.method for each in server.requests[before:]]
    assert methods == ["GET", "POST", "GET", "POST", "GET"]


def test_a_run_is_asked_for_a_bounded_number_of_times(server: KfpServer, ready: Ready) -> None:
    server.fail("POST", "/runs$", 503, times=99)
    with pytest.raises(Unanswered):
        ready.submit()
    assert len(server.asked("POST", "/runs$")) == 3
    assert not server.runs


def test_a_refused_run_is_asked_for_once(server: KfpServer, ready: Ready) -> None:
    with pytest.raises(Refused, match="data is required"):
        ready.endpoint.submit(ready.version, ready.experiment, "one", {})
    assert len(server.asked("POST", "/runs$")) == 1


def test_another_callers_run_that_came_between_is_kept(
    server: KfpServer, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked before either asked, so both see two: each keeps the older, and one goes on."""
    create = server.run_service_create_run

    def twice(*asked: Any) -> Any:
        create(*asked)
        return create(*asked)

    monkeypatch.setattr(server, "run_service_create_run", twice)
    kept = ready.submit()
    (first, second) = server.runs.values()
    assert kept.id == first["run_id"]
    assert (first["state"], second["state"]) == ("PENDING", "CANCELED")


def test_runs_come_newest_first_and_pages_as_they_are_needed(server: KfpServer, ready: Ready) -> None:
    for number in range(120):
        body = {"display_name": f"run {number}", "experiment_id": ready.experiment, "pipeline_spec": {"a": 1}}
        server.run_service_create_run({}, {}, body)
    runs = ready.endpoint.runs(ready.experiment)
    assert next(runs).name == "run 119"
    assert len(server.asked("GET", "/runs$")) == 1
    assert [run.name for run in runs][-1] == "run 0"
    assert len(server.asked("GET", "/runs$")) == 2


def test_a_run_tells_its_tasks_its_error_and_its_parameters(server: KfpServer, ready: Ready) -> None:
    run = ready.submit()
    server.plan = [Moment("FAILED", {"prepare": "SUCCEEDED", "train": "FAILED"}, "train ran out of memory")]
    seen = ready.endpoint.run(run.id)
    assert {name: task.state for name, task in seen.tasks().items()} == {"prepare": "SUCCEEDED", "train": "FAILED"}
    assert (seen.error.message, seen.config.parameters) == ("train ran out of memory", {"data": "x"})
    assert not seen.under_way
    assert not seen.succeeded


def test_a_task_that_is_tried_again_counts_as_it_is_now() -> None:
    tasks = [
        {"display_name": "train", "state": "RUNNING", "start_time": "2026-01-01T00:01:00Z"},
        {"display_name": "train", "state": "FAILED", "start_time": "2026-01-01T00:00:00Z"},
    ]
    run = Run.model_validate({"run_id": "7", "run_details": {"task_details": tasks}, "news": "from a newer server"})
    assert run.tasks()["train"].state == "RUNNING"


def test_terminating_what_has_ended_is_fine(server: KfpServer, ready: Ready) -> None:
    run = ready.submit()
    ready.endpoint.terminate(run.id)
    ready.endpoint.terminate(run.id)
    assert server.runs[run.id]["state"] == "CANCELED"
    with pytest.raises(Refused, match="404"):
        ready.endpoint.terminate("absent")


# recurring runs


def weekly(ready: Ready, name: str = "weekly", **options: Any) -> str:
    made = ready.endpoint.create_recurring(
        ready.version, ready.experiment, name, "0 0 3 * * 1", {"data": "x"}, **options
    )
    return made.id


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("how", LOST)
def test_a_lost_answer_makes_one_schedule(how: int | str, done: bool, server: KfpServer, ready: Ready) -> None:
    server.fail("POST", "/recurringruns$", how, after_effect=done)
    made = weekly(ready)
    assert list(server.recurring) == [made]


def test_a_schedule_reads_as_it_was_made(server: KfpServer, ready: Ready) -> None:
    weekly(
        ready, enabled=False, concurrency=3, start="2026-01-05T00:00:00Z", description="mine", service_account="runner"
    )
    (held,) = ready.endpoint.recurring(ready.experiment)
    assert held.trigger.cron_schedule is not None
    assert held.trigger.cron_schedule.cron == "0 0 3 * * 1"
    assert held.trigger.cron_schedule.start_time == "2026-01-05T00:00:00Z"
    assert (held.enabled, held.max_concurrency, held.no_catchup) == (False, 3, True)
    assert (held.description, held.service_account, held.config.parameters) == ("mine", "runner", {"data": "x"})
    assert held.version.pipeline_version_id == ready.version.pipeline_version_id


def test_every_page_of_schedules_is_read(ready: Ready) -> None:
    names = {f"schedule {number}" for number in range(101)}
    for name in names:
        weekly_direct(ready, name)
    assert {each.name for each in ready.endpoint.recurring()} == names


def weekly_direct(ready: Ready, name: str) -> None:
    body = {
        "display_name": name,
        "experiment_id": ready.experiment,
        "pipeline_version_reference": ready.version.reference(),
        "runtime_config": {"parameters": {"data": "x"}},
        "max_concurrency": "1",
        "mode": "ENABLE",
        "trigger": {"cron_schedule": {"cron": "0 0 3 * * 1"}},
    }
    ready.endpoint.api.wire.call("POST", "/apis/v2beta1/recurringruns", body=body)


@pytest.mark.parametrize("how", [503, "drop"])
def test_switching_and_deleting_go_through_a_lost_answer(how: int | str, server: KfpServer, ready: Ready) -> None:
    id_ = weekly(ready)
    for path in (":disable$", ":enable$"):
        server.fail("POST", path, how, after_effect=True)
    ready.endpoint.disable_recurring(id_)
    assert not ready.endpoint.recurring()[0].enabled
    ready.endpoint.enable_recurring(id_)
    assert ready.endpoint.recurring()[0].enabled
    server.fail("DELETE", "/recurringruns/", how, after_effect=True)
    ready.endpoint.delete_recurring(id_)
    assert not server.recurring


def test_a_cron_expression_that_the_server_does_not_take_is_its_no(server: KfpServer, ready: Ready) -> None:
    with pytest.raises(Refused, match="not a supported format"):
        ready.endpoint.create_recurring(ready.version, ready.experiment, "weekly", "weekly", {"data": "x"})
    assert not server.recurring
