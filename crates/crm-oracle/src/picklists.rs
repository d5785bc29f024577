//! Picklists: their codes, and what people see in their place (Oracle page 7).

use crate::call::Call;
use crate::envelope::{close_message, open_list};
use crate::fault::Fault;
use crate::objects;
use crate::session::OracleSession;
use crm_core::{CallStats, EnumerationValue, RemoteObject, Result};
use crm_xml::{Reader, Writer};

const SERVICE: &str = "urn:crmondemand/ws/picklist/";
/// What the service says of a field that its metadata calls a picklist and that is none, as far as clients know it.
const NO_PICKLIST: &[&str] = &[
    "SBL-ODS-50085",
    "SBL-ODS-50720",
    "SBL-ODS-50731",
    "SBL-ODS-50735",
    "SBL-SBL-00000",
];

/// The same description with the values of its picklists: a call for each of them, since the service lists one field at
/// a time. A field that turns out to be none, such as a lookup that the layouts call a picklist, is one no more.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn fill(
    session: &OracleSession,
    mut object: RemoteObject,
    stats: &CallStats,
) -> Result<RemoteObject> {
    let name = object.summary.name.clone();
    let language = session.option("language");
    for field in &mut object.fields {
        if field.enumeration.is_none() {
            continue;
        }
        // The Service API knows the tags of version 1.0 (Oracle page 7.1).
        let tag = objects::former_tag(&name, &field.name);
        let call = call(objects::service_name(&name), &tag, language)?;
        let found = match session.exchange(&call, stats).await {
            Ok(answered) => values(&answered.body)?,
            Err(trouble) if trouble.fault.as_ref().is_some_and(is_none) => Vec::new(),
            Err(trouble) => {
                let about = format!("picklist \"{}\" of object \"{name}\"", field.name);
                return Err(trouble.error.in_context(about));
            }
        };
        if found.is_empty() {
            field.enumeration = None;
        }
        field.values = found;
    }
    Ok(object)
}

/// Asks for the values of a field, both by the names that the Service API has for them; in the user's own language
/// where none is given.
///
/// # Errors
/// When a name cannot be sent.
fn call(object: &str, field: &str, language: Option<&str>) -> Result<Call> {
    let mut input = Writer::new();
    input.open("PicklistWS_GetPicklistValues_Input", &[("xmlns", SERVICE)]);
    input.leaf("FieldName", &[], field);
    input.leaf("RecordType", &[], object);
    if let Some(language) = language {
        input.leaf("LanguageCode", &[], language);
    }
    Ok(Call::new(SERVICE, "GetPicklistValues", input.finish()?))
}

/// The fault says that the field has no picklist that can be read.
fn is_none(fault: &Fault) -> bool {
    NO_PICKLIST.iter().any(|code| fault.has(code))
}

/// The values of an answer, in its order. A value of a cascading picklist stands under each parent value with which it
/// may be chosen.
///
/// # Errors
/// When the answer cannot be read.
pub(crate) fn values(body: &[u8]) -> Result<Vec<EnumerationValue>> {
    let mut reader = Reader::new(body)?;
    open_list(&mut reader, "ListOfParentPicklistValue")?;
    let mut values: Vec<EnumerationValue> = Vec::new();
    let mut language: Option<String> = None;
    while reader.child()? {
        let part = part(&mut reader)?;
        // One language was asked for; should several come, the first one counts.
        if *language.get_or_insert(part.language.clone()) != part.language {
            continue;
        }
        for value in part.values {
            let known = values.iter_mut().find(|known| known.value == value.value);
            match (known, &part.parent) {
                (Some(known), Some(parent)) => {
                    known.active |= value.active;
                    known
                        .controlling
                        .get_or_insert_default()
                        .push(parent.clone());
                }
                (Some(_), None) => {}
                (None, parent) => values.push(EnumerationValue {
                    controlling: parent.clone().map(|parent| vec![parent]),
                    ..value
                }),
            }
        }
    }
    close_message(&mut reader)?;
    Ok(values)
}

/// The values under one parent value, or all of a plain list.
#[derive(Default)]
struct Part {
    language: String,
    parent: Option<String>,
    values: Vec<EnumerationValue>,
}

fn part(reader: &mut Reader<'_>) -> Result<Part> {
    let mut part = Part::default();
    while reader.child()? {
        match reader.name().1 {
            "Language" => part.language = reader.text()?.into_owned(),
            "ParentCode" => {
                let code = reader.text()?.into_owned();
                part.parent = Some(code).filter(|code| !code.is_empty());
            }
            "ListOfPicklistValue" => {
                while reader.child()? {
                    part.values.extend(value(reader)?);
                }
            }
            _ => reader.skip()?,
        }
    }
    Ok(part)
}

fn value(reader: &mut Reader<'_>) -> Result<Option<EnumerationValue>> {
    let (mut code, mut shown, mut is_disabled) = (String::new(), String::new(), false);
    while reader.child()? {
        match reader.name().1 {
            "Code" => code = reader.text()?.into_owned(),
            "DisplayValue" => shown = reader.text()?.into_owned(),
            "Disabled" => is_disabled = matches!(reader.text()?.trim(), "Y" | "true"),
            _ => reader.skip()?,
        }
    }
    // The empty choice is no value.
    if code.is_empty() {
        return Ok(None);
    }
    Ok(Some(EnumerationValue {
        label: if shown.is_empty() {
            code.clone()
        } else {
            shown
        },
        value: code,
        active: !is_disabled,
        is_default: false,
        controlling: None,
        variants: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &[EnumerationValue]) -> Vec<String> {
        let controlling = |value: &EnumerationValue| match &value.controlling {
            Some(parents) => parents.join("+"),
            None => "-".into(),
        };
        values
            .iter()
            .map(|value| {
                format!(
                    "{} {} {} {}",
                    value.value,
                    value.label,
                    value.active,
                    controlling(value)
                )
            })
            .collect()
    }

    #[test]
    fn the_recorded_picklist_is_read() {
        let body = include_bytes!("../tests/fixtures/picklist_account_type.xml");
        assert_eq!(
            told(&values(body).unwrap()),
            [
                "Customer Kunde true -",
                "Prospect Interessent true -",
                "Partner Partner true -",
                "Competitor Wettbewerber false -",
            ]
        );
        assert!(values(&body[..body.len() - 30]).is_err());
    }

    #[test]
    fn a_cascading_picklist_says_with_what_a_value_may_be_chosen() {
        let value = |code: &str, disabled: &str| {
            format!("<v><Code>{code}</Code><DisplayValue/><Disabled>{disabled}</Disabled></v>")
        };
        let part = |language: &str, parent: &str, values: &[String]| {
            format!(
                "<p><Language>{language}</Language><ParentFieldName>Land</ParentFieldName><ParentCode>{parent}</ParentCode><ListOfPicklistValue>{}</ListOfPicklistValue></p>",
                values.join("")
            )
        };
        let body = format!(
            "<e:Envelope xmlns:e='x'><e:Body><o><ListOfParentPicklistValue>{}{}{}</ListOfParentPicklistValue></o></e:Body></e:Envelope>",
            part(
                "ENU",
                "DE",
                &[value("Berlin", "N"), value("Both", "Y"), value("", "N")]
            ),
            part("ENU", "FR", &[value("Both", "N"), value("Lyon", "Y")]),
            part("DEU", "FR", &[value("Lyons", "Y")]),
        );
        assert_eq!(
            told(&values(body.as_bytes()).unwrap()),
            [
                "Berlin Berlin true DE",
                "Both Both true DE+FR",
                "Lyon Lyon false FR"
            ]
        );
    }

    #[test]
    fn names_and_language_are_sent() {
        let call = call("Service Request", "Status", Some("DEU")).unwrap();
        assert_eq!(
            call.input,
            "<PicklistWS_GetPicklistValues_Input xmlns=\"urn:crmondemand/ws/picklist/\"><FieldName>Status</FieldName><RecordType>Service Request</RecordType><LanguageCode>DEU</LanguageCode></PicklistWS_GetPicklistValues_Input>"
        );
    }
}
