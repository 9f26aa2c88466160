"""Kubernetes: a Deployment with all that belongs to it, and each strategy in the cluster's own words.

The folder is a Kustomize base: `kubectl apply -k .`. A strategy may run in process, as everywhere else, or
be the cluster's: `rollouts/` for Argo Rollouts, `gateway/` for weights of the Gateway API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.deploy.targets.docker import USER, Docker
from everloop.deploy.targets.manifests import yaml_of
from everloop.deploy.targets.serving_files import ONLINE_VARIABLE, secret_command, token_variable
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

GATEWAY = "gateway"
DEPLOYMENT, ROLLOUT = ("apps/v1", "Deployment"), ("argoproj.io/v1alpha1", "Rollout")
LOG_BYTES = "2Gi"


class Kubernetes:
    """See the module."""

    name = "kubernetes"
    capabilities = Capabilities(
        "a Kustomize base and the image's build context",
        "Kubernetes 1.27 or newer",
        rolls_out=("blue_green", "canary", "ab", "shadow"),
    )

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the manifests, and below `image/` the context of the image that they name."""
        manifests = {
            "serviceaccount.yaml": [_account(release)],
            "deployment.yaml": [deployment(release)],
            "service.yaml": [_service(release)],
            "autoscaler.yaml": [_autoscaler(release, DEPLOYMENT)],
            "disruption.yaml": [_disruption(release)],
            "network.yaml": [_network(release)],
            "monitoring/servicemonitor.yaml": [_monitor(release)],
            "monitoring/kustomization.yaml": [_kustomization("servicemonitor.yaml")],
            "rollouts/rollout.yaml": [_rollout(release)],
            # Of the base's name: applied after it, it takes the Deployment out of the autoscaler's hands.
            "rollouts/autoscaler.yaml": [_autoscaler(release, ROLLOUT)],
            "rollouts/kustomization.yaml": [_kustomization("rollout.yaml", "autoscaler.yaml")],
            "gateway/route.yaml": [_route(release)],
            "gateway/kustomization.yaml": [_kustomization("route.yaml")],
        }
        base = [name for name in manifests if "/" not in name]
        manifests["kustomization.yaml"] = [_kustomization(*base)]
        context = {f"image/{name}": content for name, content in Docker().files(release).items()}
        return {name: yaml_of(*documents) for name, documents in manifests.items()} | context

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how to build the image, hand over the tokens and apply it."""
        return (
            f"docker build -t {release.image} image",
            secret_command(release),
            "kubectl apply -k .",
        )


def labels(release: Release, *, version: bool = True) -> dict[str, str]:
    """Gives the labels of everything; those that select leave the version out."""
    plain = {"app.kubernetes.io/name": release.name, "app.kubernetes.io/managed-by": "everloop"}
    return plain | ({"app.kubernetes.io/version": release.tag} if version else {})


def about(release: Release, name: str | None = None) -> dict[str, Any]:
    """Gives a manifest's metadata."""
    return {"name": name or release.name, "labels": labels(release)}


def container(release: Release) -> dict[str, Any]:
    """Gives the container that serves: no root, a read-only root, probes, bounded resources."""
    ports = [{"name": "http", "containerPort": release.port}]
    if release.grpc_port is not None:
        ports.append({"name": "grpc", "containerPort": release.grpc_port})
    tokens = [
        {
            "name": token_variable(role),
            "valueFrom": {"secretKeyRef": {"name": f"{release.name}-tokens", "key": role}},
        }
        for role in release.roles
    ]
    if release.joins:
        store = {"name": f"{release.name}-online", "key": "address"}
        tokens.append({"name": ONLINE_VARIABLE, "valueFrom": {"secretKeyRef": store}})
    name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return {
        "name": "server",
        "image": release.image,
        "args": ["--worker", "$(POD_NAME)"],
        "env": [name, *tokens],
        "ports": ports,
        "startupProbe": _probe("/health/ready", periodSeconds=1, failureThreshold=60),
        "readinessProbe": _probe("/health/ready", periodSeconds=5, failureThreshold=2),
        "livenessProbe": _probe("/health/live", periodSeconds=10, failureThreshold=3),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
        "resources": {
            "requests": {"cpu": "250m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "log", "mountPath": "/srv/log"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def pod(release: Release) -> dict[str, Any]:
    """Gives the template of a pod."""
    return {
        "metadata": {"labels": labels(release)},
        "spec": {
            "serviceAccountName": release.name,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 30,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container(release)],
            "volumes": [
                {"name": "log", "emptyDir": {"sizeLimit": LOG_BYTES}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            ],
            "topologySpreadConstraints": [
                {
                    "maxSkew": 1,
                    "topologyKey": "kubernetes.io/hostname",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": labels(release, version=False)},
                }
            ],
        },
    }


def deployment(release: Release) -> dict[str, Any]:
    """Gives the Deployment, which replaces its pods one by one and never has fewer than it needs.

    It states no count: that is the autoscaler's, and a stated one would undo it whenever this is applied.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": about(release),
        "spec": {
            "selector": {"matchLabels": labels(release, version=False)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": pod(release),
        },
    }


def _probe(path: str, **bounds: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 2, **bounds}


def _account(release: Release) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": about(release),
        "automountServiceAccountToken": False,
    }


def _service(release: Release, name: str | None = None) -> dict[str, Any]:
    ports: list[dict[str, Any]] = [{"name": "http", "port": 80, "targetPort": "http"}]
    if release.grpc_port is not None:
        grpc = {"name": "grpc", "port": release.grpc_port, "targetPort": "grpc"}
        ports.append(grpc | {"appProtocol": "kubernetes.io/h2c"})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": about(release, name),
        "spec": {"selector": labels(release, version=False), "ports": ports},
    }


def _autoscaler(release: Release, scaled: tuple[str, str]) -> dict[str, Any]:
    version, kind = scaled
    busy = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": about(release),
        "spec": {
            "scaleTargetRef": {"apiVersion": version, "kind": kind, "name": release.name},
            "minReplicas": 2,
            "maxReplicas": 10,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": busy}}],
        },
    }


def _disruption(release: Release) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": about(release),
        "spec": {"minAvailable": 1, "selector": {"matchLabels": labels(release, version=False)}},
    }


def _network(release: Release) -> dict[str, Any]:
    ports = [{"protocol": "TCP", "port": "http"}]
    if release.grpc_port is not None:
        ports.append({"protocol": "TCP", "port": "grpc"})
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": about(release),
        "spec": {
            "podSelector": {"matchLabels": labels(release, version=False)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": ports}],
            # Without features of other sources nothing outside is asked.
            "egress": [{}] if release.joins else [],
        },
    }


def _monitor(release: Release) -> dict[str, Any]:
    scrape: dict[str, Any] = {"port": "http", "path": "/metrics", "interval": "15s"}
    if "admin" in release.roles:
        credentials = {"name": f"{release.name}-tokens", "key": "admin"}
        scrape["authorization"] = {"type": "Bearer", "credentials": credentials}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": about(release),
        "spec": {"selector": {"matchLabels": labels(release, version=False)}, "endpoints": [scrape]},
    }


def _rollout(release: Release) -> dict[str, Any]:
    """Gives Argo's Rollout over the Deployment's template, by the lifecycle's own strategy and steps.

    Once it has pods of its own that are ready, Argo takes the Deployment's away.
    """
    template = {"apiVersion": "apps/v1", "kind": "Deployment", "name": release.name}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": about(release),
        "spec": {
            "selector": {"matchLabels": labels(release, version=False)},
            "workloadRef": template | {"scaleDown": "onsuccess"},
            "strategy": _strategy(release),
        },
    }


def _strategy(release: Release) -> dict[str, Any]:
    if release.strategy == "blue_green":
        return {"blueGreen": {"activeService": release.name, "autoPromotionEnabled": False}}
    if release.strategy in ("ab", "bandit"):  # a bandit moves its share in process alone
        return {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}
    if release.strategy == "shadow":
        return {"canary": {"steps": [{"setCanaryScale": {"replicas": 1}}, {"pause": {}}]}}
    hold = {"duration": f"{max(1, round(release.hold_seconds))}s"}
    steps: list[dict[str, Any]] = []
    for share in release.steps:
        weight = max(1, round(100 * share))
        steps += [{"setWeight": weight}] if weight >= 100 else [{"setWeight": weight}, {"pause": hold}]
    return {"canary": {"steps": steps}}


def _route(release: Release) -> dict[str, Any]:
    """Gives the Gateway API's route: the first step's weight for the challenger, or its mirror."""
    champion = {"name": release.name, "port": 80}
    challenger = {"name": f"{release.name}-challenger", "port": 80}
    rule: dict[str, Any]
    if release.strategy == "shadow":
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": challenger}}
        rule = {"filters": [mirror], "backendRefs": [champion | {"weight": 100}]}
    else:
        first = {"blue_green": 0, "ab": 50, "bandit": 50}.get(
            release.strategy, max(1, round(100 * release.steps[0]))
        )
        rule = {"backendRefs": [champion | {"weight": 100 - first}, challenger | {"weight": first}]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": about(release),
        "spec": {"parentRefs": [{"name": GATEWAY}], "rules": [rule]},
    }


def _kustomization(*resources: str) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }
