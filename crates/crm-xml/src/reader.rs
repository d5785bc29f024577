//! A cursor over a document that walks from element to element and keeps no tree.
//!
//! [`Reader::child`] opens the next element inside the innermost open one. What it opened must be closed by whoever
//! opened it: by [`Reader::text`], [`Reader::skip`], [`Reader::raw`], or by asking for children until there are none.

use crm_core::{Error, ErrorKind, Result};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, ResolveResult};
use quick_xml::{NsReader, escape};
use std::borrow::Cow;

/// Elements inside one another; no service nests a tenth of this, and what reads by recursion must not run out of stack.
const DEEPEST: usize = 128;

/// A cursor over one document.
#[derive(Debug)]
pub struct Reader<'i> {
    source: &'i str,
    events: NsReader<&'i [u8]>,
    /// The element opened last; nothing once it has been closed.
    current: Option<BytesStart<'i>>,
    /// Where its start tag begins.
    begins: usize,
    depth: usize,
    has_root: bool,
}

impl<'i> Reader<'i> {
    /// A cursor before the root of `document`.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not UTF-8.
    pub fn new(document: &'i [u8]) -> Result<Self> {
        let source = std::str::from_utf8(document)
            .map_err(|error| unreadable("it is not UTF-8", error.valid_up_to()))?;
        let source = source.strip_prefix('\u{feff}').unwrap_or(source);
        let mut events = NsReader::from_reader(source.as_bytes());
        // One way to close an element, so that depth and namespaces are counted in one place.
        events.config_mut().expand_empty_elements = true;
        Ok(Self {
            source,
            events,
            current: None,
            begins: 0,
            depth: 0,
            has_root: false,
        })
    }

    /// Opens the next element inside the innermost open one, at first the root. False when there is none: the
    /// innermost open element is then closed, or the document is at its end.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when the document is malformed, ends too early, nests too deep, or brings a document
    /// type or an entity.
    pub fn child(&mut self) -> Result<bool> {
        loop {
            self.begins = self.position();
            match self.event()? {
                Event::Start(start) => {
                    if self.depth == 0 && self.has_root {
                        return Err(self.refuse("it has two roots"));
                    }
                    if self.depth == DEEPEST {
                        return Err(self.refuse("its elements nest too deep"));
                    }
                    self.depth += 1;
                    self.has_root = true;
                    self.current = Some(start);
                    return Ok(true);
                }
                Event::End(_) => {
                    self.depth -= 1;
                    self.current = None;
                    return Ok(false);
                }
                Event::Eof if self.depth == 0 && self.has_root => return Ok(false),
                Event::Eof => return Err(self.refuse("it ends too early")),
                Event::GeneralRef(entity) => {
                    self.resolve(&entity)?;
                }
                // Text beside elements means nothing to a service.
                _ => {}
            }
        }
    }

    /// Opens the next element with this name inside the innermost open one, passing others.
    ///
    /// # Errors
    /// As [`Reader::child`].
    pub fn child_named(&mut self, namespace: &str, local: &str) -> Result<bool> {
        while self.child()? {
            if self.name() == (namespace, local) {
                return Ok(true);
            }
            self.skip()?;
        }
        Ok(false)
    }

    /// Namespace and local name of the element just opened; an element without a namespace, or with a prefix that
    /// nothing declares, has an empty one.
    pub fn name(&self) -> (&str, &str) {
        let Some(start) = &self.current else {
            return ("", "");
        };
        let (namespace, local) = self.events.resolver().resolve_element(start.name());
        (bound(namespace), local.into_inner())
    }

    /// An attribute of the element just opened.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when the attributes are malformed or bring an entity.
    pub fn attribute(&self, namespace: &str, local: &str) -> Result<Option<Cow<'_, str>>> {
        let Some(start) = &self.current else {
            return Ok(None);
        };
        // The check for attributes given twice takes quadratic time; the first one counts.
        for attribute in start.attributes().with_checks(false) {
            let attribute =
                attribute.map_err(|_| self.refuse("an element has malformed attributes"))?;
            let (found, name) = self.events.resolver().resolve_attribute(attribute.key);
            if name.into_inner() == local && bound(found) == namespace {
                let value = match attribute.value {
                    Cow::Borrowed(value) => escape::unescape(value),
                    Cow::Owned(ref value) => {
                        escape::unescape(value).map(|value| Cow::Owned(value.into_owned()))
                    }
                };
                return value
                    .map(Some)
                    .map_err(|_| self.refuse("an attribute has an unknown entity"));
            }
        }
        Ok(None)
    }

    /// The namespace that `prefix` stands for here: values such as `i:type` name things by prefix.
    pub fn namespace_of(&self, prefix: &str) -> Option<&str> {
        // A name with that prefix is the way to ask.
        let wanted = (!prefix.is_empty()).then_some(prefix);
        self.events
            .resolver()
            .bindings()
            .filter_map(|(declared, namespace)| {
                let declared = match declared {
                    PrefixDeclaration::Default => None,
                    PrefixDeclaration::Named(name) => Some(name),
                };
                (declared == wanted).then_some(namespace.into_inner())
            })
            .last()
            .filter(|namespace| !namespace.is_empty())
    }

    /// The text of the element just opened, unescaped, and closes it.
    ///
    /// # Errors
    /// As [`Reader::child`]; also when it holds elements.
    pub fn text(&mut self) -> Result<Cow<'i, str>> {
        let mut text = Cow::Borrowed("");
        loop {
            let piece = match self.event()? {
                Event::Text(piece) => piece.xml10_content(),
                Event::CData(piece) => piece.xml10_content(),
                Event::GeneralRef(entity) => {
                    let resolved = self.resolve(&entity)?;
                    text.to_mut().push(resolved);
                    continue;
                }
                Event::End(_) => {
                    self.depth -= 1;
                    self.current = None;
                    return Ok(text);
                }
                Event::Start(_) => {
                    return Err(self.refuse("an element stands in the place of text"));
                }
                Event::Eof => return Err(self.refuse("it ends too early")),
                _ => continue,
            };
            if text.is_empty() {
                text = piece;
            } else {
                text.to_mut().push_str(&piece);
            }
        }
    }

    /// Closes the element just opened, whatever it holds.
    ///
    /// # Errors
    /// As [`Reader::child`].
    pub fn skip(&mut self) -> Result<()> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.child()?;
        }
        Ok(())
    }

    /// Reads on to the end of the document: what has been read so far was part of a whole one.
    ///
    /// # Errors
    /// As [`Reader::child`].
    pub fn finish(&mut self) -> Result<()> {
        while self.depth > 0 {
            self.child()?;
        }
        // Something behind the root is an error of its own.
        self.child().map(|_| ())
    }

    /// The element just opened as it was written, and closes it. Prefixes that it uses and an outer element declares
    /// are declared in its start tag, so that it means the same elsewhere.
    ///
    /// # Errors
    /// As [`Reader::child`].
    pub fn raw(&mut self) -> Result<Cow<'i, str>> {
        let Some(start) = self.current.take() else {
            return Ok(Cow::Borrowed(""));
        };
        let (begins, level) = (self.begins, self.events.resolver().level());
        let inherited: Vec<(String, String)> = self.inherited(level);
        self.skip()?;
        let source: &'i str = self.source;
        let written = &source[begins..self.position()];
        let mut declarations = String::new();
        for (name, namespace) in inherited {
            let is_used = match name.strip_prefix("xmlns:") {
                Some(prefix) => {
                    written.contains(&format!("<{prefix}:"))
                        || written.contains(&format!(" {prefix}:"))
                }
                None => true,
            };
            let is_own = start
                .attributes()
                .with_checks(false)
                .flatten()
                .any(|attribute| attribute.key.into_inner() == name);
            if is_used && !is_own {
                declarations.push_str(&format!(" {name}=\"{}\"", escape::escape(&namespace)));
            }
        }
        if declarations.is_empty() {
            return Ok(Cow::Borrowed(written));
        }
        let after_name = 1 + start.name().into_inner().len();
        Ok(Cow::Owned(format!(
            "{}{declarations}{}",
            &written[..after_name],
            &written[after_name..]
        )))
    }

    /// An error that the document's form is not what the protocol promises: `why` follows "the reply cannot be read".
    pub fn refuse(&self, why: &str) -> Error {
        unreadable(why, self.position())
    }

    /// Declarations in scope outside the element at `level`: attribute name and namespace, the innermost of each.
    fn inherited(&self, level: u16) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for outer in 1..level {
            for (declared, namespace) in self.events.resolver().bindings_of(outer) {
                let name = match declared {
                    PrefixDeclaration::Default => "xmlns".to_owned(),
                    PrefixDeclaration::Named(prefix) => format!("xmlns:{prefix}"),
                };
                found.retain(|(known, _)| *known != name);
                if !namespace.into_inner().is_empty() {
                    found.push((name, namespace.into_inner().to_owned()));
                }
            }
        }
        found
    }

    fn event(&mut self) -> Result<Event<'i>> {
        match self.events.read_event() {
            Ok(Event::DocType(_)) => Err(self.refuse("it brings a document type")),
            Ok(Event::Decl(declaration)) => {
                let is_utf8 = match declaration.encoding() {
                    None => true,
                    Some(Ok(name)) => name.eq_ignore_ascii_case("utf-8"),
                    Some(Err(_)) => false,
                };
                if is_utf8 {
                    Ok(Event::Decl(declaration))
                } else {
                    Err(self.refuse("it declares another encoding than UTF-8"))
                }
            }
            Ok(event) => Ok(event),
            // The parser's own words would show the document, and with it what may be secret.
            Err(_) => Err(unreadable(
                "it is not well-formed XML",
                self.error_position(),
            )),
        }
    }

    /// A character that a reference stands for. .NET services write a zero byte so, though XML has no place for it: it
    /// is the value's fault, not the document's.
    fn resolve(&self, entity: &BytesRef<'_>) -> Result<char> {
        let name: &str = entity;
        let code = match name.strip_prefix('#') {
            Some(number) => match number.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
                None => number.parse().ok(),
            },
            None => escape::resolve_xml_entity(name)
                .and_then(|text| text.chars().next())
                .map(u32::from),
        };
        code.and_then(char::from_u32)
            .ok_or_else(|| self.refuse("it brings an unknown entity"))
    }

    fn position(&self) -> usize {
        usize::try_from(self.events.buffer_position()).unwrap_or(self.source.len())
    }

    fn error_position(&self) -> usize {
        usize::try_from(self.events.error_position()).unwrap_or(self.source.len())
    }
}

fn bound<'n>(namespace: ResolveResult<'n>) -> &'n str {
    match namespace {
        ResolveResult::Bound(namespace) => namespace.into_inner(),
        ResolveResult::Unbound | ResolveResult::Unknown(_) => "",
    }
}

fn unreadable(why: &str, at: usize) -> Error {
    Error::new(
        ErrorKind::Undecodable,
        format!("the reply cannot be read: {why}"),
    )
    .with_detail(format!("At byte {at} of the reply."))
}

#[cfg(test)]
mod tests;
