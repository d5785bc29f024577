"""Salesforce into PostgreSQL by dlt, in the ways its documentation calls the fastest.

Pages instead of records are yielded, as Arrow tables with types, so that nothing is normalised row by row; the
loader's files are CSV, which its destination loads by COPY. The library's own Salesforce source is not part of its
package; it reads by simple-salesforce, and so does this one.
"""

import os
import tempfile

# Neither sends anything nor asks for anything from outside.
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt
import pyarrow
import pyarrow.compute

from contest import COLUMNS, QUERY, connection, measured, salesforce

STAMP = "%Y-%m-%dT%H:%M:%S.000+0000"
client = salesforce()


def array(values, sql_type):
    if sql_type == "timestamp with time zone":
        moments = pyarrow.compute.strptime(pyarrow.array(values, pyarrow.string()), STAMP, "us")
        return pyarrow.compute.assume_timezone(moments, "UTC")
    if sql_type == "date":
        return pyarrow.array(values, pyarrow.string()).cast(pyarrow.date32())
    if sql_type == "boolean":
        return pyarrow.array(values, pyarrow.bool_())
    if sql_type == "integer":
        return pyarrow.array(values, pyarrow.float64()).cast(pyarrow.int64())
    if sql_type == "numeric":
        return pyarrow.array(values, pyarrow.float64())
    return pyarrow.array(values, pyarrow.string())


def table(records):
    arrays = [array([record[c["field"]] for record in records], c["type"]) for c in COLUMNS]
    return pyarrow.table(arrays, names=[c["name"] for c in COLUMNS])


@dlt.resource(name="contact", write_disposition="replace")
def contacts():
    page = client.query(QUERY)
    while True:
        yield table(page["records"])
        if page["done"]:
            return
        page = client.query_more(page["nextRecordsUrl"], identifier_is_url=True)


def load(pipeline):
    pipeline.run(contacts(), loader_file_format="csv")
    with connection.cursor() as cursor:
        return cursor.execute("SELECT count(*) FROM dlt_load.contact").fetchone()[0]


with tempfile.TemporaryDirectory() as folder:
    at = connection.info
    address = f"postgresql://{at.user}:{at.password}@{at.host}:{at.port}/{at.dbname}"
    connection.execute("DROP SCHEMA IF EXISTS dlt_load CASCADE")
    connection.execute("DROP SCHEMA IF EXISTS dlt_load_staging CASCADE")
    pipeline = dlt.pipeline(
        "dlt_load",
        pipelines_dir=folder,
        dataset_name="dlt_load",
        destination=dlt.destinations.postgres(address),
    )
    measured(lambda: load(pipeline))
