"""Drives the sandbox's Organization service with zeep, a SOAP client its authors never saw.

Usage: zeep_dynamics.py STATE_DIR    (the directory that holds sandbox.json and ca.pem)

The service's own WSDL leads zeep to the XSDs of the vendor's contract. Signed messages are made with lxml's
canonical form, and every answer to them is validated against the same XSDs by libxml2.
It deletes what it creates.
"""

import base64
import hashlib
import hmac
import json
import sys
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import requests
from lxml import etree
from zeep import Client, Settings, Transport, xsd
from zeep.exceptions import Fault

XSDS = Path(__file__).resolve().parent.parent / "data" / "dynamics" / "xsd"
SERVICES = "http://schemas.microsoft.com/xrm/2011/Contracts/Services"
CONTRACTS = "http://schemas.microsoft.com/xrm/2011/Contracts"
GENERIC = "http://schemas.datacontract.org/2004/07/System.Collections.Generic"
GUID = "{http://schemas.microsoft.com/2003/10/Serialization/}guid"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
SECURITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
UTILITY = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
TRUST = "http://docs.oasis-open.org/ws-sx/ws-trust/200512"
SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"


def check(holds, what):
    if not holds:
        raise SystemExit(f"not so: {what}")
    print(f"ok: {what}")


def trusting(state):
    made = requests.Session()
    # Or the environment's bundle would win over the one below.
    made.trust_env = False
    made.verify = str(state / "ca.pem")
    return made


def refusal(call):
    """The code of the fault a call must meet."""
    try:
        call()
    except Fault as fault:
        return int(fault.detail.find(f".//{{{CONTRACTS}}}ErrorCode").text)
    raise AssertionError("the call was not refused")


def with_zeep(state, about):
    session = trusting(state)
    form = {
        "grant_type": "password", "client_id": about["public_client_id"], "resource": f"{about['ifd_url']}/",
        "username": about["windows_username"], "password": about["password"],
    }
    token = session.post(about["adfs_token_url"], data=form).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    address = f"{about['ifd_url']}/XRMServices/2011/Organization.svc?wsdl"
    client = Client(address, transport=Transport(session=session), settings=Settings(strict=False))
    service = client.service
    make = lambda name, space=CONTRACTS: client.get_type(f"{{{space}}}{name}")
    string = lambda text: xsd.AnyObject(xsd.String(), text)

    def entity(name, values, identifier=None):
        pairs = make("KeyValuePairOfstringanyType", GENERIC)
        rows = [pairs(key=key, value=value) for key, value in values.items()]
        attributes = make("AttributeCollection")(KeyValuePairOfstringanyType=rows)
        return make("Entity")(LogicalName=name, Attributes=attributes, Id=identifier)

    def value(row, name):
        return next(pair.value for pair in row.Attributes.KeyValuePairOfstringanyType if pair.key == name)

    money = make("Money")
    chosen = make("OptionSetValue")
    made = service.Create(entity("account", {
        "name": string("By zeep & co"),
        "numberofemployees": xsd.AnyObject(xsd.Int(), 12),
        "revenue": xsd.AnyObject(money, money(Value="20000.5")),
        "customertypecode": xsd.AnyObject(chosen, chosen(Value=3)),
        "donotemail": xsd.AnyObject(xsd.Boolean(), True),
    }))
    columns = make("ColumnSet")(AllColumns=True)
    row = service.Retrieve("account", made, columns)
    check(value(row, "name") == "By zeep & co" and value(row, "numberofemployees") == 12, "a row is made and read")
    check(value(row, "revenue").Value == 20000.5 and value(row, "customertypecode").Value == 3, "with typed values")
    check(value(row, "ownerid").LogicalName == "systemuser", "and an owner")
    service.Update(entity("account", {"name": string("Renamed"), "numberofemployees": None}, made))
    row = service.Retrieve("account", made, columns)
    names = [pair.key for pair in row.Attributes.KeyValuePairOfstringanyType]
    check(value(row, "name") == "Renamed" and "numberofemployees" not in names, "changed, a value taken away")

    fetch = "<fetch count='3' page='{}'{}><entity name='account'><attribute name='name'/><order attribute='name'/></entity></fetch>"
    expression = make("FetchExpression")
    page = service.RetrieveMultiple(expression(Query=fetch.format(1, "")))
    check(len(page.Entities.Entity) == 3 and page.MoreRecords, "a page is read")
    cookie = page.PagingCookie.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    following = service.RetrieveMultiple(expression(Query=fetch.format(2, f' paging-cookie="{cookie}"')))
    names = [value(row, "name").lower() for row in page.Entities.Entity + following.Entities.Entity]
    check(names == sorted(names) and len(names) == 6, "and the next, by its cookie")
    wrong = "<fetch><entity name='account'><attribute name='ticketsymbol'/></entity></fetch>"
    check(refusal(lambda: service.RetrieveMultiple(expression(Query=wrong))) == -2147217149, "an unknown column is refused")

    request = make("RetrieveEntityRequest")
    filters = client.get_type("{http://schemas.microsoft.com/xrm/2011/Metadata}EntityFilters")
    pairs = make("KeyValuePairOfstringanyType", GENERIC)
    described = service.Execute(request(RequestName="RetrieveEntity", Parameters=make("ParameterCollection")(
        KeyValuePairOfstringanyType=[
            pairs(key="EntityFilters", value=xsd.AnyObject(filters, ["Entity", "Attributes"])),
            pairs(key="LogicalName", value=string("new_alltypes")),
        ]
    )))
    table = described.Results.KeyValuePairOfstringanyType[0].value
    kinds = {column.LogicalName: column.AttributeTypeName.Value for column in table.Attributes.AttributeMetadata}
    check(table.EntitySetName == "new_alltypeses" and kinds["new_choices"] == "MultiSelectPicklistType", "a table is described")

    upsert = make("UpsertRequest")(RequestName="Upsert", Parameters=make("ParameterCollection")(
        KeyValuePairOfstringanyType=[pairs(key="Target", value=xsd.AnyObject(make("Entity"), entity(
            "account", {"name": string("Again")}, made)))]
    ))
    answer = service.Execute(upsert)
    created = {pair.key: pair.value for pair in answer.Results.KeyValuePairOfstringanyType}["RecordCreated"]
    check(created is False, "an upsert changes what is there")
    service.Delete("account", made)
    check(refusal(lambda: service.Delete("account", made)) == -2147220969, "deleted, once")


def canonical(node):
    return etree.tostring(node, method="c14n", exclusive=True)


def moment(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Signed:
    """Messages signed with a token of the sign-in service."""

    def __init__(self, session, about, schema):
        self.session, self.about, self.schema = session, about, schema
        self.address = f"{about['claims_url']}/XRMServices/2011/Organization.svc"

    def sign_in(self, password):
        now = datetime.now(timezone.utc)
        body = f"""<s:Envelope xmlns:s="{SOAP}" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:u="{UTILITY}"><s:Header>
<a:Action s:mustUnderstand="1">{TRUST}/RST/Issue</a:Action><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>
<a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo>
<a:To s:mustUnderstand="1">{self.about['sts_url']}</a:To>
<o:Security s:mustUnderstand="1" xmlns:o="{SECURITY}"><u:Timestamp u:Id="_0"><u:Created>{moment(now)}</u:Created><u:Expires>{moment(now + timedelta(minutes=5))}</u:Expires></u:Timestamp>
<o:UsernameToken u:Id="user"><o:Username>{self.about['windows_username']}</o:Username><o:Password>{password}</o:Password></o:UsernameToken></o:Security></s:Header>
<s:Body><t:RequestSecurityToken xmlns:t="{TRUST}"><wsp:AppliesTo xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"><a:EndpointReference><a:Address>{self.address}</a:Address></a:EndpointReference></wsp:AppliesTo><t:RequestType>{TRUST}/Issue</t:RequestType></t:RequestSecurityToken></s:Body></s:Envelope>"""
        answer = self.session.post(
            self.about["sts_url"], data=body.encode(), headers={"Content-Type": "application/soap+xml; charset=UTF-8"}
        )
        root = etree.fromstring(answer.content)
        if answer.status_code == 200:
            self.token = root.find(f".//{{{TRUST}}}RequestedSecurityToken")[0]
            self.key = base64.b64decode(root.find(f".//{{{TRUST}}}BinarySecret").text)
            self.identifier = root.find(f".//{{{SECURITY}}}KeyIdentifier").text
        return answer.status_code, root

    def call(self, operation, body, at=None, spoil=False):
        at = at or datetime.now(timezone.utc)
        envelope = etree.fromstring(f"""<s:Envelope xmlns:s="{SOAP}" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:u="{UTILITY}"><s:Header>
 <a:Action s:mustUnderstand="1">{SERVICES}/IOrganizationService/{operation}</a:Action><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>
 <a:ReplyTo><a:Address>http://www.w3.org/2005/08/addressing/anonymous</a:Address></a:ReplyTo><a:To s:mustUnderstand="1">{self.address}</a:To>
 <o:Security s:mustUnderstand="1" xmlns:o="{SECURITY}"><u:Timestamp u:Id="_0">
  <u:Created>{moment(at)}</u:Created><u:Expires>{moment(at + timedelta(minutes=5))}</u:Expires></u:Timestamp>
 <Signature xmlns="{SIGNATURE}"><SignedInfo><CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/><SignatureMethod Algorithm="{SIGNATURE}hmac-sha1"/>
  <Reference URI="#_0"><Transforms><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></Transforms><DigestMethod Algorithm="{SIGNATURE}sha1"/><DigestValue/></Reference></SignedInfo>
  <SignatureValue/><KeyInfo><o:SecurityTokenReference k:TokenType="http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLV1.1" xmlns:k="http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"><o:KeyIdentifier ValueType="http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.0#SAMLAssertionID">{self.identifier}</o:KeyIdentifier></o:SecurityTokenReference></KeyInfo></Signature>
 </o:Security></s:Header><s:Body>{body}</s:Body></s:Envelope>""")
        request = envelope.find(f"{{{SOAP}}}Body")[0]
        if "crm/2011" not in body:
            self.schema.assertValid(etree.fromstring(etree.tostring(request)))
        security = envelope.find(f".//{{{SECURITY}}}Security")
        security.insert(1, etree.fromstring(etree.tostring(self.token)))
        digest = hashlib.sha1(canonical(envelope.find(f".//{{{UTILITY}}}Timestamp"))).digest()
        envelope.find(f".//{{{SIGNATURE}}}DigestValue").text = base64.b64encode(digest).decode()
        key = b"another" if spoil else self.key
        proof = hmac.new(key, canonical(envelope.find(f".//{{{SIGNATURE}}}SignedInfo")), hashlib.sha1).digest()
        envelope.find(f".//{{{SIGNATURE}}}SignatureValue").text = base64.b64encode(proof).decode()
        answer = self.session.post(
            self.address, data=etree.tostring(envelope), headers={"Content-Type": "application/soap+xml; charset=UTF-8"}
        )
        root = etree.fromstring(answer.content).find(f"{{{SOAP}}}Body")[0]
        if answer.status_code == 200 and "crm/2011" not in body:
            self.schema.assertValid(etree.fromstring(etree.tostring(root)))
        return answer.status_code, root


def parameters(*pairs):
    texts = "".join(f"<b:KeyValuePairOfstringanyType><c:key>{key}</c:key>{value}</b:KeyValuePairOfstringanyType>" for key, value in pairs)
    return f'<b:Parameters xmlns:c="{GENERIC}">{texts}</b:Parameters>'


def execute(kind, *pairs):
    return f'<Execute xmlns="{SERVICES}"><request i:type="b:{kind}Request" xmlns:b="{CONTRACTS}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:m="http://schemas.microsoft.com/xrm/2011/Metadata">{parameters(*pairs)}<b:RequestId i:nil="true"/><b:RequestName>{kind}</b:RequestName></request></Execute>'


def typed(kind, text, spaces=""):
    return f'<c:value i:type="{kind}"{spaces}>{text}</c:value>'


def request(kind, *pairs):
    return f'<e:OrganizationRequest i:type="b:{kind}Request">{parameters(*pairs)}<b:RequestId i:nil="true"/><b:RequestName>{kind}</b:RequestName></e:OrganizationRequest>'


def contact(name, extra=""):
    return typed("b:Entity", f'<b:Attributes><b:KeyValuePairOfstringanyType><c:key>lastname</c:key>{typed("x:string", name)}</b:KeyValuePairOfstringanyType>{extra}</b:Attributes><b:EntityState i:nil="true"/><b:FormattedValues/><b:LogicalName>contact</b:LogicalName><b:RelatedEntities/>')


def with_signatures(state, about):
    schema = etree.XMLSchema(etree.fromstring(WRAPPER.encode(), base_url=f"{XSDS}/"))
    signed = Signed(trusting(state), about, schema)
    status, root = signed.sign_in("wrong")
    check(status == 500 and "ID3242" in "".join(root.itertext()), "a wrong password is refused by the sign-in service")
    status, _ = signed.sign_in(about["password"].replace("&", "&amp;").replace("<", "&lt;"))
    check(status == 200, "the right one gets a token")
    who = execute("WhoAmI").replace('type="b:', 'type="w:').replace(" xmlns:m=", ' xmlns:w="http://schemas.microsoft.com/crm/2011/Contracts" xmlns:m=')
    status, root = signed.call("Execute", who)
    check(status == 200 and "UserId" in "".join(root.itertext()), "a signed message is let in")
    status, root = signed.call("Execute", who, spoil=True)
    check(status == 500 and "InvalidSecurity" in "".join(root.itertext()), "one signed with another key is not")
    status, _ = signed.call("Execute", who, at=datetime.now(timezone.utc) - timedelta(minutes=30))
    check(status == 500, "nor one of half an hour ago")

    fetch = lambda text: f'<RetrieveMultiple xmlns="{SERVICES}"><query i:type="b:FetchExpression" xmlns:b="{CONTRACTS}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><b:Query>{text.replace("&", "&amp;").replace("<", "&lt;")}</b:Query></query></RetrieveMultiple>'
    status, root = signed.call("RetrieveMultiple", fetch(
        "<fetch returntotalrecordcount='true'><entity name='new_alltypes'><all-attributes/><link-entity name='account' from='accountid' to='new_accountid' link-type='outer' alias='a'><attribute name='name'/></link-entity></entity></fetch>"
    ))
    check(status == 200 and len(root.findall(f".//{{{CONTRACTS}}}Entity")) == 6, "all types are read and fit the contract")
    wide = "".join(root.itertext())
    check("9007199254740993" in wide and "a.name" in wide, "with large numbers and columns of another table")
    for filters, tables in [("Entity", None), ("Entity Attributes Relationships", "contact")]:
        message = "RetrieveEntity" if tables else "RetrieveAllEntities"
        named = [("LogicalName", typed("x:string", tables))] if tables else []
        status, root = signed.call("Execute", execute(
            message, ("EntityFilters", typed("m:EntityFilters", filters)), ("RetrieveAsIfPublished", typed("x:boolean", "false")), *named
        ))
        check(status == 200, f"{message} fits the contract")
    for name in ["account", "contact", "opportunity", "lead", "task", "new_alltypes"]:
        status, root = signed.call("Execute", execute(
            "RetrieveEntity", ("EntityFilters", typed("m:EntityFilters", "Attributes")), ("LogicalName", typed("x:string", name))
        ))
        check(status == 200, f"the columns of {name} fit the contract")
    status, root = signed.call("Execute", execute("RetrieveAllOptionSets", ("RetrieveAsIfPublished", typed("x:boolean", "false"))))
    check(status == 200 and root.findall(".//{*}OptionSetMetadataBase"), "global option sets are listed")

    requests_ = "".join([
        request("Create", ("Target", contact("Signed 1"))),
        request("Create", ("Target", contact("x" * 200))),
        request("Create", ("Target", contact("Signed 2"))),
    ])
    several = [
        ("Requests", f'<c:value i:type="e:OrganizationRequestCollection" xmlns:e="http://schemas.microsoft.com/xrm/2012/Contracts">{requests_}</c:value>'),
        ("Settings", '<c:value i:type="e:ExecuteMultipleSettings" xmlns:e="http://schemas.microsoft.com/xrm/2012/Contracts"><e:ContinueOnError>true</e:ContinueOnError><e:ReturnResponses>true</e:ReturnResponses></c:value>'),
    ]
    status, root = signed.call("Execute", execute("ExecuteMultiple", *several))
    items = root.findall(".//{*}ExecuteMultipleResponseItem")
    faults = [item.find("{*}Fault/{*}ErrorCode") for item in items]
    check([fault is not None for fault in faults] == [False, True, False], "one of three is refused")
    check(int(faults[1].text) == -2147204303, "for the length of its text")
    made = [item.find(".//{%s}value" % GENERIC).text for item in items if item.find("{*}Fault/{*}ErrorCode") is None]
    changes = lambda token: execute(
        "RetrieveEntityChanges", ("EntityName", typed("x:string", "contact")),
        ("Columns", typed("b:ColumnSet", '<b:AllColumns>false</b:AllColumns><b:Columns xmlns:r="http://schemas.microsoft.com/2003/10/Serialization/Arrays"><r:string>lastname</r:string></b:Columns>')),
        ("PageInfo", typed("b:PagingInfo", "<b:Count>5000</b:Count><b:PageNumber>1</b:PageNumber><b:PagingCookie i:nil=\"true\"/><b:ReturnTotalRecordCount>false</b:ReturnTotalRecordCount>")),
        *([("DataVersion", typed("x:string", token))] if token else []),
    )
    status, root = signed.call("Execute", changes(None))
    token = root.find(".//{*}DataToken").text
    check(status == 200 and token, "changes come with a token")
    for identifier in made:
        status, _ = signed.call("Delete", f'<Delete xmlns="{SERVICES}"><entityName>contact</entityName><id>{identifier}</id></Delete>')
        check(status == 200, "what was made is deleted")
    status, root = signed.call("Execute", changes(token))
    gone = [item.find("{*}Id").text for item in root.findall(".//{*}RemovedItem")]
    check(sorted(gone) == sorted(made), "and told as such since the token")


NUMBERS = [number for number in range(21) if number != 5]
SPACES = {}
for _number in NUMBERS:
    _root = etree.fromstring((XSDS / f"xsd{_number}.xsd").read_bytes().lstrip(b"\xef\xbb\xbf"))
    SPACES[_number] = _root.get("targetNamespace")
WRAPPER = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">' + "".join(
    f'<xs:import namespace="{space}" schemaLocation="xsd{number}.xsd"/>' for number, space in SPACES.items()
) + "</xs:schema>"


def main():
    state = Path(sys.argv[1])
    about = json.loads((state / "sandbox.json").read_text())["dynamics"]
    with_signatures(state, about)
    with_zeep(state, about)
    print("zeep: the Organization service is as its contract says")


if __name__ == "__main__":
    main()
