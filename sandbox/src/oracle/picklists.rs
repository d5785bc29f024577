//! Picklists and `GetPicklistValues` (section 7 of the protocol page). Codes are kept and sent;
//! the text depends on the language.

use super::envelope::Fault;
use super::store::Store;
use crate::xml::{self, Node};

/// Code, German text (empty: as the code), whether it is disabled.
type Value = (&'static str, &'static str, bool);

/// A list, or the part of it that belongs to one value of another field.
struct Part {
    object: &'static str,
    field: &'static str,
    /// Field and code of the value this part belongs to.
    parent: Option<(&'static str, &'static str)>,
    values: &'static [Value],
}

const fn part(object: &'static str, field: &'static str, values: &'static [Value]) -> Part {
    Part {
        object,
        field,
        parent: None,
        values,
    }
}

const fn below(parent: &'static str, values: &'static [Value]) -> Part {
    Part {
        object: "Contact",
        field: "CustomPickList2",
        parent: Some(("CustomPickList1", parent)),
        values,
    }
}

const TYPES: &[Value] = &[
    ("Customer", "Kunde", false),
    ("Prospect", "Interessent", false),
    ("Partner", "", false),
    ("Competitor", "Wettbewerber", true),
];
const STATUS: &[Value] = &[
    ("Open", "Offen", false),
    ("Pending", "Wartend", false),
    ("Closed", "Geschlossen", false),
];

const LISTS: &[Part] = &[
    part("Account", "AccountType", TYPES),
    part(
        "Account",
        "Priority",
        &[
            ("High", "Hoch", false),
            ("Medium", "Mittel", false),
            ("Low", "Niedrig", false),
        ],
    ),
    part("Contact", "ContactType", TYPES),
    part(
        "Contact",
        "MrMrs",
        &[
            ("Mr.", "Herr", false),
            ("Ms.", "Frau", false),
            ("Mrs.", "Frau", false),
            ("Dr.", "", false),
            ("Prof.", "", false),
        ],
    ),
    part("Contact", "CustomPickList0", TYPES),
    part(
        "Contact",
        "CustomPickList1",
        &[("DE", "Deutschland", false), ("FR", "Frankreich", false)],
    ),
    below(
        "DE",
        &[("Berlin", "", false), ("Munich", "M\u{fc}nchen", false)],
    ),
    below("FR", &[("Paris", "", false), ("Lyon", "", true)]),
    part(
        "Contact",
        "CustomMultiSelectPickList0",
        &[
            ("Mail", "Post", false),
            ("Phone", "Telefon", false),
            ("Fax", "", true),
        ],
    ),
    part(
        "Lead",
        "Rating",
        &[("A", "", false), ("B", "", false), ("C", "", false)],
    ),
    part("Service Request", "Status", STATUS),
    part(
        "Service Request",
        "CustomPickList0",
        &[("Gold", "Gold", false), ("Silver", "Silber", false)],
    ),
    part(
        "Service Request",
        "CustomMultiSelectPickList0",
        &[
            ("Red", "Rot", false),
            ("Green", "Gr\u{fc}n", false),
            ("Blue", "Blau", false),
        ],
    ),
    part(
        "Activity",
        "Priority",
        &[
            ("1-High", "1-Hoch", false),
            ("2-Medium", "2-Mittel", false),
            ("3-Low", "3-Niedrig", false),
        ],
    ),
    part("Opportunity", "Status", STATUS),
];

fn parts<'a>(object: &'a str, field: &'a str) -> impl Iterator<Item = &'static Part> + use<'a> {
    LISTS
        .iter()
        .filter(move |part| part.object == object && part.field == field)
}

/// Whether a code may be written; a field without a list takes everything.
pub fn allows(object: &str, field: &str, code: &str) -> bool {
    let mut listed = parts(object, field).peekable();
    listed.peek().is_none()
        || listed.any(|part| {
            part.values
                .iter()
                .any(|(known, _, disabled)| *known == code && !disabled)
        })
}

/// The text of a value, several of them with semicolons, in German.
pub fn display(object: &str, field: &str, value: &str) -> String {
    let one = |code: &str| {
        parts(object, field)
            .flat_map(|part| part.values)
            .find(|(known, text, _)| *known == code && !text.is_empty())
            .map_or_else(|| code.to_owned(), |(_, text, _)| (*text).to_owned())
    };
    value.split(';').map(one).collect::<Vec<_>>().join(";")
}

/// Answers `GetPicklistValues`.
///
/// # Errors
/// SBL-ODS-50731 for what is no picklist, SBL-ODS-50085 for an unknown object.
pub fn answer(store: &Store, input: &Node) -> Result<String, Fault> {
    let field = input.text_of("FieldName").unwrap_or_default();
    let object = input.text_of("RecordType").unwrap_or_default();
    let language = input.text_of("LanguageCode").unwrap_or("ENU");
    if store.by_service_name(object).is_none() {
        return Err(Fault::one(
            "SBL-ODS-50085",
            format!("The record type '{object}' is not available"),
        ));
    }
    if parts(object, field).next().is_none() {
        return Err(Fault::one(
            "SBL-ODS-50731",
            format!("The field requested is not a valid picklist: '{field}'"),
        ));
    }
    let text = |code: &str, german: &str| match language {
        "DEU" if !german.is_empty() => german.to_owned(),
        _ => code.to_owned(),
    };
    let mut out = String::from(
        "<ns:PicklistWS_GetPicklistValues_Output xmlns:ns=\"urn:crmondemand/ws/picklist/\"><ListOfParentPicklistValue xmlns=\"urn:/crmondemand/xml/picklist\">",
    );
    for part in parts(object, field) {
        let (parent_field, parent_code) = part.parent.unwrap_or_default();
        let parent_text = match language {
            "DEU" => display(object, parent_field, parent_code),
            _ => parent_code.to_owned(),
        };
        out.push_str("<ParentPicklistValue>");
        let disabled = if parent_code.is_empty() { "" } else { "N" };
        for (name, value) in [
            ("Language", language),
            ("ParentFieldName", parent_field),
            ("ParentDisplayValue", &parent_text),
            ("ParentCode", parent_code),
            ("Disabled", disabled),
        ] {
            xml::element(&mut out, name, value);
        }
        out.push_str("<ListOfPicklistValue>");
        for (code, german, disabled) in part.values {
            out.push_str("<PicklistValue>");
            xml::element(&mut out, "Code", code);
            xml::element(&mut out, "DisplayValue", &text(code, german));
            xml::element(&mut out, "Disabled", if *disabled { "Y" } else { "N" });
            out.push_str("</PicklistValue>");
        }
        out.push_str("</ListOfPicklistValue></ParentPicklistValue>");
    }
    out.push_str("</ListOfParentPicklistValue></ns:PicklistWS_GetPicklistValues_Output>");
    Ok(out)
}
