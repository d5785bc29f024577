"""Salesforce by simple-salesforce's Bulk API 2.0 query, its CSV put into PostgreSQL's COPY as it comes."""

from contest import COLUMNS, QUERY, TARGET, connection, measured, salesforce

client = salesforce()
names = ", ".join(column["name"] for column in COLUMNS)
# Every field is quoted and null is the empty one.
how = f"FORMAT csv, HEADER true, FORCE_NULL ({names})"


def load():
    rows = 0
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TARGET}")
        # The first look at the job is at once; this machine's sandbox is done by the second.
        for page in client.bulk2.Contact.query(QUERY, wait=0):
            with cursor.copy(f"COPY {TARGET} ({names}) FROM STDIN ({how})") as copy:
                copy.write(page)
            rows += cursor.rowcount
    return rows


measured(load)
