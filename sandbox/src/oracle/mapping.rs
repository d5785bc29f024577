//! `GetMapping` of the Service API (section 3.2 of the protocol page): labels, v1.0 tags and type words
//! of the fields users see. Few custom fields are in use, so few are listed.

use super::envelope::Fault;
use super::objects::{Field, Kind};
use super::store::Store;
use crate::xml::{self, Node};

/// Custom fields in use, with their labels and, where it differs, their type word.
const IN_USE: &[(&str, &str, &str)] = &[
    ("CustomText0", "Remarks", ""),
    ("CustomPickList0", "Relation", ""),
    ("CustomPickList1", "Land", ""),
    ("CustomPickList2", "City of Contact", ""),
    ("CustomMultiSelectPickList0", "Channels", ""),
    ("CustomBoolean0", "Never Fax", ""),
    ("CustomDate0", "Last Visit", ""),
    ("CustomDate25", "Contract Start", ""),
    ("CustomNumber0", "Discount", ""),
    ("CustomNumber1", "Share", "Percent"),
    ("CustomInteger0", "Visits", ""),
    ("CustomCurrency0", "Budget", "Currency"),
    ("CustomPhone0", "Second Phone", ""),
];

fn word(field: &Field) -> &'static str {
    match field.kind {
        _ if field.hidden => "Picture",
        Kind::Text(_) => "Text (Short)",
        Kind::Long(_) => "Text (Long)",
        Kind::Pick => "Picklist",
        Kind::MultiPick => "Multi-Select Picklist",
        Kind::Phone => "Phone",
        Kind::Id => "ID",
        Kind::Bool => "Checkbox",
        Kind::Int => "Integer",
        Kind::Decimal => "Number",
        Kind::Date => "Date",
        Kind::DateTime => "Date/Time",
    }
}

/// A label made from a tag: words split before capitals.
fn label(tag: &str) -> String {
    let mut out = String::new();
    let mut small = false;
    for c in tag.chars() {
        if c.is_uppercase() && small {
            out.push(' ');
        }
        small = c.is_lowercase();
        out.push(c);
    }
    out
}

/// What people call a field: the company's label, or one made from its tag.
pub fn title(tag: &str) -> String {
    IN_USE
        .iter()
        .find(|(known, _, _)| *known == tag)
        .map_or_else(|| label(tag), |(_, label, _)| (*label).to_owned())
}

/// The company's tag of a custom field in use: a prefix for its type, and its label (section 3.6).
pub fn custom_tag(field: &Field) -> Option<String> {
    let (_, label, word) = IN_USE.iter().find(|(known, _, _)| *known == field.name)?;
    let prefix = match field.kind {
        _ if *word == "Currency" => "c",
        Kind::Pick => "pl",
        Kind::MultiPick => "msp",
        Kind::Phone => "ph",
        Kind::Bool => "b",
        Kind::Int => "i",
        Kind::Decimal => "n",
        Kind::Date => "d",
        Kind::DateTime => "dt",
        Kind::Long(_) => "lt",
        Kind::Text(_) | Kind::Id => "st",
    };
    Some(format!("{prefix}{}", label.replace(' ', "_")))
}

/// Answers `GetMapping`.
///
/// # Errors
/// SBL-ODS-50085 for an unknown object.
pub fn answer(store: &Store, input: &Node) -> Result<String, Fault> {
    let name = input.text_of("ObjectName").unwrap_or_default();
    let Some(table) = store.by_service_name(name) else {
        return Err(Fault::one(
            "SBL-ODS-50085",
            format!("The object '{name}' is not available"),
        ));
    };
    let mut out = format!(
        "<ns:MappingWS_GetMapping_Output xmlns:ns=\"urn:crmondemand/ws/mapping/\"><ns:ObjectName>{}</ns:ObjectName><ListOfField xmlns=\"urn:/crmondemand/xml/mappingservice\">",
        xml::escape(name)
    );
    for field in &table.object.fields {
        let is_custom = field.name.starts_with("Custom") || field.name.starts_with("Indexed");
        let used = IN_USE.iter().find(|(tag, _, _)| *tag == field.name);
        if is_custom && used.is_none() || field.name == "ModId" {
            continue;
        }
        let tag = table.object.v1_tag(&field.name);
        let title = used.map_or_else(|| label(&tag), |(_, title, _)| (*title).to_owned());
        let kind = used
            .map(|(_, _, kind)| *kind)
            .filter(|kind| !kind.is_empty())
            .unwrap_or(word(field));
        out.push_str("<Field>");
        for (name, value) in [
            ("LastUpdated", "01/31/2024 10:00:00"),
            ("DisplayName", &title),
            ("ElementName", &tag),
            ("DataType", kind),
        ] {
            xml::element(&mut out, name, value);
        }
        out.push_str("</Field>");
    }
    out.push_str("</ListOfField></ns:MappingWS_GetMapping_Output>");
    Ok(out)
}
