"""The image by itself, as docs/service.md runs it: by Lambda's runtime emulator, without a gateway."""

from __future__ import annotations

import json
import re
import subprocess

from sandbox.base_image import BaseImage
from sandbox.emulator import free_port
from sandbox.paths import ROOT

NAME = "people-by-itself"


def test_the_image_answers_an_event_as_the_page_says(base_image: BaseImage) -> None:
    page = (ROOT / "docs/service.md").read_text()
    block = next(text for text in re.findall(r"```console\n(.*?)```", page, re.DOTALL) if "docker run" in text)
    # A base image that can be had here, a free port, and a name that is nobody else's.
    script = block.replace("docker build ", f"docker build --quiet --build-arg BASE_IMAGE={base_image.reference} ")
    script = re.sub(r"\bpeople\b(?!-)", NAME, script).replace("9000", str(free_port()))
    try:
        done = subprocess.run(["bash", "-ec", script], cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["docker", "rm", "--force", NAME], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", "--force", NAME], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    # The answer ends without a line's end.
    answer, _ = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index("{"))
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"status": "ok"}
