"""Kubectl's own Kustomize builds what is written, and an overlay as the documentation shows it."""
# ruff: noqa: D103, INP001, S101, S603

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import kubernetes_validate
import pytest
from integrations.kubernetes import typed_manifests
from ruamel.yaml import YAML

from everloop.deploy.targets import export, open_target

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
NAME = "loan-default"
BASE = {
    ("Deployment", NAME),
    ("HorizontalPodAutoscaler", NAME),
    ("NetworkPolicy", NAME),
    ("PodDisruptionBudget", NAME),
    ("Service", NAME),
    ("ServiceAccount", NAME),
}


@pytest.fixture(scope="module")
def folder(plain, tmp_path_factory):
    made = tmp_path_factory.mktemp("cluster") / "export-kubernetes"
    export(plain, open_target("kubernetes"), made)
    return made


@pytest.fixture
def build(kubectl, node_folder):
    """Builds a folder; what comes of it is held to real definitions before it is given."""

    def built(folder):
        command = [kubectl, "kustomize", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        manifests = list(YAML(typ="safe").load_all(done.stdout))
        elsewhere = [one for one in manifests if one["kind"] in typed_manifests.TYPES]
        for manifest in manifests:
            if manifest not in elsewhere:
                kubernetes_validate.validate(manifest, "1.37", strict=True)
        assert not elsewhere or typed_manifests.complaints(node_folder, elsewhere) == ""
        return {(one["kind"], one["metadata"]["name"]): one for one in manifests}

    return built


def test_the_base_alone(build, folder):
    assert set(build(folder)) == BASE


def test_argos_rollout_takes_the_deployment_out_of_the_autoscalers_hands(build, folder):
    found = build(folder / "rollouts")
    assert set(found) == BASE | {("Rollout", NAME)}
    scaled = found["HorizontalPodAutoscaler", NAME]["spec"]["scaleTargetRef"]
    rollout = found["Rollout", NAME]
    assert scaled == {"apiVersion": rollout["apiVersion"], "kind": "Rollout", "name": NAME}
    named = rollout["spec"]["workloadRef"]
    assert (named["kind"], named["name"]) in found


def selected(selector, pods):
    return {name for name, labels in pods.items() if selector.items() <= labels.items()}


def test_what_is_of_the_champion_selects_nothing_of_the_challenger(build, folder):
    champion, beside = build(folder), build(folder / "gateway")
    challenger = f"{NAME}-challenger"
    assert set(beside) == {(kind, challenger) for kind, _ in BASE} | {("HTTPRoute", NAME)}
    every = champion | beside
    pods = {
        name: one["spec"]["template"]["metadata"]["labels"]
        for (kind, name), one in every.items()
        if kind == "Deployment"
    }
    for (kind, name), one in every.items():
        stated = one.get("spec", {})
        selector = stated.get("podSelector") or stated.get("selector")
        if selector:
            assert selected(selector.get("matchLabels", selector), pods) == {name}, kind
    pod = every["Deployment", challenger]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == challenger
    assert every["HorizontalPodAutoscaler", challenger]["spec"]["scaleTargetRef"]["name"] == challenger
    secrets = {one["valueFrom"]["secretKeyRef"]["name"] for one in pod["containers"][0]["env"][1:]}
    assert secrets == {f"{NAME}-tokens"}
    (rule,) = every["HTTPRoute", NAME]["spec"]["rules"]
    services = {name for kind, name in every if kind == "Service"}
    assert {one["name"] for one in rule["backendRefs"]} == services


def test_prometheus_finds_the_services_of_both(build, folder):
    (monitor,) = build(folder / "monitoring").values()
    (both,) = monitor["spec"]["selector"]["matchExpressions"]
    assert both["operator"] == "In"
    for found in (build(folder), build(folder / "gateway")):
        (service,) = [one for (kind, _), one in found.items() if kind == "Service"]
        assert service["metadata"]["labels"][both["key"]] in both["values"]
        ports = {one["name"] for one in service["spec"]["ports"]}
        assert {one["port"] for one in monitor["spec"]["endpoints"]} <= ports


def test_the_overlay_of_the_documentation(build, folder):
    (shown,) = re.findall(r"```yaml\n# production/kustomization.yaml\n(.+?)```", DOCS.read_text(), re.DOTALL)
    overlay = folder.parent / "production"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(shown)
    found = build(overlay)
    assert set(found) == BASE | {("ServiceMonitor", NAME)}
    assert {one["metadata"]["namespace"] for one in found.values()} == {"credit"}
    bounds = found["HorizontalPodAutoscaler", NAME]["spec"]
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (4, 40)
    (server,) = found["Deployment", NAME]["spec"]["template"]["spec"]["containers"]
    assert server["image"] == "registry.example/loan-default:v1"
    assert server["resources"]["limits"]["memory"] == "1Gi"


@pytest.mark.parametrize("strategy", ["blue_green", "ab", "shadow"])
def test_each_strategy_builds(build, plain, tmp_path, strategy):
    made = tmp_path / "out"
    export(replace(plain, strategy=strategy), open_target("kubernetes"), made)
    for overlay in ("rollouts", "gateway"):
        build(made / overlay)
