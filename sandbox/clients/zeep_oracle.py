"""Drives the sandbox's Oracle CRM On Demand face with zeep, a SOAP client its authors never saw.

Usage: zeep_oracle.py STATE_DIR    (the directory that holds sandbox.json and ca.pem)

The WSDLs in data/oracle are written from the protocol page; only their address is replaced.
"""

import json
import sys
from pathlib import Path
from urllib.parse import quote

import requests
from zeep import Client, Transport
from zeep.exceptions import Fault
from zeep.wsse.username import UsernameToken

WSDL = Path(__file__).resolve().parent.parent / "data" / "oracle"
DETAIL = "{http://www.siebel.com/ws/fault}"


class Face:
    """The services of one session, or of none with credentials in each request."""

    def __init__(self, address, session, wsse=None):
        self.address = address
        self.transport = Transport(session=session)
        self.wsse = wsse

    def service(self, name):
        client = Client(str(WSDL / f"{name}.wsdl"), transport=self.transport, wsse=self.wsse)
        binding = next(iter(client.wsdl.bindings))
        return client.create_service(binding, self.address)


def trusting(state):
    """A session that trusts the sandbox's authority, whatever the environment says."""
    session = requests.Session()
    session.verify = str(state / "ca.pem")
    session.trust_env = False
    return session


def code(call):
    """The codes of the fault a call must meet, outermost first."""
    try:
        call()
    except Fault as fault:
        found = [node.text.strip("()") for node in fault.detail.iter(f"{DETAIL}errorcode")]
        return found or [node.text for node in fault.detail.iter("ErrorCode")]
    raise AssertionError("the call was not refused")


def read(contacts, spec, size="100", columns=("ContactLastName", "ModifiedDate")):
    """All contacts a searchspec finds, page by page in the order of their ids."""
    rows = []
    while True:
        template = {name: "" for name in columns}
        template["Id"] = {"_value_1": "", "sortorder": "ASC", "sortsequence": "1"}
        page = contacts.ContactQueryPage(
            ListOfContact={
                "pagesize": size,
                "startrownum": str(len(rows)),
                "Contact": {"searchspec": spec, **template},
            }
        )
        rows += page.Contact
        if page.lastpage or not page.Contact:
            return rows


def main(state):
    about = json.loads((state / "sandbox.json").read_text())
    oracle = about["oracle"]
    address = f"{oracle['base_url']}/Services/Integration"

    session = trusting(state)
    signed_in = session.get(
        f"{address}?command=login&isEncoded=Y",
        headers={"UserName": quote(oracle["username"]), "Password": quote(oracle["password"])},
    )
    assert signed_in.status_code == 200 and session.cookies.get("JSESSIONID"), signed_in.text
    face = Face(address, session)
    contacts = face.service("Contact")

    rows = read(contacts, "[ContactLastName] LIKE 'B*'", size="7")
    assert rows and all(row.ContactLastName.startswith("B") for row in rows)
    assert [row.Id for row in rows] == sorted({row.Id for row in rows})
    assert rows[0].ModifiedDate.tzinfo is not None
    assert code(lambda: read(contacts, "[ShoeSize] = '1'"))[-1] == "SBL-UNU-00133"
    assert code(lambda: read(contacts, "[Id] = 1"))[-1] == "SBL-EAI-13010"

    people = [
        {"ContactFirstName": "Ann", "ContactLastName": f"Zeep {n}", "ExternalSystemId": f"Z-{n}", "CustomInteger0": n}
        for n in range(20)
    ]
    written = contacts.ContactInsert(ListOfContact={"Contact": people})
    assert [row.ExternalSystemId for row in written.Contact] == [f"Z-{n}" for n in range(20)]
    again = [{**people[0], "ExternalSystemId": "Z-new"}, people[1]]
    assert code(lambda: contacts.ContactInsert(ListOfContact={"Contact": again}))[-1] == "SBL-DAT-00381"
    found = read(contacts, "[ExternalSystemId] LIKE 'Z-*'", columns=("CustomInteger0",))
    assert sorted(row.CustomInteger0 for row in found) == list(range(20))

    key = {"Id": written.Contact[0].Id, "ModId": 0}
    changed = contacts.ContactUpdate(ListOfContact={"Contact": [{**key, "JobTitle": "Buyer"}]})
    assert changed.Contact[0].ModId == 1
    stale = [{**key, "JobTitle": "Seller"}]
    assert code(lambda: contacts.ContactUpdate(ListOfContact={"Contact": stale}))[-1] == "SBL-DAT-00523"
    contacts.ContactExecute(ListOfContact={"Contact": [
        {"operation": "delete", "Id": written.Contact[0].Id},
        {"operation": "update", "Id": written.Contact[1].Id, "JobTitle": "Seller"},
    ]})
    contacts.ContactDelete(ListOfContact={"Contact": [{"ExternalSystemId": f"Z-{n}"} for n in range(1, 20)]})
    assert read(contacts, "[ExternalSystemId] LIKE 'Z-*'") == []

    trash = face.service("DeletedItem").DeletedItemQueryPage(
        PageSize="50",
        ListOfDeletedItem={"DeletedItem": [{"ObjectId": "", "Type": "= 'Contact'", "ExternalSystemId": "LIKE 'Z-*'"}]},
    )
    assert trash.LastPage == "true" and len(trash.ListOfDeletedItem.DeletedItem) == 20
    fields = face.service("Mapping").GetMapping(ObjectName="Service Request").ListOfField.Field
    assert any(field.ElementName == "ServiceRequestId" and field.DataType == "ID" for field in fields)
    values = face.service("Picklist").GetPicklistValues(
        FieldName="AccountType", RecordType="Account", LanguageCode="DEU"
    )[0].ListOfPicklistValue.PicklistValue
    assert [value.DisplayValue for value in values][:2] == ["Kunde", "Interessent"]
    assert session.get(f"{address}?command=logoff").status_code == 200
    assert code(lambda: read(contacts, "")) == ["SBL-ODU-01006"]

    alone = trusting(state)
    token = UsernameToken(oracle["username"], oracle["password"])
    time = Face(address, alone, token).service("Time").GetServerTime()
    assert time.TimeZone.startswith("(GMT-06:00)") and len(time.CurrentServerTime) == 19
    wrong = Face(address, alone, UsernameToken(oracle["username"], "wrong"))
    alone.cookies.clear()
    assert code(wrong.service("Time").GetServerTime) == ["SBL-ODU-01006"]
    print(f"zeep: {len(rows)} contacts read, 20 written and deleted")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
