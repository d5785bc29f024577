"""Bulk API 2.0 of the sandbox with simple-salesforce, a client its authors never saw.

Usage: simple_salesforce_bulk.py STATE_DIR    (the directory that holds sandbox.json and ca.pem)

Runs the library's own path from end to end: create, upload, close, wait, results; query, pages, CSV.
"""

import csv
import io
import json
import sys
import tempfile
from pathlib import Path

import requests
from simple_salesforce import Salesforce
from simple_salesforce.bulk2 import ColumnDelimiter, LineEnding
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceOperationError

VERSION = "66.0"
STAGE = "Open - Not Contacted"
# The library waits so many seconds before it looks at an ingest job for the first time.
WAIT = 0.01


def check(condition, what):
    if not condition:
        raise AssertionError(what)
    print(f"ok   {what}")


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def client_of(state, directory):
    session = requests.Session()
    session.trust_env = False
    session.verify = str(directory / "ca.pem")
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
    token = answer.json()["access_token"]
    client = Salesforce(
        session_id=token, instance_url=state["instance_url"], version=VERSION, session=session
    )
    return client, session


def admin(session, state, path, body):
    session.post(state["admin_url"] + path, json=body, timeout=30).raise_for_status()


def count(client, condition):
    return client.query(f"SELECT COUNT() FROM Account WHERE {condition}")["totalSize"]


def inserts(client):
    records = [
        {"Name": f"Bulk client {n}", "ExternalKey__c": f"ss-{n}", "Phone": "line\nbreak" if n == 7 else "1"}
        for n in range(450)
    ]
    [summary] = client.bulk2.Account.insert(records=records, wait=WAIT)
    check(
        (summary["numberRecordsProcessed"], summary["numberRecordsFailed"]) == (450, 0),
        "insert writes 450 accounts",
    )
    done = rows(client.bulk2.Account.get_successful_records(summary["job_id"]))
    check({row["Name"] for row in done} == {record["Name"] for record in records}, "each has a successful result")
    check(all(row["sf__Created"] == "true" and len(row["sf__Id"]) == 18 for row in done), "with its new id")
    check(count(client, "Name LIKE 'Bulk client %'") == 450, "and is there for REST")
    check(rows(client.bulk2.Account.get_unprocessed_records(summary["job_id"])) == [], "nothing is left over")
    parts = client.bulk2.Account.insert(
        records=[{"Name": f"Bulk part {n}"} for n in range(25)], batch_size=10, concurrency=2, wait=WAIT
    )
    check([part["numberRecordsProcessed"] for part in parts] == [10, 10, 5], "three jobs side by side")
    return {row["ExternalKey__c"]: row["sf__Id"] for row in done}


def changes(client, ids):
    update = [{"Id": ids["ss-1"], "Phone": "#N/A", "Fax": "new"}, {"Id": ids["ss-2"], "Phone": "", "Fax": "new"}]
    client.bulk2.Account.update(
        records=update,
        column_delimiter=ColumnDelimiter.SEMICOLON,
        line_ending=LineEnding.CRLF,
        wait=WAIT,
    )
    found = client.query("SELECT Phone, Fax FROM Account WHERE ExternalKey__c IN ('ss-1', 'ss-2') ORDER BY Name")
    values = [(record["Phone"], record["Fax"]) for record in found["records"]]
    check(values == [(None, "new"), ("1", "new")], "#N/A empties, an empty cell changes nothing")
    [summary] = client.bulk2.Account.upsert(
        records=[
            {"ExternalKey__c": "ss-3", "Name": "Bulk client changed"},
            {"ExternalKey__c": "ss-new", "Name": "Bulk client new"},
            {"ExternalKey__c": "ss-bad", "Name": "Refused"},
        ],
        external_id_field="ExternalKey__c",
        wait=WAIT,
    )
    results = client.bulk2.Account.get_all_ingest_records(summary["job_id"])
    created = {row["ExternalKey__c"]: row["sf__Created"] for row in results["successfulRecords"]}
    check(created == {"ss-3": "false", "ss-new": "true"}, "upsert tells new from known")
    [failed] = results["failedRecords"]
    check(
        failed["sf__Error"].startswith("FIELD_CUSTOM_VALIDATION_EXCEPTION:") and failed["sf__Error"].endswith(" --"),
        "a refused row says why",
    )
    [summary] = client.bulk2.Account.delete(
        records=[{"Id": ids["ss-1"]}, {"Id": ids["ss-2"]}], wait=WAIT
    )
    check(summary["numberRecordsFailed"] == 0, "delete takes ids")
    check(count(client, "ExternalKey__c IN ('ss-1', 'ss-2')") == 0, "and they are gone")
    try:
        client.bulk2.Account.hard_delete(records=[{"Id": ids["ss-4"]}], wait=WAIT)
    except SalesforceMalformedRequest as error:
        check("FEATURENOTENABLED" in str(error), "hard deletion needs a permission")
    else:
        raise AssertionError("hard deletion was not refused")


def queries(client, session, state):
    soql = "SELECT Id, Name, Phone, CreatedDate, Owner.Name FROM Account"
    pages = list(client.bulk2.Account.query(soql, max_records=500, wait=WAIT))
    read = [row for page in pages for row in rows(page)]
    expected = client.query("SELECT COUNT() FROM Account")["totalSize"]
    check(len(pages) == -(-expected // 500), f"{len(pages)} pages")
    check(len({row["Id"] for row in read}) == len(read) == expected, f"query reads {expected} accounts")
    check(any(row["Phone"] == "line\nbreak" for row in read), "line breaks survive")
    check(all(row["CreatedDate"].endswith(".000Z") and row["Owner.Name"] for row in read), "moments and parents")
    gone = [row for page in client.bulk2.Account.query_all(soql, wait=WAIT) for row in rows(page)]
    check(len(gone) > expected, "query_all sees the recycle bin")
    with tempfile.TemporaryDirectory() as folder:
        files = client.bulk2.Account.download(soql, folder, max_records=1000, wait=WAIT)
        stored = sum(len(rows(Path(file["file"]).read_text(encoding="utf-8"))) for file in files)
        check(stored == expected, "download writes the same to files")
    try:
        list(client.bulk2.Account.query("SELECT BillingAddress FROM Account", wait=WAIT))
    except SalesforceMalformedRequest as error:
        check("compound data" in str(error), "compound fields are refused")
    else:
        raise AssertionError("a compound field was not refused")
    admin(session, state, "/bulk", {"query_error": "server gave up"})
    try:
        list(client.bulk2.Account.query(soql, wait=WAIT))
    except SalesforceOperationError as error:
        check("server gave up" in str(error), "a failed job says why")
    else:
        raise AssertionError("a failed job went unnoticed")
    finally:
        admin(session, state, "/bulk", {"query_error": None})


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    state = json.loads((directory / "sandbox.json").read_text(encoding="utf-8"))
    client, session = client_of(state, directory)
    ids = inserts(client)
    changes(client, ids)
    queries(client, session, state)
    print("simple-salesforce loads the sandbox as it loads Salesforce")
    return 0


if __name__ == "__main__":
    sys.exit(main())
