"""Oracle CRM On Demand by zeep, page by page in the order of identifiers, into PostgreSQL by psycopg's COPY."""

from pathlib import Path
from urllib.parse import quote

from zeep import Client, Settings, Transport

from contest import FIELDS, copied, measured, sandbox, trusting

WSDL = Path(__file__).resolve().parents[2] / "sandbox" / "data" / "oracle" / "Contact.wsdl"
PAGE = 100

known = sandbox()["oracle"]
address = f"{known['base_url']}/Services/Integration"
session = trusting()
answer = session.get(
    f"{address}?command=login&isEncoded=Y",
    headers={"UserName": quote(known["username"]), "Password": quote(known["password"])},
)
answer.raise_for_status()
client = Client(str(WSDL), transport=Transport(session=session), settings=Settings(strict=False))
service = client.create_service(next(iter(client.wsdl.bindings)), address)


def values():
    template = {name: "" for name in FIELDS}
    template["Id"] = {"_value_1": "", "sortorder": "ASC", "sortsequence": "1"}
    start = 0
    while True:
        page = service.ContactQueryPage(
            ListOfContact={"pagesize": str(PAGE), "startrownum": str(start), "Contact": template}
        )
        for contact in page.Contact:
            yield [getattr(contact, field) for field in FIELDS]
        start += len(page.Contact)
        if page.lastpage or not page.Contact:
            return


measured(lambda: copied(values()))
