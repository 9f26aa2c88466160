"""What an export writes for a cluster."""
# ruff: noqa: INP001

from ruamel.yaml import YAML

from everloop.deploy.targets import open_target


def manifests_of(release, target="kubernetes"):
    """Gives the manifests of an export that a cluster takes, by their paths."""
    files = open_target(target).files(release)
    read = {name: YAML(typ="safe").load(files[name].decode()) for name in files if name.endswith(".yaml")}
    return {name: one for name, one in read.items() if one["kind"] != "Kustomization"}
