//! Faults as they stand in replies, in both shapes (Oracle page 9.1). What they mean is said in `error.rs`.

use quick_xml::Reader;
use quick_xml::events::Event;

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

/// The fault that a reply holds, if it is one.
pub(crate) fn find(body: &str) -> Option<Fault> {
    let mut reader = Reader::from_str(body);
    let mut open: Vec<String> = Vec::new();
    let mut fault: Option<Fault> = None;
    let mut text = String::new();
    let mut summary = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                text.clear();
                if fault.is_none() && open.len() == 2 && open[1] == "Body" {
                    if name != "Fault" {
                        return None;
                    }
                    fault = Some(Fault::default());
                }
                if let Some(fault) = &mut fault
                    && name == "error"
                    && fault.entries.len() < MOST_ENTRIES
                {
                    fault.entries.push(Entry::default());
                }
                open.push(name);
                if open.len() > 64 {
                    return None;
                }
            }
            Event::End(_) => {
                let name = open.pop()?;
                if let Some(fault) = &mut fault {
                    if name == "Fault" && open.len() == 2 {
                        break;
                    }
                    keep(fault, &name, text.trim(), &mut summary);
                }
                text.clear();
            }
            Event::Text(piece) => {
                text.push_str(&piece.xml_content(quick_xml::XmlVersion::Implicit1_0))
            }
            Event::CData(piece) => {
                text.push_str(&piece.xml_content(quick_xml::XmlVersion::Implicit1_0))
            }
            Event::GeneralRef(reference) => text.push_str(resolved(&reference)?.as_str()),
            Event::DocType(_) | Event::Eof => return None,
            _ => {}
        }
    }
    let mut fault = fault?;
    if fault.entries.is_empty() {
        fault.entries.push(Entry::default());
    }
    if fault.entries[0].message.is_empty() {
        fault.entries[0].message = summary;
    }
    Some(fault)
}

fn keep(fault: &mut Fault, name: &str, text: &str, summary: &mut String) {
    if text.is_empty() {
        return;
    }
    let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    let entry = fault.entries.last_mut();
    match (name, entry) {
        ("faultstring", _) => text.clone_into(summary),
        ("logfilename", _) => fault.log_file = Some(text.to_owned()),
        ("errorcode", Some(entry)) => bare(text).clone_into(&mut entry.code),
        ("errorsymbol", Some(entry)) => text.clone_into(&mut entry.symbol),
        ("errormsg", Some(entry)) => text.clone_into(&mut entry.message),
        ("ErrorCode" | "ErrorMessage", None) => {
            fault.from_front_end = true;
            let mut entry = Entry::default();
            match name {
                "ErrorCode" => bare(text).clone_into(&mut entry.code),
                _ => text.clone_into(&mut entry.message),
            }
            fault.entries.push(entry);
        }
        ("ErrorCode", Some(entry)) => bare(text).clone_into(&mut entry.code),
        ("ErrorMessage", Some(entry)) => text.clone_into(&mut entry.message),
        ("RequestWait", _) => fault.wait_ms = text.parse().ok(),
        _ => {}
    }
}

/// A code without the parentheses that On Demand puts around it (Oracle page 9.1).
fn bare(code: &str) -> &str {
    let inner = code
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    inner.unwrap_or(code).trim()
}

fn resolved(reference: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if let Some(character) = reference.resolve_char_ref().ok()? {
        return Some(character.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(
        &reference.xml_content(quick_xml::XmlVersion::Implicit1_0),
    )
    .map(str::to_owned)
}
