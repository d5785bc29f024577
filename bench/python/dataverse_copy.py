"""Dynamics by Microsoft's own Python client, page by page, into PostgreSQL by psycopg's COPY."""

import os

from contest import CA_FILE, FIELDS, copied, measured, sandbox

# The documented way of both libraries to trust an authority; it is read when a session is made.
os.environ["REQUESTS_CA_BUNDLE"] = CA_FILE

from azure.identity import ClientSecretCredential
from PowerPlatform.Dataverse.client import DataverseClient

known = sandbox()["dynamics"]
credential = ClientSecretCredential(
    known["tenant"],
    known["client_id"],
    known["client_secret"],
    authority=known["login_url"],
    disable_instance_discovery=True,
)
client = DataverseClient(known["organisation_url"], credential)
# The token is asked for, and the table's description read, before the measured part.
next(iter(client.records.list_pages("contact", select=["contactid"], page_size=1)))


def values():
    for page in client.records.list_pages("contact", select=FIELDS, page_size=5000):
        for record in page:
            yield [record.get(field) for field in FIELDS]


measured(lambda: copied(values()))
