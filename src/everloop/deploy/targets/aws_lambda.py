"""AWS Lambda: a handler and all that it needs, as a folder to be zipped or as a container image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.deploy.targets.docker import PYTHON
from everloop.deploy.targets.serving_files import (
    CODE,
    INSTALL,
    PACKAGE,
    PRUNED,
    REQUIREMENTS,
    serving_files,
)
from everloop.deploy.targets.target import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.deploy.targets.target import Content, Release

_HANDLER = f'''"""What Lambda calls: `handler.handler`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "{CODE}"))

from everloop.runtime.aws_lambda import LambdaHandler  # noqa: E402

handler = LambdaHandler(HERE / "{PACKAGE}", trusted={{trusted}})
'''


class AwsLambda:
    """See the module."""

    name = "lambda"
    capabilities = Capabilities("a handler, to be zipped or built into an image", "AWS Lambda")

    def files(self, release: Release) -> Mapping[str, Content]:
        """Gives the handler, the Dockerfile of its image and the files that serve."""
        return {
            **serving_files(release),
            "handler.py": _HANDLER.format(trusted=release.trusted).encode(),
            "Dockerfile": _dockerfile().encode(),
        }

    def commands(self, release: Release) -> tuple[str, ...]:
        """Gives both ways: an archive, or an image."""
        name = release.name
        create = (
            f"aws lambda create-function --function-name {name} --runtime python{PYTHON}",
            "--memory-size 512 --environment Variables={OMP_NUM_THREADS=1} --role $ROLE",
            f"--handler handler.handler --zip-file fileb://../{name}.zip",
        )
        return (
            f"pip install -q -t . -r {REQUIREMENTS} && zip -qr ../{name}.zip . -x {_left_out()}",
            " ".join(create),
            f"docker build -t {release.image} .  # or as an image",
        )


def _left_out() -> str:
    """Gives what the archive does not hold: Lambda takes one of 50 MB at most."""
    below = [one if one.endswith("*") else f"{one}/*" for one in PRUNED if "/" in one]
    return " ".join(["Dockerfile", INSTALL, *(f"'{one}'" for one in below)])


def _dockerfile() -> str:
    return f"""FROM public.ecr.aws/lambda/python:{PYTHON}
COPY {REQUIREMENTS} ./
RUN pip install --no-cache-dir --no-compile -r {REQUIREMENTS} -t "$LAMBDA_TASK_ROOT"
COPY {CODE} ${{LAMBDA_TASK_ROOT}}/{CODE}
COPY {PACKAGE} ${{LAMBDA_TASK_ROOT}}/{PACKAGE}
COPY handler.py ${{LAMBDA_TASK_ROOT}}/
ENV OMP_NUM_THREADS=1
CMD ["handler.handler"]
"""
