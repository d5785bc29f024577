//! The mapping service: labels, tags and types of the fields that the company's layouts show (Oracle page 3.2).

use crate::call::Call;
use crate::describe::Told;
use crate::envelope::{close_message, open_output};
use crm_core::Result;
use crm_xml::{Reader, Writer};

const SERVICE: &str = "urn:crmondemand/ws/mapping/";

/// Asks for the fields of an object, by its name in the Service API.
///
/// # Errors
/// When the name cannot be sent.
pub(crate) fn call(service_name: &str) -> Result<Call> {
    let mut input = Writer::new();
    input.open("MappingWS_GetMapping_Input", &[("xmlns", SERVICE)]);
    input.leaf("ObjectName", &[], service_name);
    Ok(Call::new(SERVICE, "GetMapping", input.finish()?))
}

/// The fields of an answer, by their tags in version 1.0 where the object exists there.
///
/// # Errors
/// When it is none.
pub(crate) fn fields(body: &[u8]) -> Result<Vec<Told>> {
    let mut reader = Reader::new(body)?;
    open_output(&mut reader)?;
    let mut fields = Vec::new();
    while reader.child()? {
        if reader.name().1 != "ListOfField" {
            reader.skip()?;
            continue;
        }
        while reader.child()? {
            let mut field = Told::default();
            while reader.child()? {
                match reader.name().1 {
                    "DisplayName" => field.label = reader.text()?.trim().to_owned(),
                    // A client met tags with hyphens here, which stand for underscores in messages.
                    "ElementName" => field.tag = reader.text()?.trim().replace('-', "_"),
                    "DataType" => field.word = reader.text()?.trim().to_owned(),
                    _ => reader.skip()?,
                }
            }
            fields.push(field);
        }
    }
    close_message(&mut reader)?;
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_answer() {
        let fields = fields(include_bytes!("../tests/fixtures/mapping_contact.xml")).unwrap();
        assert_eq!(fields.len(), 14);
        let expected = Told {
            label: "Channels".into(),
            tag: "CustomMultiSelectPickList0".into(),
            word: "Multi-Select Picklist".into(),
            ..Told::default()
        };
        assert!(fields.contains(&expected));
        let call = call("Service Request").unwrap();
        assert_eq!(
            call.input,
            "<MappingWS_GetMapping_Input xmlns=\"urn:crmondemand/ws/mapping/\"><ObjectName>Service Request</ObjectName></MappingWS_GetMapping_Input>"
        );
    }
}
