"""What the contestants in Python share: the sandbox, the target table, and the signals of the benchmark.

A contestant makes everything ready (sign-in, connection, table), prints `ready`, and waits for a line.
Then it reads and loads, prints `done` with the number of rows, and waits for another line before it ends:
between the two lines it is measured.
"""

import json
import os
import sys
from pathlib import Path

import psycopg
import requests

STATE_DIR = Path(sys.argv[1])
CA_FILE = str(STATE_DIR / "ca.pem")
QUERY = os.environ.get("BENCH_QUERY", "")
# Each with `field`, its name in the CRM, `name` and `type` in PostgreSQL.
COLUMNS = json.loads(os.environ["BENCH_COLUMNS"])
FIELDS = [column["field"] for column in COLUMNS]
TARGET = os.environ["BENCH_TARGET"]
VERSION = os.environ.get("BENCH_VERSION", "")


def sandbox():
    return json.loads((STATE_DIR / "sandbox.json").read_text())


def trusting():
    """A session that trusts the sandbox's authority, whatever the environment says."""
    session = requests.Session()
    session.trust_env = False
    session.verify = CA_FILE
    return session


def salesforce_token(session):
    """Access token and address of the instance, by OAuth's password grant."""
    state = sandbox()
    known = state["salesforce"]
    answer = session.post(
        state["login_url"] + "/services/oauth2/token",
        data={
            "grant_type": "password",
            "client_id": known["client_id"],
            "client_secret": known["client_secret"],
            "username": known["username"],
            "password": known["password"] + known["security_token"],
        },
        timeout=30,
    )
    answer.raise_for_status()
    return answer.json()["access_token"], state["instance_url"]


def salesforce():
    """A signed-in client of simple-salesforce."""
    from simple_salesforce import Salesforce

    session = trusting()
    token, instance = salesforce_token(session)
    return Salesforce(session_id=token, instance_url=instance, version=VERSION, session=session)


def measured(work):
    """Says that all is ready, runs `work` when told to, and says how many rows it brought."""
    print("ready", flush=True)
    sys.stdin.readline()
    rows = work()
    print("done", rows, flush=True)
    sys.stdin.readline()


def copied(records):
    """Copies rows into the emptied target table, in one transaction as PostgreSQL's manual advises for bulk loads."""
    names = ", ".join(column["name"] for column in COLUMNS)
    rows = 0
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TARGET}")
        with cursor.copy(f"COPY {TARGET} ({names}) FROM STDIN") as copy:
            for record in records:
                copy.write_row(record)
                rows += 1
    return rows


# Address, user and database are in libpq's environment variables.
connection = psycopg.connect(autocommit=True)
