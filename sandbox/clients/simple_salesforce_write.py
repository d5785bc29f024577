"""Writes to the sandbox with simple-salesforce: single records, collections, what changed since.

Usage: simple_salesforce_write.py STATE_DIR    (the directory that holds sandbox.json and ca.pem)

Everything it creates it deletes again.
"""

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)
from simple_salesforce_read import VERSION, check, new_session, refused


def sign_in(state, directory):
    known = state["salesforce"]
    return Salesforce(
        version=VERSION,
        username=known["username"],
        password=known["password"],
        security_token=known["security_token"],
        session=new_session(state, directory),
    )


def one_record(client):
    made = client.Contact.create({"LastName": "Söderström", "Email": "sd@crm-sandbox.example", "Score__c": 1.5})
    check(made["success"] and made["errors"] == [] and len(made["id"]) == 18, "a record is created")
    check(client.Contact.update(made["id"], {"FirstName": "Åsa", "Email": None}) == 204, "and changed")
    record = client.Contact.get(made["id"])
    check(record["Name"] == "Åsa Söderström" and record["Email"] is None, "the change is read back")
    check(record["LastModifiedDate"] >= record["CreatedDate"], "stamps are in order")
    check(client.Contact.delete(made["id"]) == 204, "and deleted")
    refused(SalesforceResourceNotFound, "NOT_FOUND", "the deleted record", lambda: client.Contact.get(made["id"]))
    return made["id"]


def upserts(client):
    key = "ExternalKey__c/simple%2Fsalesforce"
    first = client.Contact.upsert(key, {"LastName": "Upserted"})
    check(first == 201, "an upsert creates")
    check(client.Contact.upsert(key, {"Title": "again"}) == 200, "and changes the second time")
    record = client.Contact.get_by_custom_id("ExternalKey__c", "simple/salesforce")
    check(record["Title"] == "again" and record["ExternalKey__c"] == "simple/salesforce", "the key finds the record")
    client.Contact.delete(record["Id"])
    twins = [client.AllTypes__c.create({"BatchKey__c": "twin"})["id"] for _ in range(2)]
    refused(
        SalesforceMoreThanOneRecord,
        twins[0],
        "an ambiguous key",
        lambda: client.AllTypes__c.upsert("BatchKey__c/twin", {"Text__c": "x"}),
    )
    for twin in twins:
        client.AllTypes__c.delete(twin)


def refusals(client):
    for code, fields in {
        "REQUIRED_FIELD_MISSING": {"FirstName": "x"},
        "STRING_TOO_LONG": {"LastName": "x" * 81},
        "INVALID_EMAIL_ADDRESS": {"LastName": "x", "Email": "nowhere"},
        "INVALID_FIELD_FOR_INSERT_UPDATE": {"LastName": "x", "SystemModstamp": "2024-01-01T00:00:00Z"},
        "FIELD_CUSTOM_VALIDATION_EXCEPTION": {"LastName": "Refused"},
        "MALFORMED_ID": {"LastName": "x", "AccountId": "no id"},
    }.items():
        refused(SalesforceMalformedRequest, code, "a record", lambda fields=fields: client.Contact.create(fields))


def collections(client):
    records = [
        {"attributes": {"type": "Account"}, "Name": f"Collected {n}", "AnnualRevenue": n * 1000} for n in range(200)
    ]
    records[7]["Name"] = None
    answer = client.restful("composite/sobjects", method="POST", json={"allOrNone": False, "records": records})
    good = [entry["id"] for entry in answer if entry["success"]]
    check(len(answer) == 200 and len(good) == 199, "200 records in one call, one of them refused")
    check(answer[7]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING", "each has its own result")
    found = client.query("SELECT Id FROM Account WHERE Name LIKE 'Collected%' ORDER BY Id")
    check([record["Id"] for record in found["records"]] == sorted(good), "a query sees them")
    gone = client.restful("composite/sobjects", params={"ids": ",".join(good)}, method="DELETE")
    check(all(entry["success"] for entry in gone), "and they are deleted in one call")
    return good


def changes(client, since, deleted):
    end = since + timedelta(days=1)
    answer = client.Account.deleted(since, end)
    told = {entry["id"] for entry in answer["deletedRecords"]}
    check(set(deleted) <= told, f"the log tells {len(told)} deletions")
    check(answer["earliestDateAvailable"] < answer["latestDateCovered"], "and how far it reaches")
    kept = client.Account.create({"Name": "Kept for a moment"})["id"]
    check(kept in client.Account.updated(since, end)["ids"], "and what is new")
    client.Account.delete(kept)


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    state = json.loads((directory / "sandbox.json").read_text(encoding="utf-8"))
    client = sign_in(state, directory)
    since = datetime.now(timezone.utc) - timedelta(minutes=5)
    one_record(client)
    upserts(client)
    refusals(client)
    changes(client, since, collections(client))
    print("simple-salesforce writes to the sandbox as it writes to Salesforce")
    return 0


if __name__ == "__main__":
    sys.exit(main())
