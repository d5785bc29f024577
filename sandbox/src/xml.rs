//! Requests as small trees of elements with their namespaces, and text made fit for answers.
//! Document types are refused: no client of this service sends one.

use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};

/// Deepest nesting of a request.
const MAX_DEPTH: usize = 64;

/// An element with its attributes, text and children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Namespace address; empty without one.
    pub namespace: String,
    /// Name without prefix.
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    pub children: Vec<Node>,
    scope: Arc<Scope>,
}

/// The prefixes an element declares, within those of its parent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Scope {
    parent: Option<Arc<Scope>>,
    /// The default namespace has the empty prefix.
    declared: Vec<(String, String)>,
}

impl Node {
    /// The first child of that local name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The trimmed text of a child; `None` without such a child or text.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        let text = self.child(name)?.text.trim();
        (!text.is_empty()).then_some(text)
    }

    /// Namespace and name of a qualified name in a value, such as that of `xsi:type`.
    pub fn resolve(&self, name: &str) -> Option<(String, String)> {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let mut scope = Some(&self.scope);
        while let Some(level) = scope {
            let known = level.declared.iter().find(|(known, _)| known == prefix);
            if let Some((_, namespace)) = known {
                return Some((namespace.clone(), local.to_owned()));
            }
            scope = level.parent.as_ref();
        }
        prefix.is_empty().then(|| (String::new(), local.to_owned()))
    }

    /// An attribute by its name without prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads a document into its root element.
///
/// # Errors
/// A sentence on what is not well formed.
pub fn parse(body: &[u8]) -> Result<Node, String> {
    let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut reader = NsReader::from_str(text);
    let mut open: Vec<Node> = vec![Node::default()];
    loop {
        let (bound, event) = reader
            .read_resolved_event()
            .map_err(|error| error.to_string())?;
        let namespace = match bound {
            ResolveResult::Bound(namespace) => namespace.0.to_owned(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(prefix) => return Err(format!("unknown prefix {prefix}")),
        };
        match event {
            Event::Start(start) => {
                if open.len() > MAX_DEPTH {
                    return Err("nested too deeply".to_owned());
                }
                let scope = Arc::clone(&top(&mut open)?.scope);
                open.push(node(namespace, &start, scope)?);
            }
            Event::Empty(start) => {
                let scope = Arc::clone(&top(&mut open)?.scope);
                let done = node(namespace, &start, scope)?;
                top(&mut open)?.children.push(done);
            }
            Event::End(_) => {
                let done = open.pop().ok_or("unexpected end")?;
                top(&mut open)?.children.push(done);
            }
            Event::Text(piece) => top(&mut open)?.text.push_str(&piece),
            Event::CData(piece) => top(&mut open)?.text.push_str(&piece),
            Event::GeneralRef(name) => {
                let piece = match name.resolve_char_ref().map_err(|error| error.to_string())? {
                    Some(c) => c.to_string(),
                    None => quick_xml::escape::resolve_xml_entity(&name)
                        .ok_or("unknown entity")?
                        .to_owned(),
                };
                top(&mut open)?.text.push_str(&piece);
            }
            Event::DocType(_) => return Err("document types are not allowed".to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    let root = open.pop().ok_or("nothing")?;
    match open.is_empty() {
        true => root
            .children
            .into_iter()
            .next()
            .ok_or_else(|| "no element".to_owned()),
        false => Err("the document ends early".to_owned()),
    }
}

fn top(open: &mut [Node]) -> Result<&mut Node, String> {
    open.last_mut().ok_or_else(|| "unexpected end".to_owned())
}

fn node(namespace: String, start: &BytesStart<'_>, parent: Arc<Scope>) -> Result<Node, String> {
    let mut attributes = Vec::new();
    let mut declared = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| error.to_string())?;
        let key: &str = attribute.key.as_ref();
        if key == "xmlns" {
            declared.push((String::new(), value.into_owned()));
        } else if let Some(prefix) = key.strip_prefix("xmlns:") {
            declared.push((prefix.to_owned(), value.into_owned()));
        } else {
            attributes.push((
                attribute.key.local_name().as_ref().to_owned(),
                value.into_owned(),
            ));
        }
    }
    let scope = match declared.is_empty() {
        true => parent,
        false => Arc::new(Scope {
            parent: Some(parent),
            declared,
        }),
    };
    Ok(Node {
        namespace,
        name: start.local_name().as_ref().to_owned(),
        attributes,
        scope,
        ..Node::default()
    })
}

/// Text as element content or attribute value.
pub fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    quick_xml::escape::escape(text)
}

/// Appends `<name>text</name>`, or `<name/>` for no text.
pub fn element(out: &mut String, name: &str, text: &str) {
    out.push('<');
    out.push_str(name);
    if text.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    out.push_str(&escape(text));
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_follow_their_scope_and_entities_are_resolved() {
        let root = parse(
            br#"<a xmlns="urn:x"><p:b xmlns:p="urn:y" c="1 &lt; 2"/>t&amp;&#65;<d xmlns="">z</d></a>"#,
        )
        .unwrap();
        assert_eq!(
            (root.namespace.as_str(), root.text.as_str()),
            ("urn:x", "t&A")
        );
        assert_eq!(root.children[0].namespace, "urn:y");
        assert_eq!(root.children[0].attribute("c"), Some("1 < 2"));
        assert_eq!(root.children[1].namespace, "");
        let name = |space: &str| Some((space.to_owned(), "T".to_owned()));
        assert_eq!(root.children[0].resolve("p:T"), name("urn:y"));
        assert_eq!(root.children[0].resolve("T"), name("urn:x"));
        assert_eq!(root.resolve("p:T"), None);
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for body in [
            "<a><b></a>",
            "<a>",
            "",
            "<p:a/>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<a>&x;</a>",
        ] {
            assert!(parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(parse("<a>".repeat(100).as_bytes()).is_err());
    }
}
