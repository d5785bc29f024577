//! What is known of the standard objects without asking: names, and fields by their tags (Oracle page 3.3, 3.6).
//!
//! Objects that a company adds are not recovered, as the interface offers no list of them.

use crate::standard::{CUSTOM, Line, OBJECTS, SYSTEM};

/// One object of the standard templates.
pub(crate) use crate::standard::Line as StandardObject;

/// A field that is known without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownField {
    /// Its tag in version 2.0; of a custom field what stands in front of the number.
    pub tag: &'static str,
    /// The mapping service's word for its type.
    pub word: &'static str,
    /// Longest text.
    pub length: Option<u32>,
    /// A record cannot be created without it.
    pub required: bool,
    /// The CRM writes it.
    pub read_only: bool,
    /// Its value is another record's, or is worked out when it is read.
    pub computed: bool,
    /// It is there although no layout shows it.
    pub always: bool,
}

/// All objects, in the order of the vendor's templates.
pub(crate) fn all() -> &'static [StandardObject] {
    OBJECTS
}

/// The object of that name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static StandardObject> {
    OBJECTS
        .iter()
        .find(|object| object.name.eq_ignore_ascii_case(name))
}

/// The name of an object in the Service API; that of an object which is not known is its own.
pub(crate) fn service_name(object: &str) -> &str {
    find(object).map_or(object, |object| object.service_name)
}

impl Line {
    /// Its fields, those of every object first.
    pub(crate) fn fields(&self) -> impl Iterator<Item = KnownField> {
        SYSTEM
            .iter()
            .chain(self.groups)
            .flat_map(|(word, tags)| tags.split_whitespace().map(move |tag| known(word, tag)))
    }

    /// The field with this tag.
    pub(crate) fn field(&self, tag: &str) -> Option<KnownField> {
        self.fields().find(|field| field.tag == tag)
    }
}

/// An object of which nothing is known but what every object has.
pub(crate) const UNKNOWN: StandardObject = Line {
    name: "",
    service_name: "",
    label: "",
    groups: &[],
};

fn known(word: &'static str, text: &'static str) -> KnownField {
    let end = text.find(['/', '!', '-', '~', '*']).unwrap_or(text.len());
    let (tag, marks) = text.split_at(end);
    let length = marks
        .trim_start_matches('/')
        .trim_end_matches(['!', '-', '~', '*']);
    KnownField {
        tag,
        word,
        length: length.parse().ok(),
        required: marks.contains('!'),
        read_only: marks.contains(['-', '~']),
        computed: marks.contains('~'),
        always: marks.contains('*'),
    }
}

/// The custom field with this generic tag.
pub(crate) fn custom(tag: &str) -> Option<KnownField> {
    let digits = tag.find(|character: char| character.is_ascii_digit())?;
    let (family, number) = tag.split_at(digits);
    let number = number.parse().ok()?;
    CUSTOM
        .iter()
        .find(|(name, numbers, _, _)| *name == family && numbers.contains(&number))
        .map(|(name, _, word, length)| KnownField {
            tag: name,
            word,
            length: *length,
            required: false,
            read_only: false,
            computed: false,
            always: false,
        })
}

/// The tag in version 2.0 of a field that the Service API names by its tag in version 1.0 (Oracle page 3.6).
pub(crate) fn current_tag<'t>(object: &str, tag: &'t str) -> &'t str {
    let is_own_id = tag
        .strip_suffix("Id")
        .is_some_and(|name| name == object || (name == "MedEd" && object == "MedEdEvent"));
    if is_own_id {
        return "Id";
    }
    RENAMED
        .iter()
        .find(|(of, old, _)| *old == tag && (of.is_empty() || *of == object))
        .map_or(tag, |(_, _, new)| new)
}

/// The tag under which the Service API knows a field of version 2.0.
pub(crate) fn former_tag(object: &str, tag: &str) -> String {
    if tag == "Id" {
        return format!("{object}Id");
    }
    RENAMED
        .iter()
        .find(|(of, _, new)| *new == tag && (of.is_empty() || *of == object))
        .map_or(tag, |(_, old, _)| old)
        .to_owned()
}

/// Object (any where empty), tag in version 1.0, tag in version 2.0.
const RENAMED: &[(&str, &str, &str)] = &[
    ("", "CreatedbyEmailAddress", "CreatedByEMailAddr"),
    ("", "ModifiedbyEmailAddress", "UpdatedByEMailAddr"),
    ("Opportunity", "CreatedByEmailAddress", "CreatedByEMailAddr"),
    (
        "Opportunity",
        "ModifiedByEmailAddress",
        "UpdatedByEMailAddr",
    ),
    ("Opportunity", "ApproverAlias", "Approver"),
    ("Activity", "Owner", "Alias"),
    ("Contact", "OccamTerritory", "Territory"),
    ("Product", "CreatedByDate", "CreatedDate"),
    ("Product", "ModifiedByDate", "ModifiedDate"),
    ("Asset", "OwnerAccountId", "AccountId"),
    ("Account", "OwnerPartnerName", "OwnerPartnerPartnerName"),
    (
        "Account",
        "PrincipalPartnerName",
        "PrincipalPartnerPartnerName",
    ),
    (
        "Account",
        "OriginatingPartnerName",
        "OriginatingPartnerPartnerName",
    ),
    ("Account", "PartnerOrgStatus", "PartnerStatus"),
    ("", "LastUpdated", "ModifiedDateExt"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::FieldKind;
    use crate::tags;
    use std::collections::HashSet;

    #[test]
    fn every_line_can_be_read_and_no_tag_comes_twice() {
        for object in all() {
            assert!(tags::object(object.name).is_ok());
            let mut seen = HashSet::new();
            for field in object.fields() {
                assert!(tags::field(field.tag).is_ok(), "{field:?}");
                assert!(seen.insert(field.tag), "{} {field:?}", object.name);
                assert_ne!(
                    FieldKind::of_word(field.word),
                    FieldKind::Unknown,
                    "{field:?}"
                );
                assert!(!(field.required && field.read_only), "{field:?}");
            }
        }
        let name = find("contact").unwrap().field("ContactLastName").unwrap();
        assert_eq!(
            (name.length, name.required, name.read_only),
            (Some(50), true, false)
        );
        let id = find("Account").unwrap().field("Id").unwrap();
        assert!(id.always && id.read_only && id.length == Some(30));
    }

    #[test]
    fn custom_fields_by_their_numbers() {
        for (tag, expected) in [
            ("CustomText0", Some(("Text (Short)", Some(255)))),
            ("CustomText30", Some(("Text (Short)", Some(40)))),
            ("CustomDate24", Some(("Date/Time", None))),
            ("CustomDate25", Some(("Date", None))),
            ("CustomDate59", Some(("Date/Time", None))),
            ("CustomDate60", None),
            ("IndexedPick5", Some(("Picklist", Some(30)))),
            ("CustomText", None),
            ("CustomObject1Id", None),
            ("ContactLastName", None),
        ] {
            let found = custom(tag).map(|field| (field.word, field.length));
            assert_eq!(found, expected, "{tag}");
        }
    }

    #[test]
    fn tags_of_both_versions() {
        for (object, former, current) in [
            ("Contact", "ContactId", "Id"),
            ("Contact", "AccountId", "AccountId"),
            ("ServiceRequest", "ServiceRequestId", "Id"),
            ("Contact", "OccamTerritory", "Territory"),
            ("Account", "CreatedbyEmailAddress", "CreatedByEMailAddr"),
            ("Activity", "Owner", "Alias"),
            ("Contact", "Owner", "Owner"),
            ("Lead", "CustomPickList3", "CustomPickList3"),
        ] {
            assert_eq!(current_tag(object, former), current);
            assert_eq!(former_tag(object, current), former);
        }
        assert_eq!(service_name("ServiceRequest"), "Service Request");
        assert_eq!(service_name("CustomObject7"), "CustomObject7");
    }
}
