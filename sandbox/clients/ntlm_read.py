"""Reads and writes the sandbox's on-premise Dynamics address with requests-ntlm.

Usage: ntlm_read.py STATE_DIR    (the directory that holds sandbox.json and ca.pem)

It deletes what it creates.
"""

import json
import sys
from pathlib import Path

import requests
from requests_ntlm import HttpNtlmAuth

SERVICES = "http://schemas.microsoft.com/xrm/2011/Contracts/Services"
FETCH = f"""<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><RetrieveMultiple xmlns="{SERVICES}">
<query i:type="b:FetchExpression" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts">
<b:Query>&lt;fetch count='2'>&lt;entity name='account'/>&lt;/fetch></b:Query></query></RetrieveMultiple></s:Body></s:Envelope>"""


def check(holds, what):
    if not holds:
        raise SystemExit(f"not so: {what}")
    print(f"ok: {what}")


def session(directory, user, password):
    made = requests.Session()
    # Or the environment's bundle would win over the one below.
    made.trust_env = False
    made.verify = str(directory / "ca.pem")
    made.auth = HttpNtlmAuth(user, password)
    return made


def main():
    directory = Path(sys.argv[1])
    known = json.loads((directory / "sandbox.json").read_text())["dynamics"]
    api = f"{known['ad_url']}/api/data/v9.0"
    user, password = known["windows_username"], known["password"]
    signed_in = session(directory, user, password)
    who = signed_in.get(f"{api}/WhoAmI")
    check(who.status_code == 200 and who.json()["UserId"].endswith("1"), "NTLM signs in")
    page = signed_in.get(f"{api}/accounts?$select=name", headers={"Prefer": "odata.maxpagesize=2"}).json()
    check(len(page["value"]) == 2, "a page is read")
    following = signed_in.get(page["@odata.nextLink"], headers={"Prefer": "odata.maxpagesize=2"}).json()
    check("/ad/api/data/" in page["@odata.nextLink"] and following["value"], "and the next under the same address")
    made = signed_in.post(f"{api}/accounts", json={"name": "By NTLM"})
    check(made.status_code == 204, "a row is made")
    check(signed_in.delete(made.headers["OData-EntityId"]).status_code == 204, "and deleted")
    old = f"{known['crm2015_url']}/XRMServices/2011/Organization.svc"
    check(requests.get(f"{known['crm2015_url']}/api/data/", verify=str(directory / "ca.pem")).status_code == 404, "before 2016 there is no Web API")
    policy = requests.get(f"{old}?wsdl", verify=str(directory / "ca.pem")).text
    check(":Authentication>ActiveDirectory<" in policy, "the WSDL says how to sign in")
    fetch = signed_in.post(
        f"{old}/web",
        data=FETCH,
        headers={"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{SERVICES}/IOrganizationService/RetrieveMultiple"'},
    )
    check(fetch.status_code == 200 and fetch.text.count("<b:Entity>") == 2, "but there is SOAP")
    for name, word in [(user, "wrong"), ("OTHER\\tester", password), ("CONTOSO\\nobody", password)]:
        refused = session(directory, name, word).get(f"{api}/WhoAmI")
        check(refused.status_code == 401, f"{name} is refused")
    offered = requests.get(f"{api}/WhoAmI", verify=str(directory / "ca.pem"))
    check(offered.headers["WWW-Authenticate"] == "Negotiate, NTLM", "both schemes are offered")


if __name__ == "__main__":
    main()
