"""Holds the bodies that the connector sends to the Organization service against the vendor's own schemas.

Usage: soap_bodies.py STATE_DIR    (not used: nothing is sent)

libxml2 judges them. That it judges at all is shown by bodies with one thing wrong, each of which a server would
silently read as something else.
"""

from pathlib import Path

from lxml import etree

ROOT = Path(__file__).resolve().parent.parent.parent
XSDS = ROOT / "sandbox" / "data" / "dynamics" / "xsd"
BODIES = ROOT / "crates" / "crm-dynamics" / "tests" / "fixtures" / "soap" / "requests"

# In which body, what is replaced by what.
WRONG = [
    ("writes", "<b:LogicalName>contact</b:LogicalName><b:RelatedEntities></b:RelatedEntities>", "<b:RelatedEntities></b:RelatedEntities><b:LogicalName>contact</b:LogicalName>"),
    ("writes", 'i:type="b:CreateRequest"', 'i:type="b:MakeRequest"'),
    ("writes", '<c:value i:type="x:int">2</c:value>', '<c:value i:type="x:int">two</c:value>'),
    ("writes", "<o:OptionSetValue>", "<b:OptionSetValue>"),
    ("writes", "k:KeyValuePairOfstringanyType", "b:KeyValuePairOfstringanyType"),
    ("writes", "n:OrganizationRequest ", "b:OrganizationRequest "),
    ("retrieve_multiple", "<b:Query>", "<Query>"),
    ("retrieve_entity", "Entity Attributes<", "Entity, Attributes<"),
    ("changes_next", "<b:PageNumber>2</b:PageNumber>", "<b:PageNumber>2</b:PageNumber><b:Count>1</b:Count>"),
]


def schema():
    spaces = {}
    for file in sorted(XSDS.glob("xsd*.xsd")):
        root = etree.fromstring(file.read_bytes().lstrip(b"\xef\xbb\xbf"))
        spaces[file.name] = root.get("targetNamespace")
    imports = "".join(f'<xs:import namespace="{space}" schemaLocation="{name}"/>' for name, space in spaces.items())
    wrapper = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(wrapper.encode(), base_url=f"{XSDS}/"))


def main():
    judge = schema()
    bodies = {file.stem: file.read_text() for file in sorted(BODIES.glob("*.xml"))}
    if not bodies:
        raise SystemExit("there are no bodies")
    for name, body in bodies.items():
        if not judge.validate(etree.fromstring(body.encode())):
            raise SystemExit(f"{name}: {judge.error_log.last_error}")
        print(f"ok: {name} is as the contract says")
    for name, right, wrong in WRONG:
        body = bodies[name]
        if right not in body:
            raise SystemExit(f"{name} no longer holds {right}")
        spoiled = body.replace(right, wrong)
        if right.startswith("<o:OptionSetValue"):
            spoiled = spoiled.replace("</o:OptionSetValue>", "</b:OptionSetValue>")
        if right.startswith("n:OrganizationRequest"):
            spoiled = spoiled.replace("</n:OrganizationRequest>", "</b:OrganizationRequest>")
        if right == "<b:Query>":
            spoiled = spoiled.replace("</b:Query>", "</Query>")
        if judge.validate(etree.fromstring(spoiled.encode())):
            raise SystemExit(f"{name}: {wrong} passes")
    print(f"ok: {len(WRONG)} wrong bodies are refused")


if __name__ == "__main__":
    main()
