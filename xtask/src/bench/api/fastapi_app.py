"""The same answers as dicts that a FastAPI handler returns, as its documentation shows. For `cargo xtask bench api`."""

import json
import os
from pathlib import Path

from fastapi import FastAPI

app = FastAPI()


def add(name: str, answer: dict) -> None:
    @app.get(f"/bytes/{name}", name=name)
    async def handler() -> dict:
        return answer


for path in Path(os.environ["BENCH_BODIES"]).glob("*.json"):
    add(path.stem, json.loads(path.read_text()))
