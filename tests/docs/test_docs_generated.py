"""Pages that are made from the source say what the source says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATE = ROOT / "docs" / "generate.py"


def run(*arguments, folder=ROOT):
    return subprocess.run(
        [sys.executable, str(GENERATE), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=600,
        check=False,
    )


def test_generated_pages_are_current(tmp_path):
    done = run("--check", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", ["lifecycle-file.md", "errors.md"])
def test_tables_are_whole(page):
    text = (ROOT / "docs" / page).read_text()
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_links_of_the_lifecycle_page_lead_somewhere():
    text = (ROOT / "docs" / "lifecycle-file.md").read_text()
    # GitHub's rule: letters, digits, - and _ of the heading, in lower case, spaces as -.
    headings = {
        "".join(c for c in line[3:].lower().replace(" ", "-") if c.isalnum() or c in "-_")
        for line in text.splitlines()
        if line.startswith("## ")
    }
    assert set(re.findall(r"\(#([^)]*)\)", text)) <= headings
    for page in re.findall(r"\]\(([a-z-]+\.md)\)", text):
        assert (ROOT / "docs" / page).exists()


def test_every_code_is_listed_once():
    codes = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "errors.md").read_text(), re.MULTILINE)
    assert len(codes) == len(set(codes)) > 15
    assert {"spec", "data", "leak", "already-recorded", "record-too-new"} <= set(codes)
