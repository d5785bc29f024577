//! Requests for records, form by form.

use super::*;
use crate::describe::Navigation;
use crate::testkit;
use crm_core::{Conversion, Operation, RemoteField, Route};

const ONE: &str = "00000000-0000-0000-0000-000000000001";
const TWO: &str = "00000000-0000-0000-0000-000000000002";

fn entity() -> Entity {
    let mut entity = Entity {
        set: "contacts".into(),
        primary_id: "contactid".into(),
        keys: vec![
            vec!["new_key".into()],
            vec!["new_accountid".into()],
            vec!["firstname".into(), "emailaddress1".into()],
        ],
        ..Entity::default()
    };
    for (attribute, target, property) in [
        ("new_accountid", "account", "new_AccountId"),
        ("parentcustomerid", "account", "parentcustomerid_account"),
        ("parentcustomerid", "contact", "parentcustomerid_contact"),
        ("ownerid", "owner", "ownerid"),
    ] {
        entity.navigations.push(Navigation {
            attribute: attribute.into(),
            target: target.into(),
            property: property.into(),
        });
    }
    for (name, remote_type, targets) in [
        ("contactid", "UniqueidentifierType", &[][..]),
        ("lastname", "StringType", &[]),
        ("new_accountid", "LookupType", &["account"]),
        ("parentcustomerid", "CustomerType", &["account", "contact"]),
        ("ownerid", "OwnerType", &["systemuser", "team"]),
    ] {
        entity.object.fields.push(RemoteField {
            references: targets.iter().map(ToString::to_string).collect(),
            ..testkit::field(name, remote_type, None)
        });
    }
    entity
}

fn field(name: &str, remote_type: &str) -> WriteField {
    WriteField {
        name: name.into(),
        remote_type: remote_type.into(),
        conversion: Conversion::Default,
    }
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.into()))
}

fn batch(operation: Operation, fields: &[(&str, &str)]) -> WriteBatch {
    WriteBatch {
        object: "contact".into(),
        identifier: "contactid".into(),
        operation,
        key_field: None,
        journal_key: None,
        key_is_ours: false,
        fields: fields
            .iter()
            .map(|(name, kind)| field(name, kind))
            .collect(),
        records: Vec::new(),
        route: Route::Calls,
    }
}

fn with(mut batch: WriteBatch, key: Option<Value>, values: &[Option<Value>]) -> WriteBatch {
    batch.records.push(WriteRecord {
        key,
        values: values.to_vec(),
    });
    batch
}

fn rows_of(batch: &WriteBatch, found: &[(&str, &str)]) -> Result<Rows> {
    rows_in(batch, found, false)
}

fn rows_in(batch: &WriteBatch, found: &[(&str, &str)], is_old: bool) -> Result<Rows> {
    let entity = entity();
    let columns = Columns::new(batch, &entity)?;
    let address = |(name, set, id): (&str, &str, &str)| {
        let address = Address {
            set: set.into(),
            primary_id: id.into(),
        };
        (name.to_owned(), address)
    };
    let addresses = [
        ("account", "accounts", "accountid"),
        ("contact", "contacts", "contactid"),
        ("systemuser", "systemusers", "systemuserid"),
        ("team", "teams", "teamid"),
    ]
    .map(address)
    .into();
    let found = found
        .iter()
        .map(|(id, table)| ((*id).to_owned(), (*table).to_owned()));
    Ok(columns.rows(
        batch,
        &Surroundings {
            entity: &entity,
            addresses: &addresses,
            found: &found.collect(),
            zone: Zone::default(),
            is_old,
            base: "/api/data/v9.2/",
        },
    ))
}

/// The request of the batch's only record.
fn request(batch: &WriteBatch) -> (String, Option<String>) {
    let rows = rows_of(batch, &[]).unwrap();
    assert!(rows.rejects.is_empty(), "{:?}", rows.rejects);
    let part = &rows.rows[0].part;
    let headers: Vec<_> = (part.headers.iter())
        .map(|(name, value)| format!(" {name}: {value}"))
        .collect();
    let target = part.target.strip_prefix("/api/data/v9.2/").unwrap();
    let line = format!("{} {target}{}", part.method, headers.concat());
    (line, part.body.clone())
}

/// The body of the batch's only record, or why it is refused.
fn body(batch: &WriteBatch, found: &[(&str, &str)]) -> std::result::Result<String, Box<Reject>> {
    let mut rows = rows_of(batch, found).unwrap();
    match rows.rejects.pop() {
        Some((0, reject)) => Err(Box::new(reject)),
        _ => Ok(rows.rows.remove(0).part.body.unwrap()),
    }
}

const NAME: (&str, &str) = ("lastname", "StringType");

#[test]
fn each_form_has_its_request() {
    let create = with(batch(Operation::Create, &[NAME]), None, &[text("A")]);
    assert_eq!(
        request(&create),
        ("POST contacts".into(), Some(r#"{"lastname":"A"}"#.into()))
    );
    // Without the condition a record that is not there would be made.
    let update = with(batch(Operation::Update, &[NAME]), text(ONE), &[None]);
    assert_eq!(
        request(&update),
        (
            format!("PATCH contacts({ONE}) If-Match: *"),
            Some(r#"{"lastname":null}"#.into())
        )
    );
    let delete = with(batch(Operation::Delete, &[]), text(ONE), &[]);
    assert_eq!(request(&delete), (format!("DELETE contacts({ONE})"), None));
    let mut upsert = batch(Operation::Upsert, &[NAME]);
    upsert.key_field = Some(field("contactid", "UniqueidentifierType"));
    let upsert = with(upsert, Some(Value::Uuid([0; 16])), &[text("A")]);
    let nil = "00000000-0000-0000-0000-000000000000";
    assert_eq!(
        request(&upsert).0,
        format!("PATCH contacts({nil})?$select=contactid Prefer: return=representation")
    );
    let rows = rows_of(&upsert, &[]).unwrap();
    assert!(rows.is_repeatable() && rows.rows[0].id.as_deref() == Some(nil));
    assert!(!rows_of(&create, &[]).unwrap().is_repeatable());
}

#[test]
fn alternate_keys_stand_in_the_address_encoded() {
    let upsert = |key: Option<Value>, property: &str, remote_type: &str| {
        let mut batch = batch(Operation::Upsert, &[NAME]);
        batch.key_field = Some(field(property, remote_type));
        let batch = with(batch, key, &[text("A")]);
        let (line, body) = request(&batch);
        assert_eq!(body.unwrap(), r#"{"lastname":"A"}"#);
        line.split(['(', ')']).nth(1).unwrap().to_owned()
    };
    for (value, expected) in [
        ("K1", "new_key='K1'"),
        (
            "O'Brien & 1/2 #%?",
            "new_key='O%27%27Brien%20%26%201%2F2%20%23%25%3F'",
        ),
        ("ü", "new_key='%C3%BC'"),
    ] {
        assert_eq!(upsert(text(value), "new_key", "StringType"), expected);
    }
    let number = Some(Value::Numeric("-1.50".into()));
    assert_eq!(upsert(number, "new_key", "DecimalType"), "new_key=-1.5");
    assert_eq!(
        upsert(text(ONE), "new_accountid", "LookupType"),
        format!("_new_accountid_value={ONE}")
    );
    let mut empty = batch(Operation::Upsert, &[]);
    empty.key_field = Some(field("new_key", "StringType"));
    let rows = rows_of(&with(empty, text(""), &[]), &[]).unwrap();
    assert_eq!(rows.rejects[0].1.kind, ErrorKind::RequiredField);
}

#[test]
fn identifiers_and_keys_of_ours_make_a_create_repeatable() {
    let fields = [NAME, ("contactid", "UniqueidentifierType")];
    let mut create = batch(Operation::Create, &fields);
    create.journal_key = Some("contactid".into());
    create.key_is_ours = true;
    let create = with(create, None, &[text("A"), text(ONE)]);
    assert_eq!(
        request(&create),
        (
            "POST contacts".into(),
            Some(format!(r#"{{"contactid":"{ONE}","lastname":"A"}}"#))
        )
    );
    let rows = rows_of(&create, &[]).unwrap();
    assert!(rows.ids_are_ours && rows.is_repeatable());
    assert_eq!(rows.rows[0].id.as_deref(), Some(ONE));
    let look = rows.rows[0].look.clone().unwrap();
    assert_eq!(
        look.target,
        format!("/api/data/v9.2/contacts({ONE})?$select=contactid")
    );
    // A key that is none of the CRM's alternate keys can be looked for, but not be upserted by.
    for (key, is_ours, expected) in [
        ("new_key", true, Form::Upsert),
        ("new_key", false, Form::Create),
        ("nickname", true, Form::Create),
    ] {
        let mut create = batch(Operation::Create, &[NAME, (key, "StringType")]);
        create.journal_key = Some(key.into());
        create.key_is_ours = is_ours;
        let create = with(create, None, &[text("A"), text("TEST-1")]);
        let rows = rows_of(&create, &[]).unwrap();
        assert_eq!(rows.form, expected, "{key} {is_ours}");
        let row = &rows.rows[0];
        let look = row.look.clone().unwrap();
        assert_eq!(
            look.target,
            format!(
                "/api/data/v9.2/contacts?$select=contactid,{key}&$filter={key}%20eq%20'TEST-1'"
            )
        );
        assert_eq!(
            look.key,
            Some((key.to_owned(), Wire::Text("TEST-1".into())))
        );
        // The address says the key, so the body does not (7.2).
        let body = row.part.body.clone().unwrap();
        assert_eq!(body.contains(key), expected == Form::Create, "{body}");
    }
}

#[test]
fn lookups_are_bound_by_the_names_of_the_metadata() {
    let write =
        |operation, fields: &[(&str, &str)], values: &[Option<Value>], found: &[(&str, &str)]| {
            let key = (operation != Operation::Create).then(|| Value::Text(TWO.into()));
            body(&with(batch(operation, fields), key, values), found)
        };
    let one = [("new_accountid", "LookupType")];
    let bound = format!(r#"{{"new_AccountId@odata.bind":"/accounts({ONE})"}}"#);
    assert_eq!(
        write(Operation::Create, &one, &[text(ONE)], &[]).unwrap(),
        bound
    );
    // The table does not say that it is a lookup; the CRM does.
    let unsaid = [("new_accountid", "")];
    assert_eq!(
        write(Operation::Update, &unsaid, &[text(ONE)], &[]).unwrap(),
        bound
    );
    // Emptied, unless there is nothing yet to let go of.
    assert_eq!(
        write(Operation::Update, &one, &[None], &[]).unwrap(),
        r#"{"new_AccountId@odata.bind":null}"#
    );
    assert_eq!(write(Operation::Create, &one, &[None], &[]).unwrap(), "{}");
    let update = with(batch(Operation::Update, &one), text(TWO), &[None]);
    let old = rows_in(&update, &[], true).unwrap().rows.remove(0);
    assert_eq!(old.part.body.unwrap(), r#"{"new_AccountId":null}"#);
    let several = [
        ("parentcustomerid", "CustomerType"),
        ("parentcustomerid@type", "LookupTarget"),
    ];
    let to_contact = format!(r#"{{"parentcustomerid_contact@odata.bind":"/contacts({ONE})"}}"#);
    let told = write(
        Operation::Update,
        &several,
        &[text(ONE), text("contact")],
        &[],
    );
    assert_eq!(told.unwrap(), to_contact);
    let told = write(Operation::Update, &several, &[None, text("contact")], &[]);
    assert_eq!(
        told.unwrap(),
        r#"{"parentcustomerid_account@odata.bind":null}"#
    );
    let told = write(Operation::Update, &several, &[text(ONE), text("lead")], &[]);
    assert_eq!(told.unwrap_err().kind, ErrorKind::ValidationRule);
    // Where nobody says the table, it was asked for.
    let told = write(
        Operation::Update,
        &several,
        &[text(ONE), None],
        &[(ONE, "contact")],
    );
    assert_eq!(told.unwrap(), to_contact);
    let told = write(Operation::Update, &several[..1], &[text(ONE)], &[]);
    let reject = *told.unwrap_err();
    assert_eq!(
        (reject.kind, reject.fields),
        (ErrorKind::LookupMissing, vec!["parentcustomerid".into()])
    );
    let owner = [("ownerid", "OwnerType"), ("ownerid@type", "LookupTarget")];
    let told = write(Operation::Update, &owner, &[text(ONE), text("team")], &[]);
    assert_eq!(
        told.unwrap(),
        format!(r#"{{"ownerid@odata.bind":"/teams({ONE})"}}"#)
    );
    let told = write(
        Operation::Update,
        &owner,
        &[text("nobody"), text("team")],
        &[],
    );
    assert_eq!(told.unwrap_err().kind, ErrorKind::LookupMissing);
}

#[test]
fn only_what_is_not_said_is_asked_for() {
    let fields = [
        ("parentcustomerid", "CustomerType"),
        ("parentcustomerid@type", "LookupTarget"),
        ("new_accountid", "LookupType"),
    ];
    let batch = with(
        batch(Operation::Create, &fields),
        None,
        &[text(ONE), None, text(TWO)],
    );
    let batch = with(batch, None, &[text(TWO), text("account"), None]);
    let entity = entity();
    let columns = Columns::new(&batch, &entity).unwrap();
    let mut unsaid: Vec<_> = columns.unsaid(&batch.records).into_iter().collect();
    unsaid.sort();
    let expected = ["account", "contact"].map(|table| (ONE.to_owned(), table.to_owned()));
    assert_eq!(unsaid, expected);
    assert!(columns.binds(&batch.records) && !columns.binds(&[]));
}

#[test]
fn what_stands_for_nothing_by_itself_is_refused_as_a_whole() {
    for fields in [
        &[("parentcustomerid@type", "LookupTarget")][..],
        &[("new_otherid", "LookupType")],
    ] {
        let batch = with(batch(Operation::Update, fields), text(ONE), &[text(ONE)]);
        assert!(rows_of(&batch, &[]).is_err(), "{fields:?}");
    }
    let bad = with(
        batch(Operation::Update, &[NAME]),
        text("no identifier"),
        &[None],
    );
    let rows = rows_of(&bad, &[]).unwrap();
    assert!(rows.rows.is_empty());
    assert_eq!(rows.rejects[0].1.kind, ErrorKind::RecordUnknown);
    assert_eq!(rows.rejects[0].1.symbol, "ObjectDoesNotExist");
}
