"""`everloop export` of a judged window."""

from __future__ import annotations

from pathlib import Path

from everloop.cli.output import Answer
from everloop.cli.reading import opened


def export_window(name: str, file: Path, window: str | None, output: Path | None) -> Answer:
    """Writes a window as another tool's file, and names what that cannot say.

    Args:
        name: The format.
        file: The lifecycle file.
        window: The window's id; the last one when None.
        output: The file to write.

    Raises:
        UsageFault: When there is such a file already.
    """
    from everloop.core.errors import UsageFault
    from everloop.core.files import write_file
    from everloop.core.values import to_jsonable
    from everloop.loop.judged_window import judged_window
    from everloop.monitor.formats import open_format

    format_ = open_format(name)
    with opened(file) as workspace:
        found = judged_window(workspace, window)
    target = output or Path(f"{found.id}-{name}{format_.suffix}")
    if target.exists():
        raise UsageFault(
            f"{target} is there already.", hint=f"everloop export {name} --window {found.id} --out OTHER"
        )
    written = format_.write(found)
    write_file(target, written.content)
    facts = {
        "target": name,
        "lifecycle": found.lifecycle,
        "window": found.id,
        "since": to_jsonable(found.since),
        "until": to_jsonable(found.until),
        "rows": found.state.rows,
        "file": str(target),
        "left_out": list(written.left_out),
    }
    told = f"wrote {found.id} ({found.state.rows:,} predictions) for {format_.platform} to {target}"
    return Answer(facts, "\n".join([told, *(f"  left out: {one}" for one in written.left_out)]))
