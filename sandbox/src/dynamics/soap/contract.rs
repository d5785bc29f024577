//! The Organization service's data contract, read from its XSDs: which members a type has, in which order,
//! and which types may stand in for it. Requests are read as the server reads them: members come in order,
//! one that is out of place is passed over and so is null (section 13.1 of the protocol page).

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use uuid::Uuid;

use crate::dynamics::value::read_moment;
use crate::xml::{self, Node};

/// Namespace and name of a type.
pub type Name = (String, String);

pub const SERVICES: &str = "http://schemas.microsoft.com/xrm/2011/Contracts/Services";
pub const CONTRACTS: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";
pub const CRM: &str = "http://schemas.microsoft.com/crm/2011/Contracts";
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";
pub const SERIALIZATION: &str = "http://schemas.microsoft.com/2003/10/Serialization/";

macro_rules! files {
    ($($number:literal),*) => {
        /// The schemas by their number, as the service's WSDL names them.
        pub const FILES: &[(u32, &str)] = &[$(
            ($number, include_str!(concat!("../../../data/dynamics/xsd/xsd", $number, ".xsd")))
        ),*];
    };
}

files!(
    0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20
);

/// A member of a type.
#[derive(Debug, Clone)]
pub struct Member {
    pub name: String,
    /// Of the element, not of its type.
    pub namespace: String,
    pub kind: Name,
    pub nillable: bool,
    pub repeats: bool,
}

/// What a type is made of.
#[derive(Debug)]
enum Shape {
    Complex(Option<Name>, Vec<Member>),
    /// One of these words, or several of them.
    Words(Vec<String>, bool),
    Simple(Name),
}

/// All types and the elements that bodies may hold.
pub struct Contract {
    types: BTreeMap<Name, Shape>,
    elements: HashMap<Name, Name>,
}

/// A request as the server has it after reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    pub name: String,
    /// The type it says it has, or that of its member.
    pub kind: Name,
    pub is_nil: bool,
    pub text: String,
    pub children: Vec<Data>,
}

impl Data {
    /// A member that is not null.
    pub fn get(&self, name: &str) -> Option<&Data> {
        self.children
            .iter()
            .find(|child| child.name == name && !child.is_nil)
    }

    /// The text of a member that is not null.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name).map(|child| child.text.as_str())
    }

    /// The value of a pair in a collection of pairs.
    pub fn pair(&self, key: &str) -> Option<&Data> {
        self.children
            .iter()
            .find(|pair| pair.text_of("key") == Some(key))?
            .get("value")
    }
}

static CONTRACT: LazyLock<Result<Contract, String>> = LazyLock::new(Contract::load);

/// The contract.
///
/// # Errors
/// A sentence naming the embedded schema that does not parse.
pub fn contract() -> Result<&'static Contract, String> {
    CONTRACT.as_ref().map_err(Clone::clone)
}

/// A name of XML Schema itself.
pub fn xsd(name: &str) -> Name {
    (XSD.to_owned(), name.to_owned())
}

impl Contract {
    fn load() -> Result<Self, String> {
        let mut out = Self {
            types: BTreeMap::new(),
            elements: HashMap::new(),
        };
        for (number, text) in FILES {
            let text = text.trim_start_matches('\u{feff}');
            let root =
                xml::parse(text.as_bytes()).map_err(|error| format!("xsd{number}: {error}"))?;
            out.schema(&root);
        }
        Ok(out)
    }

    fn schema(&mut self, root: &Node) {
        let space = root
            .attribute("targetNamespace")
            .unwrap_or_default()
            .to_owned();
        for node in &root.children {
            let Some(name) = node.attribute("name") else {
                continue;
            };
            let full = (space.clone(), name.to_owned());
            match node.name.as_str() {
                "complexType" => {
                    self.types.insert(full, complex(node, &space));
                }
                "simpleType" => {
                    self.types.insert(full, simple(node));
                }
                "element" => {
                    let kind = match node.child("complexType") {
                        Some(inner) => {
                            // No type is called so, for names hold no blanks.
                            let own = (space.clone(), format!("element {name}"));
                            self.types.insert(own.clone(), complex(inner, &space));
                            own
                        }
                        None => kind_of(node),
                    };
                    self.elements.insert(full, kind);
                }
                _ => {}
            }
        }
    }

    /// The members of a type, those of its bases first.
    pub fn members(&self, kind: &Name) -> Vec<&Member> {
        match self.types.get(kind) {
            Some(Shape::Complex(base, own)) => {
                let mut all = base.as_ref().map_or(Vec::new(), |base| self.members(base));
                all.extend(own);
                all
            }
            _ => Vec::new(),
        }
    }

    /// Whether a type is made of members.
    pub fn is_complex(&self, kind: &Name) -> bool {
        matches!(self.types.get(kind), Some(Shape::Complex(..)))
    }

    /// The first of the words a type consists of.
    pub fn first_word(&self, kind: &Name) -> Option<&str> {
        match self.types.get(kind) {
            Some(Shape::Words(words, _)) => words.first().map(String::as_str),
            _ => None,
        }
    }

    /// A type by its name alone, in whichever namespace.
    pub fn by_local_name(&self, name: &str) -> Option<&Name> {
        self.types.keys().find(|(_, local)| local == name)
    }

    fn derives(&self, kind: &Name, from: &Name) -> bool {
        if kind == from || *from == xsd("anyType") {
            return true;
        }
        match self.types.get(kind) {
            Some(Shape::Complex(Some(base), _) | Shape::Simple(base)) => self.derives(base, from),
            // Messages of the crm namespace are in none of the schemas.
            None => kind.0 == CRM && kind.1.ends_with("Request") && from.1 == "OrganizationRequest",
            _ => false,
        }
    }

    /// Reads an element of a body; what was out of place is added to `misplaced`.
    ///
    /// # Errors
    /// Why the server's deserialiser would stop.
    pub fn read(&self, node: &Node, misplaced: &mut Vec<String>) -> Result<Data, String> {
        let name = (node.namespace.clone(), node.name.clone());
        let kind = self
            .elements
            .get(&name)
            .ok_or_else(|| format!("there is no element {} in {}", name.1, name.0))?;
        self.read_as(node, kind, misplaced)
    }

    fn read_as(
        &self,
        node: &Node,
        declared: &Name,
        misplaced: &mut Vec<String>,
    ) -> Result<Data, String> {
        let mut data = Data {
            name: node.name.clone(),
            kind: declared.clone(),
            is_nil: matches!(node.attribute("nil"), Some("true" | "1")),
            text: String::new(),
            children: Vec::new(),
        };
        if data.is_nil {
            return Ok(data);
        }
        if let Some(given) = node.attribute("type") {
            let given = node
                .resolve(given.trim())
                .ok_or_else(|| format!("the prefix of '{given}' is not declared"))?;
            let known = given.0 == XSD || given.0 == CRM || self.types.contains_key(&given);
            if !known || !self.derives(&given, declared) {
                return Err(format!(
                    "the deserializer has no knowledge of the type '{}' of '{}' for '{}'",
                    given.1, given.0, node.name
                ));
            }
            data.kind = given;
        }
        let members = match data.kind.0 == CRM {
            true => self.members(&(CONTRACTS.to_owned(), "OrganizationRequest".to_owned())),
            false => self.members(&data.kind),
        };
        if members.is_empty() && !self.is_complex(&data.kind) {
            data.text = node.text.clone();
            if let Some(child) = node.children.first() {
                return Err(format!("'{}' holds no element '{}'", node.name, child.name));
            }
            return match self.fits(&data.kind, &data.text) {
                true => Ok(data),
                false => Err(format!(
                    "the value '{}' cannot be parsed as the type '{}'",
                    data.text, data.kind.1
                )),
            };
        }
        let mut next = 0;
        for child in &node.children {
            let found = members.iter().enumerate().skip(next).find(|(_, member)| {
                member.name == child.name && member.namespace == child.namespace
            });
            let Some((at, member)) = found else {
                misplaced.push(format!("{} in {}", child.name, node.name));
                continue;
            };
            next = match member.repeats {
                true => at,
                false => at + 1,
            };
            data.children
                .push(self.read_as(child, &member.kind, misplaced)?);
        }
        Ok(data)
    }

    /// Whether a text is a value of a simple type.
    fn fits(&self, kind: &Name, text: &str) -> bool {
        let trimmed = text.trim();
        match self.types.get(kind) {
            Some(Shape::Words(words, false)) => words.iter().any(|word| word == trimmed),
            Some(Shape::Words(words, true)) => trimmed
                .split_whitespace()
                .all(|one| words.iter().any(|word| word == one)),
            Some(Shape::Simple(_)) if kind.1 == "guid" => Uuid::parse_str(trimmed).is_ok(),
            Some(Shape::Simple(base)) => self.fits(base, text),
            Some(Shape::Complex(..)) => true,
            None => match kind.1.as_str() {
                "boolean" => matches!(trimmed, "true" | "false" | "1" | "0"),
                "int" => trimmed.parse::<i32>().is_ok(),
                "long" => trimmed.parse::<i64>().is_ok(),
                "short" => trimmed.parse::<i16>().is_ok(),
                "decimal" => {
                    !trimmed.contains(['e', 'E'])
                        && trimmed.parse::<bigdecimal::BigDecimal>().is_ok()
                }
                "double" | "float" => {
                    matches!(trimmed, "INF" | "-INF" | "NaN") || trimmed.parse::<f64>().is_ok()
                }
                "dateTime" => read_moment(trimmed).is_some(),
                _ => true,
            },
        }
    }
}

fn kind_of(node: &Node) -> Name {
    node.attribute("type")
        .and_then(|kind| node.resolve(kind))
        .unwrap_or_else(|| xsd("anyType"))
}

fn complex(node: &Node, space: &str) -> Shape {
    let extension = node
        .child("complexContent")
        .and_then(|content| content.child("extension"));
    let base = extension.and_then(|extension| extension.resolve(extension.attribute("base")?));
    let sequence = extension.unwrap_or(node).child("sequence");
    let members = sequence.map_or(Vec::new(), |sequence| {
        sequence
            .children
            .iter()
            .filter(|child| child.name == "element")
            .filter_map(|child| {
                Some(Member {
                    name: child.attribute("name")?.to_owned(),
                    namespace: space.to_owned(),
                    kind: kind_of(child),
                    nillable: child.attribute("nillable") == Some("true"),
                    repeats: child.attribute("maxOccurs") == Some("unbounded"),
                })
            })
            .collect()
    });
    Shape::Complex(base, members)
}

fn simple(node: &Node) -> Shape {
    let words = |restriction: &Node| -> Vec<String> {
        restriction
            .children
            .iter()
            .filter(|child| child.name == "enumeration")
            .filter_map(|child| child.attribute("value").map(str::to_owned))
            .collect()
    };
    if let Some(list) = node.child("list") {
        let inner = list
            .child("simpleType")
            .and_then(|inner| inner.child("restriction"));
        return Shape::Words(inner.map_or(Vec::new(), words), true);
    }
    let Some(restriction) = node.child("restriction") else {
        return Shape::Simple(xsd("string"));
    };
    match words(restriction) {
        none if none.is_empty() => {
            let base = restriction
                .attribute("base")
                .and_then(|base| restriction.resolve(base));
            Shape::Simple(base.unwrap_or_else(|| xsd("string")))
        }
        words => Shape::Words(words, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (Result<Data, String>, Vec<String>) {
        let text = format!(
            "<x xmlns='{SERVICES}' xmlns:b='{CONTRACTS}' xmlns:i='http://www.w3.org/2001/XMLSchema-instance' xmlns:s='{XSD}' xmlns:c='http://schemas.datacontract.org/2004/07/System.Collections.Generic'>{body}</x>"
        );
        let root = xml::parse(text.as_bytes()).unwrap();
        let mut misplaced = Vec::new();
        let data = contract().unwrap().read(&root.children[0], &mut misplaced);
        (data, misplaced)
    }

    #[test]
    fn members_are_read_in_order_and_what_is_out_of_place_is_passed_over() {
        let (data, misplaced) = read(
            "<Create><entity><b:Attributes><b:KeyValuePairOfstringanyType><c:key>name</c:key><c:value i:type='s:string'>A</c:value></b:KeyValuePairOfstringanyType></b:Attributes><b:LogicalName>account</b:LogicalName></entity></Create>",
        );
        let data = data.unwrap();
        assert!(misplaced.is_empty(), "{misplaced:?}");
        let entity = data.get("entity").unwrap();
        assert_eq!(entity.text_of("LogicalName"), Some("account"));
        let value = entity.get("Attributes").unwrap().pair("name").unwrap();
        assert_eq!(
            (value.kind.1.as_str(), value.text.as_str()),
            ("string", "A")
        );

        let (data, misplaced) = read(
            "<Create><entity><b:LogicalName>account</b:LogicalName><b:Attributes/></entity></Create>",
        );
        assert_eq!(data.unwrap().children[0].children.len(), 1);
        assert_eq!(misplaced, ["Attributes in entity"]);
        let (data, misplaced) = read("<Create><Entity/></Create>");
        assert!(data.unwrap().get("entity").is_none());
        assert_eq!(misplaced, ["Entity in Create"]);
    }

    #[test]
    fn unknown_types_and_unreadable_values_stop_the_reading() {
        for body in [
            "<RetrieveMultiple><query i:type='b:NoExpression'/></RetrieveMultiple>",
            "<RetrieveMultiple><query i:type='b:Money'/></RetrieveMultiple>",
            "<Delete><entityName>account</entityName><id>none</id></Delete>",
            "<Nothing/>",
        ] {
            assert!(read(body).0.is_err(), "{body}");
        }
        let (data, _) = read(
            "<RetrieveMultiple><query i:type='b:FetchExpression'><b:Query>&lt;fetch/&gt;</b:Query></query></RetrieveMultiple>",
        );
        let query = data.unwrap().get("query").cloned().unwrap();
        assert_eq!(query.kind.1, "FetchExpression");
        assert_eq!(query.text_of("Query"), Some("<fetch/>"));
    }
}
