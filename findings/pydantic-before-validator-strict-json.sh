#!/usr/bin/env bash
# Guess: a validator that runs before a field and returns its value as it came changes nothing.
# Seen (pydantic 2.14.3): in strict mode, JSON lists are accepted for tuples, since JSON has no
# tuples. Below a before-validator that is forgotten: values count as Python's there, and the same
# JSON is refused.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pydantic==2.14.3
cat > strict.py <<'PYTHON'
import sys
from typing import Annotated

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)


class Schedule(Strict):
    steps: tuple[int, ...]


class Plain(Strict):
    schedule: Schedule


class Before(Strict):
    schedule: Annotated[Schedule, BeforeValidator(lambda value: value)]


content = '{"schedule": {"steps": [10, 20]}}'
plain = Plain.model_validate_json(content).schedule.steps
try:
    before = str(Before.model_validate_json(content).schedule.steps)
except ValidationError as error:
    before = error.errors()[0]["type"]
print(f"pydantic {pydantic.VERSION}: plain {plain}, below a before-validator: {before}")
sys.exit((plain, before) != ((10, 20), "tuple_type"))
PYTHON
venv/bin/python strict.py
