//! The message that asks for a page of records (Oracle page 4.1). Its three namespaces: the service's for the
//! operation, one for the filters, and one for the records that come back.

use crate::call::{Call, data_service, query_namespace};
use crm_core::Result;
use crm_xml::Writer;

/// Records a page at most (Oracle page 4.1).
pub(crate) const LARGEST_PAGE: u32 = 100;

/// A page of records of one object, sorted by their identifiers.
pub(crate) struct QueryPage<'a> {
    /// The object, checked to be a name.
    pub object: &'a str,
    /// The fields wanted, checked to be names; the first one is the identifier.
    pub tags: &'a [&'a str],
    /// The search specification.
    pub spec: Option<&'a str>,
    /// Records at most.
    pub size: u32,
    /// Records to pass over.
    pub start: u64,
    /// Whether the CRM counts all records that match.
    pub counted: bool,
    /// Which records the user's queries see.
    pub view_mode: Option<&'a str>,
    /// Whether custom fields go by the company's own tags.
    pub custom_tags: bool,
}

impl QueryPage<'_> {
    /// The operation, which only reads.
    ///
    /// # Errors
    /// When the specification holds a character that XML cannot carry.
    pub(crate) fn call(&self) -> Result<Call> {
        let service = data_service(self.object, self.custom_tags);
        let operation = format!("{}QueryPage", self.object);
        let mut message = Writer::new();
        message.open(format!("{operation}_Input"), &[("xmlns", &service)]);
        let (size, start) = (self.size.to_string(), self.start.to_string());
        let namespace = query_namespace(self.object);
        let mut attributes = vec![
            ("xmlns", namespace.as_str()),
            ("pagesize", &size),
            ("startrownum", &start),
        ];
        if self.counted {
            attributes.push(("recordcountneeded", "true"));
        }
        message.open(format!("ListOf{}", self.object), &attributes);
        let spec: Vec<_> = self
            .spec
            .map(|spec| ("searchspec", spec))
            .into_iter()
            .collect();
        message.open(self.object.to_owned(), &spec);
        for (at, tag) in self.tags.iter().enumerate() {
            let order: &[_] = match at {
                0 => &[("sortorder", "ASC"), ("sortsequence", "1")],
                _ => &[],
            };
            message.leaf((*tag).to_owned(), order, "");
        }
        message.close().close();
        if let Some(view_mode) = self.view_mode {
            message.leaf("ViewMode", &[], view_mode);
        }
        Ok(Call::new(service, operation, message.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_the_protocol_page() {
        let page = QueryPage {
            object: "Contact",
            tags: &["Id", "ContactLastName"],
            spec: Some(
                "([ModifiedDate] >= '2024-01-01T00:00:00Z') AND ([ContactLastName] <> 'a\"&<b')",
            ),
            size: 100,
            start: 0,
            counted: true,
            view_mode: Some("Sales Rep"),
            custom_tags: false,
        };
        let call = page.call().unwrap();
        assert_eq!(call.operation, "ContactQueryPage");
        assert!(call.repeatable && !call.data);
        assert_eq!(
            call.input,
            "<ContactQueryPage_Input xmlns=\"urn:crmondemand/ws/ecbs/contact/\">\
             <ListOfContact xmlns=\"urn:/crmondemand/xml/Contact/Query\" pagesize=\"100\" startrownum=\"0\" recordcountneeded=\"true\">\
             <Contact searchspec=\"([ModifiedDate] >= '2024-01-01T00:00:00Z') AND ([ContactLastName] &lt;> 'a&quot;&amp;&lt;b')\">\
             <Id sortorder=\"ASC\" sortsequence=\"1\"></Id><ContactLastName></ContactLastName></Contact></ListOfContact>\
             <ViewMode>Sales Rep</ViewMode></ContactQueryPage_Input>"
        );
        let bad = QueryPage {
            spec: Some("[A] = '\u{1}'"),
            ..page
        };
        assert!(bad.call().is_err());
    }
}
