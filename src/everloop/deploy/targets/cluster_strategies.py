"""Each strategy in a cluster's own words: a Rollout of Argo, weights and mirrors of the Gateway API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.deploy.targets.pods import about, labels

if TYPE_CHECKING:
    from everloop.deploy.targets.target import Release

GATEWAY = "gateway"
CHALLENGER = "-challenger"
"""What the name of everything of the challenger ends with, where both have pods of their own."""


def rollout(release: Release) -> dict[str, Any]:
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


def routes(release: Release) -> dict[int, dict[str, Any]]:
    """Gives the Gateway API's routes by the challenger's percentage: the way back first, then the steps."""
    stated = {
        "blue_green": (100,),
        "ab": (50, 100),
        "bandit": (50, 100),  # a bandit moves its share in process alone
        "shadow": (),
    }
    steps = stated.get(release.strategy, [max(1, round(100 * share)) for share in release.steps])
    return {share: _route(release, share) for share in (0, *steps)}


def first_route(release: Release) -> dict[str, Any]:
    """Gives the route that begins the strategy: no share yet, the first step's, or a mirror."""
    if release.strategy == "shadow":
        return _route(release, 0, mirrored=True)
    weighted = routes(release)
    return weighted[0] if release.strategy == "blue_green" else weighted[[*weighted][1]]


def _route(release: Release, share: int, *, mirrored: bool = False) -> dict[str, Any]:
    champion = {"name": release.name, "port": 80}
    challenger = {"name": f"{release.name}{CHALLENGER}", "port": 80}
    rule: dict[str, Any] = {
        "backendRefs": [champion | {"weight": 100 - share}, challenger | {"weight": share}]
    }
    if mirrored:
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": challenger}}
        rule = {"filters": [mirror], "backendRefs": [champion]}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": about(release),
        "spec": {"parentRefs": [{"name": GATEWAY}], "rules": [rule]},
    }
