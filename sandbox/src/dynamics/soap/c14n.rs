//! Exclusive canonical XML of one element of a document, as signatures are made over it
//! (W3C "Exclusive XML Canonicalization 1.0", without comments).

use std::collections::BTreeSet;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// What an element adds on the way down: declared prefixes, and those that were written out.
#[derive(Default)]
struct Level {
    declared: Vec<(String, String)>,
    rendered: Vec<(String, String)>,
}

/// The canonical form of the first element of that namespace and name; `None` where there is none or the
/// document is not well formed up to its end.
pub fn canonical(document: &str, namespace: &str, name: &str) -> Option<String> {
    let mut reader = Reader::from_str(document);
    let mut levels: Vec<Level> = Vec::new();
    let mut depth = 0usize;
    let mut out = String::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                open(&start, &mut levels, &mut depth, &mut out, (namespace, name))?;
            }
            Event::Empty(start) => {
                open(&start, &mut levels, &mut depth, &mut out, (namespace, name))?;
                if close(start.name().as_ref(), &mut levels, &mut depth, &mut out) {
                    return Some(out);
                }
            }
            Event::End(end) => {
                let ended = close(end.name().as_ref(), &mut levels, &mut depth, &mut out);
                if ended {
                    return Some(out);
                }
            }
            Event::Text(piece) if depth > 0 => text(&mut out, &piece.replace("\r\n", "\n")),
            Event::CData(piece) if depth > 0 => text(&mut out, &piece.replace("\r\n", "\n")),
            Event::GeneralRef(reference) if depth > 0 => match reference.resolve_char_ref().ok()? {
                Some(c) => text(&mut out, c.encode_utf8(&mut [0; 4])),
                None => text(&mut out, quick_xml::escape::resolve_xml_entity(&reference)?),
            },
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn open(
    start: &BytesStart<'_>,
    levels: &mut Vec<Level>,
    depth: &mut usize,
    out: &mut String,
    wanted: (&str, &str),
) -> Option<()> {
    let mut level = Level::default();
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.ok()?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .ok()?
            .into_owned();
        let key: &str = attribute.key.as_ref();
        match key.strip_prefix("xmlns") {
            Some("") => level.declared.push((String::new(), value)),
            Some(rest) if rest.starts_with(':') => {
                level.declared.push((rest[1..].to_owned(), value));
            }
            _ => attributes.push((key.to_owned(), value)),
        }
    }
    levels.push(level);
    let full = start.name();
    let full: &str = full.as_ref();
    let (prefix, local) = full.split_once(':').unwrap_or(("", full));
    let space = lookup(levels, prefix);
    if *depth == 0 && (space.as_deref(), local) != (Some(wanted.0), wanted.1) {
        return Some(());
    }
    *depth += 1;
    let mut used: BTreeSet<&str> = BTreeSet::from([prefix]);
    let mut sorted = Vec::new();
    for (key, value) in &attributes {
        let (prefix, local) = key.split_once(':').unwrap_or(("", key));
        let space = match prefix {
            "" => String::new(),
            "xml" => "http://www.w3.org/XML/1998/namespace".to_owned(),
            prefix => {
                used.insert(prefix);
                lookup(levels, prefix)?
            }
        };
        sorted.push((space, local, key, value));
    }
    sorted.sort_unstable();
    out.push('<');
    out.push_str(full);
    for prefix in used {
        let space = lookup(levels, prefix).unwrap_or_default();
        let shown = levels
            .iter()
            .rev()
            .find_map(|level| level.rendered.iter().find(|(known, _)| known == prefix))
            .map_or("", |(_, space)| space.as_str());
        if shown == space {
            continue;
        }
        out.push_str(match prefix {
            "" => " xmlns",
            _ => " xmlns:",
        });
        out.push_str(prefix);
        out.push_str("=\"");
        value(out, &space);
        out.push('"');
        let here = levels.last_mut()?;
        here.rendered.push((prefix.to_owned(), space));
    }
    for (_, _, key, text) in sorted {
        out.push(' ');
        out.push_str(key);
        out.push_str("=\"");
        value(out, text);
        out.push('"');
    }
    out.push('>');
    Some(())
}

/// Ends an element; true when it was the wanted one.
fn close(full: &str, levels: &mut Vec<Level>, depth: &mut usize, out: &mut String) -> bool {
    levels.pop();
    if *depth == 0 {
        return false;
    }
    out.push_str("</");
    out.push_str(full);
    out.push('>');
    *depth -= 1;
    *depth == 0
}

fn lookup(levels: &[Level], prefix: &str) -> Option<String> {
    let found = levels
        .iter()
        .rev()
        .find_map(|level| level.declared.iter().find(|(known, _)| known == prefix));
    match found {
        Some((_, space)) => Some(space.clone()),
        None => prefix.is_empty().then(String::new),
    }
}

fn text(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
}

fn value(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn only_what_is_used_is_declared_and_attributes_are_sorted() {
        let document = "<a:x xmlns:a='urn:a' xmlns:b='urn:b' xmlns='urn:d'><a:y z='2' b:z='1' a:q='3 &quot;&#9;'>\r\n<w/>&gt;&#65;<v xmlns=''/></a:y></a:x>";
        assert_eq!(
            canonical(document, "urn:a", "y").as_deref(),
            Some(
                "<a:y xmlns:a=\"urn:a\" xmlns:b=\"urn:b\" z=\"2\" a:q=\"3 &quot;&#x9;\" b:z=\"1\">\n<w xmlns=\"urn:d\"></w>&gt;A<v></v></a:y>"
            )
        );
        assert_eq!(canonical(document, "urn:a", "none"), None);
    }
}
