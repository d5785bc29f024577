"""Reads OData conditions, a JSON text on each line, with odata-query; prints how many.

The vendor's function for long lists is legal OData with a namespace and a JSON array, which that parser does not know.
Where it is written letter by letter as below, with plain values, it is read as the operator `in` of OData 4.01.
That the parser judges at all is shown by each condition with one thing wrong.
"""

import json
import re
import sys

from odata_query.exceptions import ODataException
from odata_query.grammar import ODataLexer, ODataParser

IN_FUNCTION = re.compile(
    r"Microsoft\.Dynamics\.CRM\.In\(PropertyName='([A-Za-z_][A-Za-z0-9_]*)',"
    r"PropertyValues=\[(\"[-0-9A-Za-z.]+\"(?:,\"[-0-9A-Za-z.]+\")*)\]\)"
)
WRONG = [
    lambda text: text + " and",
    lambda text: "(" + text,
    lambda text: text + ")",
    lambda text: re.sub(r" (eq|ne|lt|le|gt|ge|in|and) |startswith", " is ", text, count=1),
    lambda text: text + " or name eq 'it's'",
]


def read(text):
    plain = IN_FUNCTION.sub(lambda found: f"{found[1]} in ({found[2]})".replace('"', "'"), text)
    return ODataParser().parse(ODataLexer().tokenize(plain))


def is_read(text):
    try:
        return read(text) is not None
    except ODataException:
        return False


def main():
    conditions = [json.loads(line) for line in sys.stdin.buffer]
    for condition in conditions:
        if not is_read(condition):
            raise SystemExit(f"no OData: {condition}")
        for at, spoil in enumerate(WRONG):
            if is_read(spoil(condition)):
                raise SystemExit(f"wrong OData passes ({at}): {spoil(condition)}")
    print(len(conditions))


main()
