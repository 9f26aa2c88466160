"""The pod in which a version serves, and what every manifest says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.deploy.targets.docker import USER
from everloop.deploy.targets.environment import cluster_secrets

if TYPE_CHECKING:
    from everloop.deploy.targets.target import Release

LOG_BYTES = "2Gi"


def labels(release: Release, *, version: bool = True) -> dict[str, str]:
    """Gives the labels of everything; those that select leave the version out."""
    plain = {"app.kubernetes.io/name": release.name, "app.kubernetes.io/managed-by": "everloop"}
    return plain | ({"app.kubernetes.io/version": release.tag} if version else {})


def about(release: Release) -> dict[str, Any]:
    """Gives a manifest's metadata."""
    return {"name": release.name, "labels": labels(release)}


def account(release: Release) -> dict[str, Any]:
    """Gives the account of the pods, which may ask the cluster nothing."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": about(release),
        "automountServiceAccountToken": False,
    }


def container(release: Release) -> dict[str, Any]:
    """Gives the container that serves: no root, a read-only root, probes, bounded resources."""
    ports = [{"name": "http", "containerPort": release.port}]
    if release.grpc_port is not None:
        ports.append({"name": "grpc", "containerPort": release.grpc_port})
    secrets = [
        {"name": variable.name, "valueFrom": {"secretKeyRef": {"name": name, "key": variable.key}}}
        for name, group in cluster_secrets(release).items()
        for variable in group
    ]
    name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    return {
        "name": "server",
        "image": release.image,
        "args": ["--worker", "$(POD_NAME)"],
        "env": [name, *secrets],
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


def _probe(path: str, **bounds: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 2, **bounds}
