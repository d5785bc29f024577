//! What is accepted, what refused, and what a condition finds.

use super::*;
use crate::oracle::envelope::Fault;
use crate::oracle::objects;
use chrono_tz::Tz;

const ZONE: Tz = Tz::America__Chicago;

#[test]
fn the_grammar_is_held_to_what_the_guide_says() {
    for text in [
        "[Id] = 'a'",
        "[A]='x'",
        "([A] = 'x') AND ([B] <> 'y')",
        "(([A] = 'x') OR ([B] ~LIKE 'y*')) AND ([C] IS NOT NULL)",
        "[A] is null",
        "[A] EXISTS",
        "[A] = 'it''s'",
    ] {
        assert!(parse(text, true).is_ok(), "{text}");
    }
    for text in [
        "",
        "[A] = 1",
        "[A] = \"x\"",
        "A = 'x'",
        "['A'] = 'x'",
        "[A] IN ('x')",
        "[A] BETWEEN '1' AND '2'",
        "NOT ([A] = 'x')",
        "[A] = 'x",
        "[A] != 'x'",
        "[A] = 'x' AND [B] = 'y'",
        "([A] = 'x')",
        "([A] = 'x') AND",
        "([A] = 'x') ([B] = 'y')",
        "([A] = 'x'",
        "[A] = Today()",
        "[A] IS NULL 'x'",
        "[A] LIKEx 'y'",
    ] {
        assert!(parse(text, true).is_err(), "{text}");
    }
    assert!(parse("[A]= 'x' AND ([B] = 'y')", false).is_ok());
}

fn finds(spec: &str, values: &[(&str, &str)]) -> Result<bool, Fault> {
    let objects = objects::all().unwrap();
    let contact = objects
        .iter()
        .find(|object| object.name == "Contact")
        .unwrap();
    let bound = test(&parse(spec, true).unwrap(), contact, ZONE, true)?;
    let cell = |place: usize| {
        let name = &contact.fields[place].name;
        values
            .iter()
            .find(|(tag, _)| tag == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Ok(matches(&bound, ZONE, &cell))
}

#[test]
fn conditions_find_what_they_say() {
    let record = [
        ("ContactLastName", "D'Arcy*"),
        ("CustomNumber0", "10.50"),
        ("CustomInteger0", "-7"),
        ("CustomBoolean0", "true"),
        ("CustomDate25", "2024-01-31"),
        ("ModifiedDate", "2024-02-03T10:11:12Z"),
        ("JobTitle", ""),
    ];
    for (spec, found) in [
        ("[ContactLastName] = 'D''Arcy\\*'", true),
        ("[ContactLastName] = 'd''arcy\\*'", false),
        ("[ContactLastName] ~= 'd''arcy\\*'", true),
        ("[ContactLastName] = 'D*'", true),
        ("[ContactLastName] LIKE 'D?Arcy?'", true),
        ("[ContactLastName] LIKE 'd*'", false),
        ("[ContactLastName] ~LIKE '*ARC*'", true),
        ("[ContactLastName] LIKE 'D*\\?'", false),
        ("[CustomNumber0] = '10.5'", true),
        ("[CustomInteger0] < '0'", true),
        ("[CustomInteger0] > '-10'", true),
        ("[CustomBoolean0] = 'Y'", true),
        ("[CustomDate25] >= '2024-01-31'", true),
        ("[ModifiedDate] > '2024-02-03T10:11:11Z'", true),
        ("[ModifiedDate] = '2024-02-03T05:11:12-05:00'", true),
        ("[ModifiedDate] = '02/03/2024 04:11:12'", true),
        ("[JobTitle] IS NULL", true),
        ("[JobTitle] <> 'x'", false),
        ("[JobTitle] = ''", false),
        ("([JobTitle] = 'x') OR ([CustomInteger0] = '-7')", true),
        (
            "(([JobTitle] IS NULL) OR ([CustomInteger0] = '1')) AND ([CustomInteger0] = '2')",
            false,
        ),
    ] {
        assert_eq!(finds(spec, &record).unwrap(), found, "{spec}");
    }
    for (spec, code) in [
        ("[ShoeSize] = '1'", "SBL-UNU-00133"),
        ("[ContactImage] IS NULL", "SBL-UNU-00133"),
        ("[CustomInteger0] = 'many'", "SBL-EAI-13011"),
        ("[CustomDate25] = '2024-01-31T00:00:00Z'", "SBL-EAI-13011"),
        ("[ModifiedDate] > 'soon'", "SBL-EAI-13011"),
    ] {
        let Err(Fault::Application(entries)) = finds(spec, &record) else {
            panic!("{spec} is refused");
        };
        assert_eq!(entries[0].code, code, "{spec}");
    }
}

#[test]
fn query_text_of_a_field_joins_conditions_on_it() {
    let one = |literal: &str| Spec::Test {
        tag: "T".into(),
        op: Op::Equal,
        literal: literal.into(),
    };
    assert_eq!(
        by_example("T", "= 'a' OR = 'b'").unwrap(),
        Spec::Any(vec![Spec::All(vec![one("a")]), Spec::All(vec![one("b")])])
    );
    assert!(by_example("T", "> '1' AND < '3'").is_ok());
    assert!(by_example("T", "a").is_err());
}
