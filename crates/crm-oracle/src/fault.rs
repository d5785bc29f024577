//! Faults as they stand in replies, in both shapes (Oracle page 9.1). What they mean is said in `error.rs`.

use crm_core::Result;
use crm_xml::Reader;

/// Longer vendor texts are cut: some repeat whole messages.
const LONGEST_TEXT: usize = 2_000;
/// More entries of an error stack are not kept.
const MOST_ENTRIES: usize = 50;

/// One entry of the vendor's error stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `SBL-EAI-04127`, without the parentheses that may stand around it.
    pub code: String,
    /// `IDS_EAI_ERR_INTOBJHIER_ELEM_UNKN`; often empty.
    pub symbol: String,
    /// The vendor's words.
    pub message: String,
}

/// A fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The error stack, outermost first, the root cause last; one entry for a fault of the front end.
    pub entries: Vec<Entry>,
    /// The vendor's log of it.
    pub log_file: Option<String>,
    /// Milliseconds to wait before the next request, where the front end asks for it.
    pub wait_ms: Option<u64>,
    /// It comes from the front end, which has not passed the request on.
    pub from_front_end: bool,
}

impl Fault {
    /// The code that counts: the first one (Oracle page 9.2).
    pub(crate) fn code(&self) -> &str {
        self.entries.first().map_or("", |entry| &entry.code)
    }

    /// The first symbol that is there.
    pub(crate) fn symbol(&self) -> Option<&str> {
        let symbols = self.entries.iter().map(|entry| entry.symbol.as_str());
        symbols.into_iter().find(|symbol| !symbol.is_empty())
    }

    /// All messages, a line each.
    pub(crate) fn message(&self) -> String {
        let messages: Vec<_> = self.entries.iter().map(|entry| &*entry.message).collect();
        messages.join("\n")
    }

    /// The back end was too slow: what was asked for may still be done. The code is shared with an ended session
    /// (Oracle page 9.4).
    pub(crate) fn is_timeout(&self) -> bool {
        self.code() == "SBL-ODU-01006" && {
            let words = self.message().to_ascii_uppercase();
            words.contains("RIP_WAIT") || words.contains("TIMEOUT") || words.contains("TIMED OUT")
        }
    }

    /// A new session may cure it.
    pub(crate) fn is_expiry(&self) -> bool {
        self.code() == "SBL-ODU-01006" && !self.is_timeout()
    }

    /// What was asked for may be done all the same: the back end was too slow, or it is not plain which meaning of the
    /// shared code this is. An ended session is turned away at the door, and a message is one transaction (Oracle
    /// page 6.3).
    pub(crate) fn may_be_done(&self) -> bool {
        self.code() == "SBL-ODU-01006" && {
            let words = self.message().to_ascii_lowercase();
            let is_plain = words.contains("session") || words.contains("log in");
            self.is_timeout() || !is_plain
        }
    }

    /// The code stands in one of the entries, or in their words: texts and codes can differ (Oracle page 9.1).
    pub(crate) fn has(&self, code: &str) -> bool {
        let is_there = |entry: &Entry| entry.code == code || entry.message.contains(code);
        self.entries.iter().any(is_there)
    }
}

/// The fault that a reply holds, if it is one. Elements are told by their names alone, for faults come under several
/// namespaces.
pub(crate) fn find(body: &str) -> Option<Fault> {
    let mut reader = Reader::new(body.as_bytes()).ok()?;
    let opened = open(&mut reader, "Envelope") && open(&mut reader, "Body");
    if !opened || !reader.child().ok()? || reader.name().1 != "Fault" {
        return None;
    }
    let mut fault = Fault::default();
    let mut summary = String::new();
    walk(&mut reader, &mut fault, &mut summary).ok()?;
    if fault.entries.is_empty() {
        fault.entries.push(Entry::default());
    }
    if fault.entries[0].message.is_empty() {
        fault.entries[0].message = summary;
    }
    Some(fault)
}

fn open(reader: &mut Reader<'_>, local: &str) -> bool {
    while let Ok(true) = reader.child() {
        if reader.name().1 == local {
            return true;
        }
        if reader.skip().is_err() {
            return false;
        }
    }
    false
}

/// Reads what stands inside the element just opened.
fn walk(reader: &mut Reader<'_>, fault: &mut Fault, summary: &mut String) -> Result<()> {
    while reader.child()? {
        match reader.name().1 {
            "detail" | "siebdetail" | "errorstack" => walk(reader, fault, summary)?,
            "error" => {
                if fault.entries.len() < MOST_ENTRIES {
                    fault.entries.push(Entry::default());
                }
                walk(reader, fault, summary)?;
            }
            "faultstring" => *summary = words(reader)?,
            "logfilename" => fault.log_file = Some(words(reader)?).filter(|name| !name.is_empty()),
            "errorcode" => {
                let code = words(reader)?;
                entry(fault).code = bare(&code).to_owned();
            }
            "errorsymbol" => entry(fault).symbol = words(reader)?,
            "errormsg" => entry(fault).message = words(reader)?,
            "ErrorCode" => {
                fault.from_front_end = true;
                let code = words(reader)?;
                entry(fault).code = bare(&code).to_owned();
            }
            "ErrorMessage" => entry(fault).message = words(reader)?,
            "RequestWait" => fault.wait_ms = words(reader)?.parse().ok(),
            _ => reader.skip()?,
        }
    }
    Ok(())
}

/// The entry being read.
fn entry(fault: &mut Fault) -> &mut Entry {
    if fault.entries.is_empty() {
        fault.entries.push(Entry::default());
    }
    let last = fault.entries.len() - 1;
    &mut fault.entries[last]
}

/// The text of the element just opened, shortened.
fn words(reader: &mut Reader<'_>) -> Result<String> {
    let text = reader.text()?;
    let text = text.trim();
    Ok(text[..text.floor_char_boundary(LONGEST_TEXT)].to_owned())
}

/// A code without the parentheses that On Demand puts around it (Oracle page 9.1).
fn bare(code: &str) -> &str {
    let inner = code
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    inner.unwrap_or(code).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNKNOWN_FIELD: &str = include_str!("../tests/fixtures/fault_unknown_field.xml");

    #[test]
    fn faults_in_every_dress() {
        let wrapped = |inner: &str| {
            format!(
                "<a:Envelope xmlns:a='x'><a:Header><b/></a:Header><a:Body>{inner}</a:Body></a:Envelope>"
            )
        };
        for (body, code, message) in [
            // The stack directly under the detail, in another namespace, with a bare code.
            (
                wrapped(
                    "<a:Fault><faultstring>s</faultstring><detail><o:errorstack xmlns:o='http://www.oracle.com/ws/fault'><o:error><o:errorcode>SBL-1</o:errorcode><o:errormsg>m</o:errormsg></o:error></o:errorstack></detail></a:Fault>",
                ),
                "SBL-1",
                "m",
            ),
            // Nothing but the summary.
            (
                wrapped(
                    "<a:Fault><faultcode>c</faultcode><faultstring>only this</faultstring></a:Fault>",
                ),
                "",
                "only this",
            ),
            (wrapped("<a:Fault/>"), "", ""),
            (
                wrapped(
                    "<a:Fault><detail><ErrorMessage>first</ErrorMessage><ErrorCode>(SBL-2)</ErrorCode></detail></a:Fault>",
                ),
                "SBL-2",
                "first",
            ),
        ] {
            let fault = find(&body).unwrap_or_else(|| panic!("{body}"));
            assert_eq!(
                (fault.code(), fault.message().as_str()),
                (code, message),
                "{body}"
            );
        }
        for none in [
            "",
            "<html/>",
            &wrapped("<ok><Fault/></ok>"),
            &wrapped(""),
            &UNKNOWN_FIELD[..400],
        ] {
            assert_eq!(find(none), None, "{none}");
        }
    }

    #[test]
    fn a_long_stack_is_not_kept() {
        let entries = "<error><errorcode>x</errorcode></error>".repeat(1_000);
        let body =
            format!("<Envelope><Body><Fault><detail>{entries}</detail></Fault></Body></Envelope>");
        assert_eq!(find(&body).unwrap().entries.len(), MOST_ENTRIES);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(at in 0..UNKNOWN_FIELD.len(), text in any::<String>()) {
            let mut body = UNKNOWN_FIELD.to_owned();
            let at = body.floor_char_boundary(at);
            body.insert_str(at, &text);
            let _ = find(&body);
        }
    }
}
