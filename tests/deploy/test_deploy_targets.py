"""Every target, held to its suite; what each of them says in its place's own words."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import httpx
import msgspec
import polars as pl
import pytest
from onnx import helper
from ruamel.yaml import YAML

import everloop as el
from everloop.core.errors import DataFault, MissingExtra, StorageFull, UsageFault
from everloop.deploy.targets import Release, export, known_targets, open_target
from everloop.deploy.targets.tensorflow_graph import saved_model
from everloop.runtime.encoders import GridEncoder, PlanInput, Spectrogram
from everloop.runtime.log import read_log
from everloop.runtime.manifest import read_manifest, write_manifest
from everloop.runtime.plan import Plan
from everloop.runtime.server import ServerLimits, ServerSettings
from everloop.runtime.service.settings import TopicSettings
from everloop.testing.server_process import free_port
from everloop.testing.target_suite import TargetSuite


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A version from the front door."""
    table = pl.DataFrame({"x": [float(i % 40) for i in range(300)], "late": ["no", "yes", "no"] * 100})
    folder = tmp_path_factory.mktemp("release") / "package"
    model = el.model.search(table, target="late", budget={"trials": 1}, seed=0)
    model.package(folder, sample=table)
    return Release(folder, read_manifest(folder), hold_seconds=90)


# What these write needs a library that is no part of this environment.
APART = {"tensorflow_serving": "integrations/tensorflow"}


def test_targets_apart_are_held_to_the_suite_where_their_library_is():
    for name, group in APART.items():
        tests = "".join(path.read_text() for path in (Path(__file__).parents[2] / group).glob("test_*.py"))
        assert f'open_target("{name}")' in tests
        assert "(TargetSuite)" in tests


def test_a_target_names_the_extra_that_it_needs(release):
    if find_spec("tensorflow") is not None:
        pytest.skip("TensorFlow is installed here")
    with pytest.raises(MissingExtra) as caught:
        open_target("tensorflow_serving").files(release)
    assert "everloop[tensorflow]" in caught.value.hint


def test_what_can_never_go_there_is_said_before_an_extra_is_asked_for():
    tree = helper.make_node("TreeEnsembleRegressor", ["x"], ["score"], domain="ai.onnx.ml")
    graph = helper.make_graph([tree], "model", [], [])
    with pytest.raises(UsageFault, match="TreeEnsembleRegressor"):
        saved_model(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("name", sorted(set(known_targets()) - set(APART)))
class TestTargets(TargetSuite):
    """All of them."""

    @pytest.fixture
    def target(self, name):
        return open_target(name)

    @pytest.fixture
    def release(self, release):
        return release


def test_an_unknown_target_is_told_with_the_nearest():
    with pytest.raises(UsageFault, match="known are docker") as caught:
        open_target("kubernets")
    assert caught.value.hint == "everloop export kubernetes"


def test_a_version_that_was_not_compiled_is_installed_with_what_it_requires(release):
    fields = {name: getattr(release.manifest, name) for name in release.manifest.__struct_fields__}
    stated = {"scikit-learn": "1.7.0", "numpy": "2.2.0"}
    manifest = type(release.manifest)(**(fields | {"runtime": "python", "requirements": stated}))
    files = open_target("docker").files(replace(release, manifest=manifest))
    lines = files["requirements.txt"].decode().splitlines()
    assert {"scikit-learn==1.7.0", "numpy==2.2.0"} <= set(lines)
    assert len([line for line in lines if line.startswith("numpy==")]) == 1


@pytest.mark.parametrize(
    ("lifecycle", "name"), [("Loan Default", "loan-default"), ("42", "model-42"), ("a" * 90, "a" * 50)]
)
def test_names_are_labels_of_dns(release, lifecycle, name):
    import msgspec

    named = msgspec.structs.replace(release.manifest, lifecycle=lifecycle)
    assert replace(release, manifest=named).name == name


def test_a_container_hides_what_the_file_hides_and_keeps_its_limits(release, monkeypatch):
    monkeypatch.setattr("everloop.deploy.targets.serving_files.metadata.version", lambda _: "1.0")
    topic = TopicSettings("kafka://broker:9092/loans", {"sasl.password": "env:PASSWORD"}, "disk")
    stated = {"private": {"name": "hash"}, "topic": topic, "limits": ServerLimits(version_requests=5)}
    docker, hidden = open_target("docker"), replace(release, **stated)
    files = docker.files(hidden)
    told = msgspec.json.decode(files["settings.json"], type=ServerSettings)
    assert {name: getattr(told, name) for name in stated} == stated
    assert told.log_key == "env:EVERLOOP_LOG_KEY"
    assert "-e EVERLOOP_LOG_KEY " in docker.commands(hidden)[1]
    assert b"confluent-kafka==" in files["requirements.txt"]


def test_what_a_server_in_a_container_is_told_can_be_read_back(release):
    files = open_target("docker").files(release)
    told = json.loads(files["settings.json"])
    settings = ServerSettings(**{name: told[name] for name in ("package", "log", "host", "port", "secrets")})
    assert settings.secrets["predict"] == "env:EVERLOOP_PREDICT_TOKEN"
    assert (settings.host, settings.port) == ("0.0.0.0", 8700)
    platform = json.loads(open_target("sagemaker").files(release)["settings.json"])
    assert (platform["port"], platform["behind_gateway"], platform["secrets"]) == (8080, True, {})


def read(content):
    return list(YAML(typ="safe").load_all(content.decode()))


@pytest.mark.parametrize(
    ("strategy", "steps"),
    [
        (
            "canary",
            [
                {"setWeight": 5},
                {"pause": {"duration": "90s"}},
                {"setWeight": 50},
                {"pause": {"duration": "90s"}},
                {"setWeight": 100},
            ],
        ),
        ("ab", [{"setWeight": 50}, {"pause": {}}]),
        ("shadow", [{"setCanaryScale": {"replicas": 1}}, {"pause": {}}]),
    ],
)
def test_strategies_in_argos_words(release, strategy, steps):
    stated = replace(release, strategy=strategy, steps=(0.05, 0.5, 1.0))
    (rollout,) = read(open_target("kubernetes").files(stated)["rollouts/rollout.yaml"])
    assert rollout["spec"]["strategy"] == {"canary": {"steps": steps}}


def test_one_thing_at_a_time_says_how_many_pods_there_are(release):
    files = open_target("kubernetes").files(release)
    (deployment,), (rollout,) = read(files["base/deployment.yaml"]), read(files["rollouts/rollout.yaml"])
    assert "replicas" not in deployment["spec"].keys() | rollout["spec"].keys()
    assert rollout["spec"]["workloadRef"]["scaleDown"] == "onsuccess"
    (base,), (over,) = read(files["base/autoscaler.yaml"]), read(files["rollouts/kustomization.yaml"])
    assert base["spec"]["scaleTargetRef"]["kind"] == "Deployment"
    (patch,) = over["patches"]
    assert patch["target"] == {"kind": "HorizontalPodAutoscaler"}
    assert {one["value"] for one in json.loads(patch["patch"])} == {"argoproj.io/v1alpha1", "Rollout"}


def test_blue_green_and_mirrors_in_the_clusters_words(release):
    kubernetes = open_target("kubernetes")
    (rollout,) = read(kubernetes.files(replace(release, strategy="blue_green"))["rollouts/rollout.yaml"])
    assert rollout["spec"]["strategy"]["blueGreen"]["activeService"] == release.name
    (route,) = read(kubernetes.files(replace(release, strategy="shadow"))["gateway/route.yaml"])
    assert route["spec"]["rules"][0]["filters"][0]["type"] == "RequestMirror"
    assert "weight" not in json.dumps(route)


def weights(content):
    (route,) = read(content)
    return {one["name"]: one["weight"] for one in route["spec"]["rules"][0]["backendRefs"]}


@pytest.mark.parametrize(
    ("strategy", "first", "shares"),
    [
        ("canary", 5, [0, 5, 25, 50, 100]),
        ("blue_green", 0, [0, 100]),
        ("ab", 50, [0, 50, 100]),
        ("shadow", None, [0]),
    ],
)
def test_every_step_is_a_route_and_so_is_the_way_back(release, strategy, first, shares):
    files = open_target("kubernetes").files(replace(release, strategy=strategy))
    steps = {name: content for name, content in files.items() if name.startswith("gateway/weights/")}
    assert sorted(steps) == [f"gateway/weights/{share:03}.yaml" for share in shares]
    champion, challenger = release.name, f"{release.name}-challenger"
    for share, name in zip(shares, sorted(steps), strict=True):
        assert weights(steps[name]) == {champion: 100 - share, challenger: share}
    if first is not None:
        assert files["gateway/route.yaml"] == steps[f"gateway/weights/{first:03}.yaml"]


def test_what_a_topic_asks_for_is_a_secret_of_the_cluster_and_a_way_out(release, monkeypatch):
    monkeypatch.setattr("everloop.deploy.targets.serving_files.metadata.version", lambda _: "1.0")
    topic = TopicSettings(
        "kafka://broker:9092/loans", {"sasl.username": "us", "sasl.password": "env:PASSWORD"}
    )
    kubernetes, stated = open_target("kubernetes"), replace(release, topic=topic)
    files = kubernetes.files(stated)
    (deployment,) = read(files["base/deployment.yaml"])
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    reference = {"name": f"{release.name}-topic", "key": "PASSWORD"}
    assert {"name": "PASSWORD", "valueFrom": {"secretKeyRef": reference}} in server["env"]
    told = f"kubectl create secret generic {release.name}-topic --from-literal=PASSWORD=$PASSWORD"
    assert told in kubernetes.commands(stated)
    assert "-e PASSWORD " in open_target("docker").commands(stated)[1]
    (network,), (closed,) = (read(one["base/network.yaml"]) for one in (files, kubernetes.files(release)))
    assert (network["spec"]["egress"], closed["spec"]["egress"]) == ([{}], [])


def test_what_a_topic_asks_for_in_a_file_is_a_secret_too(release, monkeypatch, tmp_path):
    monkeypatch.setattr("everloop.deploy.targets.serving_files.metadata.version", lambda _: "1.0")
    (tmp_path / "pass word").write_text("not told\n")
    options = {"sasl.username": "env:US", "sasl.password": f"file:{tmp_path}/pass word", "acks": "all"}
    stated = replace(release, topic=TopicSettings("kafka://broker:9092/loans", options))
    for name, settings in (("docker", "settings.json"), ("kubernetes", "image/settings.json")):
        told = msgspec.json.decode(open_target(name).files(stated)[settings], type=ServerSettings)
        assert told.topic.options == {
            "sasl.username": "env:US",
            "sasl.password": "env:EVERLOOP_TOPIC_SASL_PASSWORD",
            "acks": "all",
        }
    kubernetes = open_target("kubernetes")
    (deployment,) = read(kubernetes.files(stated)["base/deployment.yaml"])
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    name = "EVERLOOP_TOPIC_SASL_PASSWORD"
    reference = {"name": f"{release.name}-topic", "key": name}
    assert {"name": name, "valueFrom": {"secretKeyRef": reference}} in server["env"]
    (command,) = [one for one in kubernetes.commands(stated) if "-topic " in one]
    shown = subprocess.run(
        ["sh", "-c", command.replace("kubectl", "printf '%s\\n'")],
        env={"US": "me", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert shown[-2:] == [f"--from-literal={name}=not told", "--from-literal=US=me"]


def of_another(release, name, **changes):
    """The release as that of a lifecycle of another name."""
    folder = release.package.parent / name
    if not folder.exists():
        shutil.copytree(release.package, folder)
        manifest = msgspec.structs.replace(read_manifest(folder), lifecycle=name, version=2, files={})
        (folder / "manifest.json").unlink()
        write_manifest(folder, manifest)
    return replace(release, package=folder, manifest=read_manifest(folder), **changes)


@contextmanager
def serving(folder, environment):
    """Starts what was exported, in its folder; it has to end well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "everloop.runtime.server", "settings.json"],
        cwd=folder,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ready = process.stdout.readline().split()
        yield f"http://127.0.0.1:{ready[1].rpartition(':')[2]}" if ready else ""
    finally:
        process.terminate()
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")


def test_several_lifecycles_are_one_server_each_with_its_own_tokens_and_log(release, tmp_path):
    churn = of_another(release, "churn", private={"x": "hash"}, roles=("predict",))
    several = replace(release, beside=(churn,), port=free_port())
    docker = open_target("docker")
    export(several, docker, tmp_path / "srv")
    settings = ServerSettings.load(tmp_path / "srv" / "settings.json")
    variables = {one: one.lower() for each in settings.each() for one in each.secrets.values()}
    assert variables.keys() == {
        "env:EVERLOOP_MODEL_PREDICT_TOKEN",
        "env:EVERLOOP_MODEL_FEEDBACK_TOKEN",
        "env:EVERLOOP_MODEL_ADMIN_TOKEN",
        "env:EVERLOOP_CHURN_PREDICT_TOKEN",
    }
    environment = {name.removeprefix("env:"): token for name, token in variables.items()}
    environment |= {"EVERLOOP_CHURN_LOG_KEY": "5e" * 32, "PYTHONPATH": "code"}
    assert all(f"-e {name} " in docker.commands(several)[1] for name in environment if "PATH" not in name)
    with serving(tmp_path / "srv", environment) as url:
        for name, row in (("model", {"x": 3.0}), ("churn", {"x": 4.0})):
            token = {"authorization": f"Bearer env:everloop_{name}_predict_token"}
            answer = httpx.post(f"{url}/models/{name}/predict", json=row, headers=token)
            assert answer.json()["version"] == (2 if name == "churn" else release.manifest.version)
            other = {"model": "churn", "churn": "model"}[name]
            assert httpx.post(f"{url}/models/{other}/predict", json=row, headers=token).status_code == 401
    asked, hashed = (read_log(tmp_path / "srv" / "log" / name) for name in ("model", "churn"))
    assert asked.rows({"x": "number"}).rows() == [(3.0,)]
    assert hashed.rows({"x": "number"}).rows() == [(None,)], "what is private and no text is not kept"
    assert {path.name for path in (tmp_path / "srv").iterdir()} == {
        *{name.partition("/")[0] for name in docker.files(several)}, "log", "everloop-export.json"
    }  # fmt: skip


def test_several_lifecycles_in_a_clusters_words(release, monkeypatch):
    monkeypatch.setattr("everloop.deploy.targets.serving_files.metadata.version", lambda _: "1.0")
    topic = TopicSettings("kafka://broker:9092/all", {"sasl.password": "env:PASSWORD"})
    churn = of_another(release, "churn", topic=topic, roles=("predict", "admin"))
    several = replace(release, beside=(churn,), topic=topic)
    kubernetes = open_target("kubernetes")
    assert several.image == f"model:v{release.manifest.version}-v2"
    files = {name: read(one) for name, one in kubernetes.files(several).items() if name.endswith(".yaml")}
    (deployment,) = files["base/deployment.yaml"]
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    names = [one["name"] for one in server["env"]]
    assert len(names) == len(set(names)), "a variable that both read is there once"
    assert {"EVERLOOP_MODEL_ADMIN_TOKEN", "EVERLOOP_CHURN_ADMIN_TOKEN", "PASSWORD"} < set(names)
    (monitor,) = files["monitoring/servicemonitor.yaml"]
    asked = [one["authorization"]["credentials"]["name"] for one in monitor["spec"]["endpoints"]]
    assert asked == ["model-tokens", "churn-tokens"]
    assert files["base/network.yaml"][0]["spec"]["egress"] == [{}]
    told = [one for one in kubernetes.commands(several) if "secret generic" in one]
    assert [one.split()[4] for one in told] == ["model-tokens", "model-topic", "churn-tokens"]


@pytest.mark.parametrize("name", sorted(set(known_targets()) - set(APART)))
def test_a_place_that_takes_one_lifecycle_refuses_several(release, name, tmp_path):
    several, target = replace(release, beside=(of_another(release, "churn"),)), open_target(name)
    if target.capabilities.several:
        export(several, target, tmp_path / "out")
        assert list((tmp_path / "out").rglob("package/churn/manifest.json"))
    else:
        with pytest.raises(UsageFault, match="takes one lifecycle"):
            export(several, target, tmp_path / "out")


def test_several_lifecycles_that_cannot_be_told_apart_are_refused(release):
    with pytest.raises(UsageFault, match="Two lifecycles of one server are called 'model'"):
        replace(release, beside=(release,))
    fields = {"runtime": "python", "requirements": {"scikit-learn": "1.7.0"}}
    one = replace(release, manifest=msgspec.structs.replace(release.manifest, **fields))
    fields["requirements"] = {"scikit-learn": "1.8.0"}
    other = of_another(release, "churn")
    other = replace(other, manifest=msgspec.structs.replace(other.manifest, **fields))
    with pytest.raises(UsageFault, match=r"churn needs scikit-learn 1\.8\.0"):
        open_target("docker").files(replace(one, beside=(other,)))


def test_kserves_container_says_nothing_that_knative_refuses(release):
    """Fields that its door lets through without a feature flag: `pkg/apis/serving/fieldmask.go` of Knative."""
    files = open_target("kserve").files(release)
    (service,) = read(files["inferenceservice.yaml"])
    predictor = service["spec"]["predictor"]
    (server,) = predictor["containers"]
    assert "securityContext" not in predictor
    assert "lifecycle" not in server
    assert "fieldRef" not in json.dumps(server)
    assert server["securityContext"]["runAsNonRoot"] is True
    (account,) = read(files["serviceaccount.yaml"])
    assert predictor["serviceAccountName"] == account["metadata"]["name"]
    assert account["automountServiceAccountToken"] is False


def test_pods_have_no_root_and_no_writable_system(release):
    (deployment,) = read(open_target("kubernetes").files(release)["base/deployment.yaml"])
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (server,) = pod["containers"]
    assert server["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"startupProbe", "readinessProbe", "livenessProbe", "resources"} <= server.keys()


def test_an_export_that_fails_leaves_the_earlier_one(release, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    export(release, open_target("onnx"), folder)
    before = sorted(path.name for path in folder.iterdir())

    def full(work, final):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("everloop.deploy.targets.exporting.publish_folder", full)
    with pytest.raises(StorageFull, match="No room"):
        export(release, open_target("docker"), folder)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# Lambda -----------------------------------------------------------------------------------------------


@pytest.fixture
def handler(release, tmp_path, monkeypatch):
    from everloop.runtime.aws_lambda import LambdaHandler

    monkeypatch.setenv("EVERLOOP_LOG", str(tmp_path / "log"))
    made = LambdaHandler(release.package)
    yield made
    made.close()


def test_events_of_each_kind_are_answered_alike(handler, release, tmp_path):
    from everloop.runtime.log import read_log

    row = {"x": 3.0}
    expected = el.runtime.Package(release.package).answer(row)
    alone = handler(row)
    headers = {"Content-Type": "application/json"}
    second = handler(
        {
            "version": "2.0",
            "rawPath": "/predict",
            "rawQueryString": "",
            "headers": headers,
            "requestContext": {"http": {"method": "POST", "path": "/predict"}},
            "body": "eyJ4IjogMy4wfQ==",
            "isBase64Encoded": True,
        }
    )
    first = handler(
        {
            "httpMethod": "POST",
            "path": "/invocations",
            "headers": headers,
            "body": '{"instances": [{"x": 3.0}]}',
        }
    )
    assert alone["score"] == json.loads(second["body"])["score"] == expected.score
    assert json.loads(first["body"])["predictions"] == [expected.prediction]
    assert second["statusCode"] == first["statusCode"] == 200
    assert read_log(tmp_path / "log").predictions.height == 3


def test_what_is_refused_is_an_answer_or_a_failed_invocation(handler):
    refused = handler(
        {
            "httpMethod": "GET",
            "path": "/nothing",
            "headers": None,
            "body": None,
            "queryStringParameters": None,
        }
    )
    assert refused["statusCode"] == 404
    for event in ({"x": "many"}, 3, None, "text"):
        with pytest.raises(DataFault, match="title"):
            handler(event)


@pytest.mark.parametrize(("sound", "decoder"), [(None, True), (Spectrogram(8_000, 800, 256, 272, 3), False)])
def test_what_decodes_images_is_installed_where_rows_carry_them(release, tmp_path, sound, decoder):
    encoder = GridEncoder("picture", 0, 3, 3, 1, 0.0, 255.0, 0.0, 1.0, sound=sound)
    shutil.copytree(release.package, tmp_path / "package")
    Plan((PlanInput("picture", "text"),), (encoder,), 9).save(tmp_path / "package/plan.json")
    files = open_target("docker").files(replace(release, package=tmp_path / "package"))
    assert ("pillow==" in files["requirements.txt"].decode()) is decoder
    plain = open_target("docker").files(release)["requirements.txt"].decode()
    assert "pillow" not in plain


def test_what_matches_patterns_is_installed_where_the_contract_has_one(release, tmp_path):
    shutil.copytree(release.package, tmp_path / "package")
    contract = json.loads((release.package / "contract.json").read_text())
    for pattern in (None, "[a-z][0-9]{1,4}"):
        contract["columns"][0]["pattern"] = pattern
        (tmp_path / "package/contract.json").write_text(json.dumps(contract))
        files = open_target("docker").files(replace(release, package=tmp_path / "package"))
        assert ("pydantic-core==" in files["requirements.txt"].decode()) is (pattern is not None)


def test_an_archive_for_lambda_leaves_out_what_serving_never_loads(release):
    archive = open_target("lambda").commands(release)[0]
    assert "'onnxruntime/capi/libonnxruntime.so*' 'onnxruntime/transformers/*'" in archive


def test_the_graphs_next_command_tells_its_inputs(release, tmp_path):
    target = open_target("onnx")
    export(release, target, tmp_path / "graph")
    script = target.commands(release)[0].split('"')[1]
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "graph", capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("[('x', 'tensor(")
