//! Objects and their fields: what is known without asking, the company's own labels and custom fields from the mapping
//! service, and a query without an answer that shows which of them the account may really use.

use crate::kind::FieldKind;
use crate::mapping;
use crate::objects::{self, KnownField, StandardObject};
use crate::query_page::QueryPage;
use crate::rest;
use crate::rows::VERSION;
use crate::scan::{named_in, without_object};
use crate::session::OracleSession;
use crate::{MODIFICATION_FIELDS, tags};
use crm_core::{
    CallStats, ColumnType, ErrorKind, ObjectSummary, RemoteField, RemoteObject, Result,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Finds no record: row ids have no such form.
const NO_RECORD: &str = "[Id] = '0'";
/// After so many fields that the CRM does not know, the rest is taken as it is.
const MOST_DROPPED: usize = 60;
/// So long a description is taken for what the CRM would say again: the statements of a script, not a change of layouts.
const FRESH: Duration = Duration::from_secs(60);
/// Fields by which records can be found and matched (Oracle page 6.2).
const KEYS: &[&str] = &["ExternalSystemId", "IntegrationId"];

/// A field as the CRM tells of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its tag.
    pub tag: String,
    /// Name for people, in the user's language.
    pub label: String,
    /// The word for its type.
    pub word: String,
    /// Longest text, where it is told.
    pub length: Option<u32>,
    /// Whether it may be written, where it is told.
    pub updatable: Option<bool>,
    /// Whether a record needs it, where it is told.
    pub required: Option<bool>,
    /// Whether it may stand in a condition, where it is told.
    pub queryable: Option<bool>,
}

/// Objects described in this session.
#[derive(Default)]
pub(crate) struct DescribeCache(Mutex<HashMap<String, (Instant, RemoteObject)>>);

impl DescribeCache {
    fn get(&self, object: &str) -> Option<RemoteObject> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, described) = held.get(object)?;
        (since.elapsed() < FRESH).then(|| described.clone())
    }

    fn put(&self, object: &str, described: &RemoteObject) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, (since, _)| since.elapsed() < FRESH);
        held.insert(object.to_owned(), (Instant::now(), described.clone()));
    }
}

/// All objects that are known.
pub(crate) fn objects() -> Vec<ObjectSummary> {
    objects::all().iter().map(summary).collect()
}

/// What the list of objects says of one.
pub(crate) fn summary(object: &StandardObject) -> ObjectSummary {
    // Users are made inactive and stay.
    let is_deletable = object.name != "User";
    ObjectSummary {
        name: object.name.to_owned(),
        collection: None,
        label: object.label.to_owned(),
        custom: false,
        selectable: true,
        insertable: true,
        updatable: true,
        deletable: is_deletable,
        changes_tracked: true,
        deletions_tracked: is_deletable,
    }
}

/// The description of one object.
///
/// # Errors
/// As [`OracleSession::call`]; [`ErrorKind::ObjectUnknown`] for a name that is none.
pub(crate) async fn describe(
    session: &OracleSession,
    object: &str,
    stats: &CallStats,
) -> Result<RemoteObject> {
    let known = objects::find(object);
    let name = tags::object(known.map_or(object, |known| known.name))?;
    if let Some(described) = session.described().get(name) {
        return Ok(described);
    }
    let mut told = match session.option("metadata") {
        Some("rest") => Some(rest::fields(session, name, stats).await?),
        _ => mapped_fields(session, name, stats).await?,
    };
    if let Some(told) = &mut told {
        // Generic tags are not understood where the company's own are (Oracle page 1.4).
        told.retain(|field| !(session.custom_tags() && objects::custom(&field.tag).is_some()));
        for field in told {
            field.tag = objects::current_tag(name, &field.tag).to_owned();
        }
    }
    let fields = fields(name, known, told.as_deref());
    let mut described = RemoteObject {
        summary: known.map_or_else(|| unlisted(name), summary),
        fields,
        variants: Vec::new(),
    };
    keep_usable(session, name, &mut described.fields, stats).await?;
    session.described().put(name, &described);
    Ok(described)
}

/// An object that is not in the vendor's templates, as somebody has named it.
fn unlisted(name: &str) -> ObjectSummary {
    ObjectSummary {
        name: name.to_owned(),
        collection: None,
        label: label_of(name),
        custom: true,
        selectable: true,
        insertable: true,
        updatable: true,
        deletable: true,
        changes_tracked: true,
        deletions_tracked: true,
    }
}

/// What the mapping service says; nothing where it does not serve the object or this user.
async fn mapped_fields(
    session: &OracleSession,
    object: &str,
    stats: &CallStats,
) -> Result<Option<Vec<Told>>> {
    let call = mapping::call(objects::service_name(object))?;
    match session.exchange(&call, stats).await {
        Ok(answered) => mapping::fields(&answered.body).map(Some),
        Err(trouble) if trouble.fault.is_some() && !is_exhausted(trouble.error.kind()) => Ok(None),
        Err(trouble) => Err(trouble.error),
    }
}

fn is_exhausted(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::AllotmentUsedUp | ErrorKind::ConnectionLost)
}

/// Fields that are always there, those that the CRM tells of, and where it tells of none, all that are known.
fn fields(object: &str, known: Option<&StandardObject>, told: Option<&[Told]>) -> Vec<RemoteField> {
    let by_tag: HashMap<&str, &Told> = told
        .unwrap_or_default()
        .iter()
        .filter(|field| tags::field(&field.tag).is_ok())
        .map(|field| (field.tag.as_str(), field))
        .collect();
    let listed = known.unwrap_or(&objects::UNKNOWN).fields();
    let mut fields: Vec<RemoteField> = listed
        .filter(|field| field.always || told.is_none() || by_tag.contains_key(field.tag))
        .map(|field| {
            let told = by_tag.get(field.tag).copied();
            remote_field(object, field.tag, Some(field), told)
        })
        .collect();
    let mut seen: HashSet<String> = fields.iter().map(|field| field.name.clone()).collect();
    for field in told.unwrap_or_default() {
        let tag = field.tag.as_str();
        if tags::field(tag).is_ok() && seen.insert(tag.to_owned()) {
            fields.push(remote_field(object, tag, objects::custom(tag), Some(field)));
        }
    }
    let stamp = MODIFICATION_FIELDS
        .iter()
        .find(|name| fields.iter().any(|field| field.name == **name));
    for field in &mut fields {
        field.modification_stamp = stamp == Some(&field.name.as_str());
    }
    fields
}

fn remote_field(
    object: &str,
    tag: &str,
    known: Option<KnownField>,
    told: Option<&Told>,
) -> RemoteField {
    let word = word_of(known, told);
    let kind = FieldKind::of_word(word);
    let is_enumeration = matches!(kind, FieldKind::Picklist | FieldKind::MultiPicklist);
    let is_readable = !matches!(kind, FieldKind::Unknown | FieldKind::Computed);
    let is_read_only = match told.and_then(|field| field.updatable) {
        Some(is_updatable) => !is_updatable,
        None => known.is_some_and(|field| field.read_only),
    };
    let is_writable = is_readable && !is_read_only;
    let is_required = match told.and_then(|field| field.required) {
        Some(is_required) => is_required,
        None => known.is_some_and(|field| field.required),
    };
    let is_queryable = is_readable && told.and_then(|field| field.queryable).unwrap_or(true);
    let label = told.map(|field| field.label.as_str()).unwrap_or_default();
    RemoteField {
        name: tag.to_owned(),
        label: match label {
            "" => label_of(tag),
            label => label.to_owned(),
        },
        remote_type: word.to_owned(),
        column_type: kind.column_type(),
        length: told
            .and_then(|field| field.length)
            .or(known.and_then(|field| field.length))
            .filter(|_| kind.column_type() == Some(ColumnType::Text)),
        precision: None,
        nullable: tag != "Id",
        creatable: is_writable,
        // Given with a change, it guards against changes of others (Oracle page 6.6).
        updatable: is_writable || tag == VERSION,
        required: is_required && is_writable,
        filterable: is_queryable,
        sortable: is_queryable && kind != FieldKind::LongText,
        // Most fields are compared with regard to case; which are not is not told.
        case_sensitive: false,
        external_key: KEYS.contains(&tag),
        identifier: tag == "Id",
        modification_stamp: false,
        computed: kind == FieldKind::Computed || known.is_some_and(|field| field.computed),
        enumeration: is_enumeration.then(|| format!("{object}.{tag}")),
        restricted: false,
        values: Vec::new(),
        references: references(object, tag, kind),
    }
}

/// The company's word for the type says more than the service description's, unless values come in another form.
fn word_of(known: Option<KnownField>, told: Option<&Told>) -> &str {
    let word = told.map(|field| field.word.as_str());
    match (known, word) {
        // So the REST interface calls codes and identifiers as well.
        (Some(field), Some("string")) => field.word,
        (Some(field), Some(told)) => {
            let form = |word| FieldKind::of_word(word).column_type();
            let is_same = form(told).is_some() && form(told) == form(field.word);
            if is_same { told } else { field.word }
        }
        (Some(field), None) => field.word,
        (None, word) => word.unwrap_or_default(),
    }
}

/// Objects whose records a field of identifiers points to.
fn references(object: &str, tag: &str, kind: FieldKind) -> Vec<String> {
    if kind != FieldKind::Id || tag == "Id" {
        return Vec::new();
    }
    let stem = tag.strip_suffix("Id").unwrap_or(tag);
    let target = match stem {
        "CreatedBy" | "ModifiedBy" | "Owner" | "SalesRep" | "DelegatedBy" => Some("User"),
        "Manager" | "ReferredBy" => Some(if object == "User" { "User" } else { "Contact" }),
        _ => objects::all()
            .iter()
            .map(|known| known.name)
            .find(|name| stem.ends_with(name)),
    };
    target.map(str::to_owned).into_iter().collect()
}

/// Words for people made of a tag.
fn label_of(tag: &str) -> String {
    let mut label = String::with_capacity(tag.len() + 8);
    let mut before = ' ';
    for character in tag.chars() {
        let begins_word = character.is_ascii_uppercase() && before.is_ascii_lowercase();
        let begins_number = character.is_ascii_digit() && before.is_ascii_alphabetic();
        if begins_word || begins_number {
            label.push(' ');
        }
        label.push(if character == '_' { ' ' } else { character });
        before = character;
    }
    label
}

/// Drops fields that the CRM does not know, one after the other as it names them: some that the mapping service lists
/// cannot be queried (Oracle page 14). An object that cannot be queried at all keeps its description.
async fn keep_usable(
    session: &OracleSession,
    object: &str,
    fields: &mut Vec<RemoteField>,
    stats: &CallStats,
) -> Result<()> {
    for _ in 0..MOST_DROPPED {
        let tags: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let page = QueryPage {
            spec: Some(NO_RECORD),
            size: 1,
            ..session.query_page(object, &tags)
        };
        let trouble = match session.exchange(&page.call()?, stats).await {
            Ok(_) => return Ok(()),
            Err(trouble) => trouble,
        };
        let is_told = trouble.fault.is_some() && !is_exhausted(trouble.error.kind());
        if !is_told {
            return Err(trouble.error);
        }
        // Of an object that is not among the vendor's nothing else shows that it is there.
        if objects::find(object).is_none() && trouble.error.kind() != ErrorKind::FieldUnknown {
            return Err(without_object(object, trouble.error));
        }
        let words = trouble.error.detail().unwrap_or_default();
        let names = tags.into_iter().filter(|tag| *tag != "Id");
        let unknown = (trouble.error.kind() == ErrorKind::FieldUnknown)
            .then(|| named_in(words, names).map(str::to_owned))
            .flatten();
        match unknown {
            Some(unknown) => fields.retain(|field| field.name != unknown),
            None => return Ok(()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped() -> Vec<Told> {
        let body = include_bytes!("../tests/fixtures/mapping_contact.xml");
        let mut fields = mapping::fields(body).unwrap();
        for field in &mut fields {
            field.tag = objects::current_tag("Contact", &field.tag).to_owned();
        }
        fields
    }

    #[test]
    fn what_is_told_counts_before_what_is_known() {
        let told = |tag: &str, word: &str| Told {
            tag: tag.into(),
            label: "X".into(),
            word: word.into(),
            length: Some(7),
            updatable: Some(false),
            required: Some(true),
            queryable: Some(false),
        };
        let told = [
            told("ContactType", "string"),
            told("Tier", "string"),
            told("NewField", "int"),
        ];
        let fields = fields("Contact", objects::find("Contact"), Some(&told));
        let field = |name: &str| fields.iter().find(|field| field.name == name).unwrap();
        let list = field("ContactType");
        assert_eq!(
            (list.remote_type.as_str(), list.length),
            ("Picklist", Some(7))
        );
        assert!(!list.creatable && !list.required && !list.filterable);
        let number = field("NewField");
        assert_eq!(
            (number.column_type, number.length),
            (Some(ColumnType::Int32), None)
        );
    }

    #[test]
    fn what_layouts_show_and_what_is_always_there() {
        let fields = fields("Contact", objects::find("Contact"), Some(&mapped()));
        let field = |name: &str| fields.iter().find(|field| field.name == name);
        assert!(fields[0].identifier && fields[0].name == "Id");
        assert_eq!(fields.iter().filter(|field| field.identifier).count(), 1);
        let stamps: Vec<_> = fields
            .iter()
            .filter(|field| field.modification_stamp)
            .map(|field| field.name.as_str())
            .collect();
        assert_eq!(stamps, ["ModifiedDate"]);
        // No layout shows it, and records are joined by it.
        assert_eq!(field("AccountId").unwrap().references, ["Account"]);
        assert!(field("ContactId").is_none() && field("TaxBracket").is_none());
        let last_name = field("ContactLastName").unwrap();
        assert_eq!(
            (last_name.label.as_str(), last_name.length),
            ("Last Name", Some(50))
        );
        assert!(last_name.required && last_name.creatable);
        for (name, word, column_type) in [
            (
                "CustomMultiSelectPickList0",
                "Multi-Select Picklist",
                ColumnType::TextArray,
            ),
            ("CustomBoolean0", "Checkbox", ColumnType::Bool),
            ("CustomDate25", "Date", ColumnType::Date),
            ("CustomDate0", "Date/Time", ColumnType::Instant),
            ("CustomNumber1", "Percent", ColumnType::Numeric),
            ("CustomInteger0", "Integer", ColumnType::Int32),
            ("ModId", "Integer", ColumnType::Int32),
            ("ContactType", "Picklist", ColumnType::Text),
        ] {
            let field = field(name).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(field.remote_type, word, "{name}");
            assert_eq!(field.column_type, Some(column_type), "{name}");
        }
        assert_eq!(
            field("ContactType").unwrap().enumeration.as_deref(),
            Some("Contact.ContactType")
        );
        assert!(!field("ModifiedDate").unwrap().updatable);
        let version = field("ModId").unwrap();
        assert!(version.updatable && !version.creatable);
        assert!(field("ExternalSystemId").unwrap().external_key);
    }

    #[test]
    fn without_the_mapping_service_all_that_is_known_is_listed() {
        let all = fields("Contact", objects::find("Contact"), None);
        assert!(all.iter().any(|field| field.name == "TaxBracket"));
        assert!(all.iter().all(|field| !field.label.is_empty()));
        let account_name = all
            .iter()
            .find(|field| field.name == "AccountName")
            .unwrap();
        assert!(account_name.computed && !account_name.updatable);
        let few = fields("CustomObject7", None, None);
        assert!(few.iter().any(|field| field.identifier));
    }

    #[test]
    fn another_form_of_values_is_the_service_descriptions() {
        let told = |tag: &str, word: &str| {
            let mapped = [Told {
                label: "X".into(),
                tag: tag.into(),
                word: word.into(),
                ..Told::default()
            }];
            let fields = fields("Contact", objects::find("Contact"), Some(&mapped));
            let field = fields.into_iter().find(|field| field.name == tag).unwrap();
            (field.remote_type, field.column_type)
        };
        for (tag, word, expected) in [
            // In version 2.0 these come with a time whatever the layout calls them.
            (
                "CustomDate0",
                "Date",
                ("Date/Time", Some(ColumnType::Instant)),
            ),
            (
                "CustomText0",
                "Web Link",
                ("Web Link", Some(ColumnType::Text)),
            ),
            (
                "CustomText0",
                "Hologram",
                ("Text (Short)", Some(ColumnType::Text)),
            ),
            ("NewField", "Hologram", ("Hologram", None)),
            (
                "LeadSource",
                "Picklist",
                ("Picklist", Some(ColumnType::Text)),
            ),
        ] {
            assert_eq!(
                told(tag, word),
                (expected.0.to_owned(), expected.1),
                "{tag} {word}"
            );
        }
    }

    #[test]
    fn labels_made_of_tags() {
        for (tag, expected) in [
            ("ContactFirstName", "Contact First Name"),
            ("CustomText0", "Custom Text 0"),
            ("YTDSales", "YTDSales"),
            ("plCustomer_Tier", "pl Customer Tier"),
        ] {
            assert_eq!(label_of(tag), expected);
        }
    }
}
