"""Kubernetes: a Deployment with all that belongs to it, and each strategy in the cluster's own words.

The folder is a Kustomize base with what may be put over it: `kubectl apply -k .` applies the base. A strategy
may run in process, as everywhere else, or be the cluster's: `rollouts/` puts Argo's Rollout over the base,
`gateway/` gives the challenger pods of its own and divides what is asked by weights of the Gateway API.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from everloop.deploy.targets.cluster_strategies import CHALLENGER, first_route, rollout, routes
from everloop.deploy.targets.docker import Docker
from everloop.deploy.targets.environment import secret_commands
from everloop.deploy.targets.manifests import yaml_of
from everloop.deploy.targets.pods import about, account, labels, pod
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

BASE = "base"
_NAME_LABEL = "app.kubernetes.io/name"


class Kubernetes:
    """See the module."""

    name = "kubernetes"
    capabilities = Capabilities(
        "a Kustomize base with overlays, and the image's build context",
        "Kubernetes 1.27 or newer",
        rolls_out=("blue_green", "canary", "ab", "shadow"),
        several=True,
    )

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the manifests, and below `image/` the context of the image that they name."""
        base = {
            "serviceaccount.yaml": account(release),
            "deployment.yaml": _deployment(release),
            "service.yaml": _service(release),
            "autoscaler.yaml": _autoscaler(release),
            "disruption.yaml": _disruption(release),
            "network.yaml": _network(release),
        }
        manifests = {
            "kustomization.yaml": _kustomization(BASE),
            **{f"{BASE}/{name}": manifest for name, manifest in base.items()},
            f"{BASE}/kustomization.yaml": _kustomization(*base),
            "monitoring/servicemonitor.yaml": _monitor(release),
            "monitoring/kustomization.yaml": _kustomization("servicemonitor.yaml"),
            "rollouts/rollout.yaml": rollout(release),
            "rollouts/kustomization.yaml": _over_base_with_rollout(),
            "gateway/route.yaml": first_route(release),
            "gateway/kustomization.yaml": _kustomization("challenger", "route.yaml"),
            "gateway/challenger/kustomization.yaml": _challenger(release),
            **{f"gateway/weights/{share:03}.yaml": route for share, route in routes(release).items()},
        }
        context = {f"image/{name}": content for name, content in Docker().files(release).items()}
        return {name: yaml_of(manifest) for name, manifest in manifests.items()} | context

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives how to build the image, hand over the secrets and apply it."""
        return (
            f"docker build -t {release.image} image",
            *secret_commands(release),
            "kubectl apply -k .",
        )


def _deployment(release: Release) -> dict[str, Any]:
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


def _service(release: Release) -> dict[str, Any]:
    ports: list[dict[str, Any]] = [{"name": "http", "port": 80, "targetPort": "http"}]
    if release.grpc_port is not None:
        grpc = {"name": "grpc", "port": release.grpc_port, "targetPort": "grpc"}
        ports.append(grpc | {"appProtocol": "kubernetes.io/h2c"})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": about(release),
        "spec": {"selector": labels(release, version=False), "ports": ports},
    }


def _autoscaler(release: Release) -> dict[str, Any]:
    busy = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": about(release),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": release.name},
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
            # Without features of other sources and a topic nothing outside is asked.
            "egress": [{}] if _asks_others(release) else [],
        },
    }


def _asks_others(release: Release) -> bool:
    return any(one.joins or one.topic is not None for one in release.each)


def _monitor(release: Release) -> dict[str, Any]:
    names = [release.name, f"{release.name}{CHALLENGER}"]
    both = {"key": _NAME_LABEL, "operator": "In", "values": names}
    endpoints = [_scraped(release, one) for one in release.each]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": about(release),
        "spec": {"selector": {"matchExpressions": [both]}, "endpoints": endpoints},
    }


def _scraped(release: Release, one: Release) -> dict[str, Any]:
    """Gives how the numbers of a lifecycle are asked for, which are told to its own administrator."""
    scrape: dict[str, Any] = {"port": "http", "path": "/metrics", "interval": "15s"}
    if "admin" in one.roles:
        credentials = {"name": f"{one.name}-tokens", "key": "admin"}
        scrape["authorization"] = {"type": "Bearer", "credentials": credentials}
    if release.beside:  # else what is said of the server would be said twice under one name
        scrape["relabelings"] = [{"targetLabel": "administrator", "replacement": one.name}]
    return scrape


def _kustomization(*resources: str) -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(resources),
    }


def _over_base_with_rollout() -> dict[str, Any]:
    """Gives what takes the Deployment out of the autoscaler's hands and puts Argo's Rollout into them."""
    scaled = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    patch = [
        {"op": "replace", "path": f"/spec/scaleTargetRef/{key}", "value": value}
        for key, value in scaled.items()
    ]
    patches = [{"target": {"kind": "HorizontalPodAutoscaler"}, "patch": json.dumps(patch)}]
    return _kustomization(f"../{BASE}", "rollout.yaml") | {"patches": patches}


def _challenger(release: Release) -> dict[str, Any]:
    """Gives the base again under another name and other labels: nothing selects what is of the champion."""
    named = {"pairs": {_NAME_LABEL: f"{release.name}{CHALLENGER}"}, "includeSelectors": True}
    return _kustomization(f"../../{BASE}") | {"nameSuffix": CHALLENGER, "labels": [named]}
