//! The namespaces of the Organization service, its messages and what is around them (Dynamics page 13.1).

use crm_core::{Error, ErrorKind, Result};
use crm_xml::{Reader, Writer};

/// SOAP 1.1.
pub(crate) const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// SOAP 1.2.
pub(crate) const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing.
pub(crate) const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
/// Operations.
pub(crate) const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
/// Records and what is asked for them.
pub(crate) const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
/// Messages that were there before the others.
pub(crate) const MESSAGES: &str = "http://schemas.microsoft.com/crm/2011/Contracts";
/// Requests in one.
pub(crate) const MULTIPLE: &str = "http://schemas.microsoft.com/xrm/2012/Contracts";
/// Alternate keys and changes.
pub(crate) const CHANGES: &str = "http://schemas.microsoft.com/xrm/7.1/Contracts";
/// Multi-select values.
pub(crate) const CHOICES: &str = "http://schemas.microsoft.com/xrm/9.0/Contracts";
/// Descriptions of entities and attributes.
pub(crate) const METADATA: &str = "http://schemas.microsoft.com/xrm/2011/Metadata";
/// Keys and values.
pub(crate) const GENERIC: &str =
    "http://schemas.datacontract.org/2004/07/System.Collections.Generic";
/// Lists of plain values.
pub(crate) const ARRAYS: &str = "http://schemas.microsoft.com/2003/10/Serialization/Arrays";
/// GUIDs.
pub(crate) const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";
/// Types and nulls of values.
pub(crate) const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// Plain types.
pub(crate) const SCHEMA: &str = "http://www.w3.org/2001/XMLSchema";

/// Declarations that every operation begins with, so that none below needs one.
const DECLARED: &[(&str, &str)] = &[
    ("xmlns", SERVICES),
    ("xmlns:b", CONTRACTS),
    ("xmlns:c", GENERIC),
    ("xmlns:g", SERIALIZATION),
    ("xmlns:i", INSTANCE),
    ("xmlns:k", CHANGES),
    ("xmlns:m", METADATA),
    ("xmlns:n", MULTIPLE),
    ("xmlns:o", CHOICES),
    ("xmlns:q", MESSAGES),
    ("xmlns:r", ARRAYS),
    ("xmlns:x", SCHEMA),
];

/// Begins an operation's body: `name` is the element, such as `RetrieveMultiple`.
pub(crate) fn operation(name: &'static str) -> Writer {
    let mut writer = Writer::new();
    writer.open(name, DECLARED);
    writer
}

/// Begins the parameters of a message that `Execute` runs; `request_type` has its prefix.
pub(crate) fn execute(request_type: &str) -> Writer {
    let mut writer = operation("Execute");
    writer.open("request", &[("i:type", request_type)]);
    writer.open("b:Parameters", &[]);
    writer
}

/// Ends what [`execute`] began: `name` is the message.
///
/// # Errors
/// When a value holds a character that XML cannot carry.
pub(crate) fn executed(mut writer: Writer, name: &str) -> Result<String> {
    request_end(&mut writer, name);
    writer.finish()
}

/// Ends a request: its parameters are closed and its name is written.
pub(crate) fn request_end(writer: &mut Writer, name: &str) {
    writer.close();
    writer.leaf("b:RequestId", &[("i:nil", "true")], "");
    writer.leaf("b:RequestName", &[], name);
    writer.close();
}

/// A parameter of a message; `value_type` has its prefix.
pub(crate) fn parameter(writer: &mut Writer, key: &str, value_type: &str, value: &str) {
    open_parameter(writer, key, value_type);
    writer.text(value);
    close_parameter(writer);
}

/// Begins a parameter whose value is not plain.
pub(crate) fn open_parameter(writer: &mut Writer, key: &str, value_type: &str) {
    writer.open("b:KeyValuePairOfstringanyType", &[]);
    writer.leaf("c:key", &[], key);
    writer.open("c:value", &[("i:type", value_type)]);
}

/// Ends it.
pub(crate) fn close_parameter(writer: &mut Writer) {
    writer.close().close();
}

/// The body looks like a message, whatever it says.
pub(crate) fn is_message(body: &[u8]) -> bool {
    let start = &body[..body.len().min(1_024)];
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    start.trim_ascii_start().starts_with(b"<")
        && start
            .windows(9)
            .any(|window| window == b":Envelope" || window == b"<Envelope")
}

/// What a message is.
pub(crate) enum Message<'i> {
    /// The element in its body has just been opened.
    Answer(Reader<'i>),
    /// The fault in its body has just been opened.
    Fault(Reader<'i>),
}

/// Opens a message: its envelope, its body, and the element there.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when it is no message.
pub(crate) fn open(body: &[u8]) -> Result<Message<'_>> {
    let mut reader = Reader::new(body)?;
    let no_message = || Error::new(ErrorKind::Undecodable, "the reply is no SOAP message");
    if !reader.child()? {
        return Err(no_message());
    }
    let soap = match reader.name() {
        (SOAP_11, "Envelope") => SOAP_11,
        (SOAP_12, "Envelope") => SOAP_12,
        _ => return Err(no_message()),
    };
    if !reader.child_named(soap, "Body")? || !reader.child()? {
        return Err(no_message());
    }
    Ok(if reader.name() == (soap, "Fault") {
        Message::Fault(reader)
    } else {
        Message::Answer(reader)
    })
}

/// Opens the answer to an operation in a message without a fault.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when it answers something else.
pub(crate) fn answer<'i>(body: &'i [u8], operation: &str) -> Result<Reader<'i>> {
    let Message::Answer(mut reader) = open(body)? else {
        return Err(Error::new(
            ErrorKind::Undecodable,
            "the reply holds a fault where none can be",
        ));
    };
    let (namespace, local) = reader.name();
    if namespace != SERVICES || local.strip_suffix("Response") != Some(operation) {
        return Err(reader.refuse("it answers another operation"));
    }
    // An operation without a result answers with nothing inside.
    let result = format!("{operation}Result");
    reader.child_named(SERVICES, &result)?;
    Ok(reader)
}

/// Walks the pairs of the collection just opened: `each` gets a key, and the reader where the pair's value has just
/// been opened, which it must close.
///
/// # Errors
/// What the document or `each` says.
pub(crate) fn pairs<'i>(
    reader: &mut Reader<'i>,
    mut each: impl FnMut(&str, &mut Reader<'i>) -> Result<()>,
) -> Result<()> {
    while reader.child()? {
        if !reader.child_named(GENERIC, "key")? {
            return Err(reader.refuse("a pair has no key"));
        }
        let key = reader.text()?;
        if reader.child_named(GENERIC, "value")? {
            each(&key, reader)?;
            while reader.child()? {
                reader.skip()?;
            }
        }
    }
    Ok(())
}

/// Walks the results of a message that `Execute` ran.
///
/// # Errors
/// What the document or `each` says.
pub(crate) fn results<'i>(
    body: &'i [u8],
    each: impl FnMut(&str, &mut Reader<'i>) -> Result<()>,
) -> Result<()> {
    let mut reader = answer(body, "Execute")?;
    if reader.child_named(CONTRACTS, "Results")? {
        pairs(&mut reader, each)?;
    }
    Ok(())
}

/// The element just opened says that it holds no value.
///
/// # Errors
/// When its attributes are malformed.
pub(crate) fn is_nil(reader: &Reader<'_>) -> Result<bool> {
    let nil = reader.attribute(INSTANCE, "nil")?;
    Ok(nil.is_some_and(|nil| matches!(nil.trim(), "true" | "1")))
}

/// The text of the element just opened, and closes it; nothing where it holds no value.
///
/// # Errors
/// As [`Reader::text`].
pub(crate) fn optional_text(reader: &mut Reader<'_>) -> Result<Option<String>> {
    let nil = is_nil(reader)?;
    let text = reader.text()?;
    Ok((!nil).then(|| text.into_owned()))
}
