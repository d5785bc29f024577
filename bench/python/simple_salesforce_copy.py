"""Salesforce by simple-salesforce's lazy query into PostgreSQL by psycopg's COPY."""

from operator import itemgetter

from contest import FIELDS, QUERY, copied, measured, salesforce

client = salesforce()
values = itemgetter(*FIELDS)
measured(lambda: copied(map(values, client.query_all_iter(QUERY))))
