"""Reads and writes the sandbox's Dynamics organisation with Microsoft's own Python client and azure-identity.

Usage: dataverse_client.py STATE_DIR    (the directory that holds sandbox.json and ca.pem)

Everything it creates it deletes again.
"""

import json
import os
import sys
from pathlib import Path


def check(holds, what):
    if not holds:
        raise SystemExit(f"not so: {what}")
    print(f"ok: {what}")


def connect(directory):
    # The documented way of both libraries to trust an authority; it is read when a session is made.
    os.environ["REQUESTS_CA_BUNDLE"] = str(directory / "ca.pem")
    from azure.identity import ClientSecretCredential
    from PowerPlatform.Dataverse.client import DataverseClient

    known = json.loads((directory / "sandbox.json").read_text())["dynamics"]
    credential = ClientSecretCredential(
        known["tenant"],
        known["client_id"],
        known["client_secret"],
        authority=known["login_url"],
        disable_instance_discovery=True,
    )
    return DataverseClient(known["organisation_url"], credential)


def metadata(client):
    tables = {table["LogicalName"]: table for table in client.tables.list()}
    check("contact" in tables and "new_alltypes" in tables, "tables are listed")
    info = client.tables.get("new_alltypes")
    check(info is not None and info["entity_set_name"] == "new_alltypeses", "a table is described")
    check(client.tables.get("new_nothing") is None, "an unknown table is none")


def reading(client):
    pages = list(client.records.list_pages("contact", select=["fullname"], page_size=500))
    sizes = [len(page) for page in pages]
    check(sizes == [500, 500, 192], f"contacts come in pages: {sizes}")
    ids = {record["contactid"] for page in pages for record in page}
    check(len(ids) == 1192, "and none comes twice")
    found = client.records.list("account", select=["name"], filter="name eq 'ZOONOODLE 37'")
    check([record["name"] for record in found] == ["Zoonoodle 37"], "a filter finds without case")


def writing(client):
    one = client.records.create("account", {"name": "From Python"})
    client.records.update("account", one, {"fax": "123"})
    record = client.records.retrieve("account", one, select=["name", "fax"])
    check((record["name"], record["fax"]) == ("From Python", "123"), "a row is made and changed")
    child = client.records.create(
        "contact", {"lastname": "Python", "parentcustomerid_account@odata.bind": f"/accounts({one})"}
    )
    record = client.records.retrieve("contact", child, select=["_parentcustomerid_value"])
    check(record["_parentcustomerid_value"] == one, "a reference is bound")
    many = client.records.create("account", [{"name": f"Many {n}"} for n in range(3)])
    check(len(many) == 3, "CreateMultiple makes rows")
    client.records.update("account", many, {"fax": "many"})
    found = client.records.list("account", select=["name"], filter="fax eq 'many'")
    check(len(list(found)) == 3, "UpdateMultiple changes them")
    batch = client.batch.new()
    with batch.changeset() as changes:
        made = changes.records.create("account", {"name": "In a set"})
        changes.records.update("account", made, {"fax": "set"})
    for identifier in [child, one, *many]:
        batch.records.delete("contact" if identifier == child else "account", identifier)
    result = batch.execute(continue_on_error=True)
    check(not result.has_errors, "a batch with a change set is carried out")
    for record in client.records.list("account", select=["name"], filter="fax eq 'set'"):
        check(record["name"] == "In a set", "the change set points at what it made")
        client.records.delete("account", record["accountid"])


def refusals(client):
    from PowerPlatform.Dataverse.core.errors import HttpError

    for what, call in {
        "a long text": lambda: client.records.create("task", {"subject": "x" * 201}),
        "an unknown column": lambda: client.records.create("account", {"nothing": 1}),
        "a missing row": lambda: client.records.update(
            "account", "11111111-2222-4333-8444-555555555555", {"fax": "1"}
        ),
    }.items():
        try:
            call()
        except HttpError as error:
            check(error.status_code in (400, 404), f"{what} is refused with {error.status_code}")
        else:
            raise SystemExit(f"not refused: {what}")


def main():
    client = connect(Path(sys.argv[1]))
    with client:
        metadata(client)
        reading(client)
        writing(client)
        refusals(client)


if __name__ == "__main__":
    main()
