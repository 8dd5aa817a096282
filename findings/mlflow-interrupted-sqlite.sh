#!/usr/bin/env bash
# Guess: a process that is killed while MLflow makes the tables of a new SQLite file costs that file
# nothing; the next client completes them, since that is what migrations are for.
# Seen (mlflow-skinny 3.17.2, sqlalchemy 2.1.9, alembic 1.20.1): SQLite keeps the tables made so far
# without the number of their migration, so every later client begins anew and fails on a table
# that exists. The file must be deleted by hand.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    mlflow-skinny==3.17.2 sqlalchemy==2.1.9 alembic==1.20.1
cat > client.py <<'PYTHON'
import logging
import os
import sys

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow
import sqlalchemy
from mlflow import MlflowClient
from sqlalchemy.engine import Engine

logging.disable()
uri, last = sys.argv[1], int(sys.argv[2])
created = 0


@sqlalchemy.event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, *rest):
    """Ends the process, as SIGKILL would, after so many tables."""
    global created
    created += statement.lstrip().upper().startswith("CREATE TABLE")
    if last and created == last:
        os._exit(9)


try:
    MlflowClient(uri).search_experiments()
    print("works")
except Exception as error:
    print(f"mlflow {mlflow.__version__}: {type(error).__name__}: {str(error).splitlines()[0]}")
PYTHON
venv/bin/python client.py sqlite:///untouched.db 0 | tee seen
grep -qx works seen
venv/bin/python client.py sqlite:///interrupted.db 25 || echo "killed after 25 tables"
for attempt in 1 2; do
    venv/bin/python client.py sqlite:///interrupted.db 0 | tee seen
    grep -q "already exists" seen
done
