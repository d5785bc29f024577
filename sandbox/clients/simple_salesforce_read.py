"""Reads the sandbox with simple-salesforce, a client its authors never saw.

Usage: simple_salesforce_read.py STATE_DIR    (the directory that holds sandbox.json and ca.pem)

The library only knows hosts that end in salesforce.com for signing in, so its documented `session`
parameter carries adapters that take two such hosts to this machine. Nothing else is changed.
"""

import json
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

# simple-salesforce signs in by SOAP with the version of its REST calls, and SOAP login ends at 64.0.
VERSION = "64.0"
MY_DOMAIN = "sandbox-test.my"
CONTACT_COLUMNS = "Id, Name, Email, AccountId, CreatedDate, IsVip__c"


class Elsewhere(HTTPAdapter):
    """Sends what is meant for one host to another."""

    def __init__(self, target):
        super().__init__()
        self.target = urlsplit(target)

    def send(self, request, *args, **kwargs):
        parts = urlsplit(request.url)
        request.url = urlunsplit((self.target.scheme, self.target.netloc, parts.path, parts.query, ""))
        return super().send(request, *args, **kwargs)


def new_session(state, directory):
    session = requests.Session()
    session.trust_env = False
    session.verify = str(directory / "ca.pem")
    session.mount("https://login.salesforce.com/", Elsewhere(state["login_url"]))
    session.mount(f"https://{MY_DOMAIN}.salesforce.com/", Elsewhere(state["instance_url"]))
    return session


def check(condition, what):
    if not condition:
        raise AssertionError(what)
    print(f"ok   {what}")


def refused(kind, code, what, call):
    try:
        call()
    except kind as error:
        check(code in str(error) or code in str(getattr(error, "content", "")), f"{what}: {code}")
        return
    raise AssertionError(f"{what} was not refused")


def sign_in(state, directory):
    """Every way in the library knows; returns the client that came in by SOAP."""
    known = state["salesforce"]
    base = {"version": VERSION, "username": known["username"]}
    soap = Salesforce(
        **base,
        password=known["password"],
        security_token=known["security_token"],
        session=new_session(state, directory),
    )
    oauth = Salesforce(
        **base,
        password=known["password"] + known["security_token"],
        consumer_key=known["client_id"],
        consumer_secret=known["client_secret"],
        session=new_session(state, directory),
    )
    jwt = Salesforce(
        **base,
        consumer_key=known["client_id"],
        privatekey_file=known["private_key_file"],
        session=new_session(state, directory),
    )
    machine = Salesforce(
        version=VERSION,
        consumer_key=known["client_id"],
        consumer_secret=known["client_secret"],
        domain=MY_DOMAIN,
        session=new_session(state, directory),
    )
    direct = Salesforce(
        version=VERSION,
        session_id=oauth.session_id,
        instance_url=state["instance_url"],
        session=new_session(state, directory),
    )
    ways = {"soap": soap, "password": oauth, "jwt": jwt, "client credentials": machine, "session": direct}
    for name, client in ways.items():
        check(client.sf_instance == f"127.0.0.1:{state['port']}", f"{name} names the instance")
        count = client.query("SELECT COUNT() FROM Account")["totalSize"]
        check(count > 1000, f"{name} counts {count} accounts")
    refused(
        SalesforceAuthenticationFailed,
        "INVALID_LOGIN",
        "a wrong password",
        lambda: Salesforce(
            username="nobody@crm-sandbox.example",
            password="wrong",
            security_token="",
            version=VERSION,
            session=new_session(state, directory),
        ),
    )
    return soap


def metadata(client):
    described = client.describe()
    names = {entry["name"] for entry in described["sobjects"]}
    check({"Account", "Contact", "Lead", "AllTypes__c"} <= names, f"describe lists {len(names)} objects")
    account = client.Account.describe()
    fields = {field["name"]: field for field in account["fields"]}
    check(fields["AnnualRevenue"]["type"] == "currency", "Account.AnnualRevenue is a currency")
    check(fields["Description"]["filterable"] is False, "Account.Description cannot be filtered")
    before = client.limits()["DailyApiRequests"]
    after = client.limits()["DailyApiRequests"]
    check(before["Remaining"] - after["Remaining"] == 1, "the allotment counts each call")
    used = client.api_usage["api-usage"]
    check(used.total == after["Max"] and used.used > 0, "the limit header is understood")


def queries(client):
    first = client.query(f"SELECT {CONTACT_COLUMNS} FROM Contact")
    check(len(first["records"]) == min(2000, first["totalSize"]), "a page holds up to 2,000")
    every = client.query_all(f"SELECT {CONTACT_COLUMNS} FROM Contact")
    ids = [record["Id"] for record in every["records"]]
    check(len(ids) == len(set(ids)) == every["totalSize"] == first["totalSize"], f"query_all reads {len(ids)} contacts")
    if not first["done"]:
        more = client.query_more(first["nextRecordsUrl"], identifier_is_url=True)
        check(more["records"] == every["records"][2000:4000], "query_more goes on where the page ended")
        tail = first["nextRecordsUrl"].rsplit("/", 1)[1]
        check(client.query_more(tail)["records"] == more["records"], "query_more takes the bare locator")
    lazy = client.query_all_iter("SELECT Id FROM Contact")
    check(sum(1 for _ in lazy) == len(ids), "query_all_iter reads the same")
    with_bin = client.query("SELECT COUNT() FROM AllTypes__c", include_deleted=True)["totalSize"]
    check(with_bin - client.query("SELECT COUNT() FROM AllTypes__c")["totalSize"] == 2, "queryAll sees the recycle bin")
    joined = client.query("SELECT Name, Owner.Name, Parent.Name FROM Account WHERE Name = 'ZOONOODLE 37'")["records"]
    check(len(joined) == 1 and joined[0]["Name"] == "Zoonoodle 37", "text compares without case")
    check(joined[0]["Owner"]["Name"] and joined[0]["Parent"] is None, "parents nest, missing ones are null")
    stages = client.query("SELECT StageName, COUNT(Id) n FROM Opportunity GROUP BY StageName")["records"]
    total = client.query("SELECT COUNT() FROM Opportunity")["totalSize"]
    check(sum(stage["n"] for stage in stages) == total, f"{len(stages)} stages add up to {total}")
    quoted = client.query("SELECT Id FROM AllTypes__c WHERE Text__c = 'O\\'Brien \\\\ Söhne'")["totalSize"]
    check(quoted == 1, "escaped quotes and umlauts arrive")
    record = client.Contact.get(ids[0])
    check(record["Id"] == ids[0] and "LastName" in record, "one record by id")


def refusals(client, state, directory):
    refused(SalesforceMalformedRequest, "INVALID_FIELD", "an unknown field", lambda: client.query("SELECT Nope FROM Account"))
    refused(SalesforceMalformedRequest, "INVALID_TYPE", "an unknown object", lambda: client.query("SELECT Id FROM Nope"))
    refused(
        SalesforceMalformedRequest,
        "MALFORMED_QUERY",
        "AND mixed with OR",
        lambda: client.query("SELECT Id FROM Account WHERE Name = 'a' AND Fax = 'b' OR Phone = 'c'"),
    )
    refused(SalesforceResourceNotFound, "NOT_FOUND", "a missing record", lambda: client.Account.get("0015x00000zzzzzAAA"))
    ended = Salesforce(
        version=VERSION,
        session_id="00D!ended",
        instance_url=state["instance_url"],
        session=new_session(state, directory),
    )
    refused(SalesforceExpiredSession, "INVALID_SESSION_ID", "an unknown token", lambda: ended.query("SELECT Id FROM User"))


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    state = json.loads((directory / "sandbox.json").read_text(encoding="utf-8"))
    client = sign_in(state, directory)
    metadata(client)
    queries(client)
    refusals(client, state, directory)
    print("simple-salesforce reads the sandbox as it reads Salesforce")
    return 0


if __name__ == "__main__":
    sys.exit(main())
