"""What is written for a cluster is held to real definitions, and a field that is not theirs is refused."""
# ruff: noqa: D103, INP001, S101

import json
from copy import deepcopy

import kubernetes_validate
import pytest
from integrations.kubernetes import kserve_models, typed_manifests
from integrations.kubernetes.exported import manifests_of

VERSIONS = ("1.27", "1.31", "1.37")
BUILT_IN = {
    "Deployment",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "ServiceAccount",
}


def renamed(manifest, *path):
    """Gives a manifest whose last key of a path is misspelt by its first letter."""
    wrong = deepcopy(manifest)
    parent = wrong
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1][1:]] = parent.pop(path[-1])
    return wrong


def of_kind(release, kind, target="kubernetes"):
    return next(one for one in manifests_of(release, target).values() if one["kind"] == kind)


@pytest.fixture(scope="module")
def written(releases):
    """Everything that is written for a cluster, each once."""
    targets = [manifests_of(one, target) for one in releases for target in ("kubernetes", "kserve")]
    return list({json.dumps(one): one for manifests in targets for one in manifests.values()}.values())


def test_every_kind_is_held_to_something(written):
    assert {one["kind"] for one in written} == BUILT_IN | {*typed_manifests.TYPES, "InferenceService"}


@pytest.mark.parametrize("version", VERSIONS)
def test_kinds_that_every_cluster_has(written, version):
    for manifest in written:
        if manifest["kind"] in BUILT_IN:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", ("spec", "template", "spec", "containers", 0, "readinessProbe")),
        ("HorizontalPodAutoscaler", ("spec", "minReplicas")),
        ("NetworkPolicy", ("spec", "egress")),
        ("PodDisruptionBudget", ("spec", "minAvailable")),
        ("Service", ("spec", "ports", 0, "targetPort")),
        ("ServiceAccount", ("automountServiceAccountToken",)),
    ],
)
def test_a_misspelt_field_of_a_built_in_kind_is_refused(plain, kind, path):
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(renamed(of_kind(plain, kind), *path), VERSIONS[-1], strict=True)


def test_kinds_of_argo_the_gateway_and_prometheus(written, node_folder):
    held = [one for one in written if one["kind"] in typed_manifests.TYPES]
    assert typed_manifests.complaints(node_folder, held) == ""


def test_a_misspelt_field_of_a_kind_from_elsewhere_is_refused(plain, node_folder):
    paths = [
        ("Rollout", ("spec", "strategy", "canary", "steps", 1, "pause")),
        ("Rollout", ("spec", "workloadRef", "scaleDown")),
        ("HTTPRoute", ("spec", "rules", 0, "backendRefs", 1, "weight")),
        ("HTTPRoute", ("spec", "parentRefs")),
        ("ServiceMonitor", ("spec", "endpoints", 0, "authorization", "credentials", "key")),
        ("ServiceMonitor", ("spec", "selector", "matchExpressions")),
    ]
    wrong = [renamed(of_kind(plain, kind), *path) for kind, path in paths]
    said = typed_manifests.complaints(node_folder, wrong).splitlines()
    assert len(said) == len(paths)
    for line, (_, path) in zip(said, paths, strict=True):
        assert f"""'"{path[-1][1:]}"' does not exist in type""" in line


def test_a_value_that_breaks_a_rule_is_refused_although_its_type_is_right(plain, node_folder):
    wrong = of_kind(plain, "HTTPRoute")
    wrong["spec"]["rules"][0]["backendRefs"][1]["weight"] = -1
    assert "weight must be >= 0" in typed_manifests.complaints(node_folder, [wrong])


def test_kserves_service(written):
    held = [one for one in written if one["kind"] == "InferenceService"]
    assert [complaint for one in held for complaint in kserve_models.complaints(one)] == []


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "predictor"),
        ("spec", "predictor", "canaryTrafficPercent"),
        ("spec", "predictor", "containers", 0, "securityContext", "runAsNonRoot"),
        ("spec", "predictor", "volumes", 0, "emptyDir"),
    ],
)
def test_a_misspelt_field_of_kserves_service_is_refused(plain, path):
    wrong = renamed(of_kind(plain, "InferenceService", "kserve"), *path)
    assert any(f".{path[-1][1:]}: unknown" in one for one in kserve_models.complaints(wrong))


def test_a_value_of_another_type_in_kserves_service_is_refused(plain):
    wrong = of_kind(plain, "InferenceService", "kserve")
    wrong["spec"]["predictor"]["minReplicas"] = "two"
    assert kserve_models.complaints(wrong) == ["$.spec.predictor.minReplicas: no int"]
