//! Lookups and the names that bind them, option sets, keys, identifiers of our own.

use crm_core::{CallStats, ColumnType, ErrorKind, Operation, RecordOutcome, Value};
use serde_json::json;

use crate::organisation::{
    Organisation, accepted, batch, field, pages, rejected, stored, text, write,
};

const NAME: (&str, &str) = ("new_name", "StringType");
const CODE: (&str, &str) = ("new_code", "StringType");
const NOBODY: &str = "00000000-0000-4000-8000-00000000000a";

#[tokio::test(flavor = "multi_thread")]
async fn lookups_are_bound_by_their_names_and_let_go() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[]);
    let named = [("name", "StringType")];
    let create = batch(
        "account",
        Operation::Create,
        &named,
        &[("", &[text("Acme")])],
    );
    let account = accepted(&write(&session, &create).await).remove(0);
    let create = batch(
        "contact",
        Operation::Create,
        &[("lastname", "StringType")],
        &[("", &[text("Ann")])],
    );
    let contact = accepted(&write(&session, &create).await).remove(0);
    // One with a name in mixed case, one in lower case, two that may lead to several tables: the last one does not say
    // to which, so the CRM is asked.
    let fields = [
        CODE,
        ("new_accountid", "LookupType"),
        ("new_lowerid", "LookupType"),
        ("new_customer", "CustomerType"),
        ("new_customer@type", "LookupTarget"),
        ("new_regarding", "LookupType"),
    ];
    let values = [
        text("L1"),
        text(&account),
        text(&contact),
        text(&contact),
        text("contact"),
        text(&account),
    ];
    let create = batch("new_alltypes", Operation::Create, &fields, &[("", &values)]);
    let stats = CallStats::default();
    let reply = session.write(&create, &crm_core::NoTickets, &stats).await;
    let id = accepted(&reply).remove(0);
    assert_eq!(stats.data_calls(), 2, "one of them asks for the table");
    let read = [
        ("new_accountid", "LookupType", ColumnType::Text),
        ("new_lowerid", "LookupType", ColumnType::Text),
        ("new_customer", "CustomerType", ColumnType::Text),
        ("new_customer@type", "LookupTarget", ColumnType::Text),
        ("new_regarding@type", "LookupTarget", ColumnType::Text),
    ];
    assert_eq!(
        stored(&session, "new_alltypes", &id, &read).await,
        [&account, &contact, &contact, "contact", "account"]
    );
    // Another table in place of the first.
    let fields = [
        ("new_customer", "CustomerType"),
        ("new_customer@type", "LookupTarget"),
        ("new_accountid", "LookupType"),
    ];
    let values = [text(&account), text("account"), None];
    let update = batch(
        "new_alltypes",
        Operation::Update,
        &fields,
        &[(&id, &values)],
    );
    accepted(&write(&session, &update).await);
    assert_eq!(
        stored(&session, "new_alltypes", &id, &read).await,
        ["-", &contact, &account, "account", "account"]
    );
    let values = [None, None, None];
    let update = batch(
        "new_alltypes",
        Operation::Update,
        &fields,
        &[(&id, &values)],
    );
    accepted(&write(&session, &update).await);
    assert_eq!(
        stored(&session, "new_alltypes", &id, &read).await[2..4],
        ["-", "-"]
    );
    // Records that are not there, in a table that is said and in none of those that may be meant.
    for (values, kind) in [
        (
            [text(NOBODY), text("contact"), None],
            ErrorKind::LookupMissing,
        ),
        ([text(NOBODY), None, None], ErrorKind::LookupMissing),
        (
            [text(&account), text("lead"), None],
            ErrorKind::ValidationRule,
        ),
    ] {
        let update = batch(
            "new_alltypes",
            Operation::Update,
            &fields,
            &[(&id, &values)],
        );
        let reply = write(&session, &update).await;
        let reject = rejected(&reply.outcomes[0]);
        assert_eq!(reject.kind, kind, "{reject:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_users_or_teams() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[]);
    let mut query = crm_core::RemoteQuery::all(
        "team",
        "teamid",
        vec![crm_core::QueryField::plain(
            "teamid",
            "UniqueidentifierType",
            ColumnType::Text,
        )],
    );
    query.limit = Some(1);
    let found = pages(&session, query).await;
    let fields = [("lastname", "StringType"), ("ownerid", "OwnerType")];
    let read = [
        ("ownerid", "OwnerType", ColumnType::Text),
        ("ownerid@type", "LookupTarget", ColumnType::Text),
    ];
    // Without an owner it is the one who writes.
    let create = batch(
        "contact",
        Operation::Create,
        &fields,
        &[("", &[text("A"), None])],
    );
    let id = accepted(&write(&session, &create).await).remove(0);
    let mine = stored(&session, "contact", &id, &read).await;
    assert_eq!(mine[1], "systemuser");
    let Some(team) = found.first().and_then(|page| page.columns[0].text(0)) else {
        panic!("the organisation has no team")
    };
    let values = [text("A"), text(team)];
    let update = batch("contact", Operation::Update, &fields, &[(&id, &values)]);
    accepted(&write(&session, &update).await);
    assert_eq!(
        stored(&session, "contact", &id, &read).await,
        [team, "team"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_written_by_number_and_by_label() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[("language", "1031")]);
    let fields = [
        CODE,
        ("new_choice", "PicklistType"),
        ("new_choices", "MultiSelectPicklistType"),
    ];
    let read = [
        ("new_choice", "PicklistType", ColumnType::Text),
        ("new_choices", "MultiSelectPicklistType", ColumnType::Text),
    ];
    let list = |parts: &[&str]| {
        let parts = parts.iter().map(|part| Value::Text((*part).into()));
        Some(Value::List(parts.collect()))
    };
    let numbers = Some(Value::List(vec![Value::Int(8), Value::Int(1)]));
    for (code, choice, choices, expected) in [
        (
            "O1",
            Some(Value::Int(100_000_001)),
            numbers,
            ["Rouge (de)", "1,8"],
        ),
        (
            "O2",
            text("Its \"blue\" (de)"),
            list(&["Nine (de)", "two (DE)"]),
            ["Its \"blue\" (de)", "2,9"],
        ),
        ("O3", text("100000000"), text("3"), ["Grün (de)", "3"]),
        ("O4", None, Some(Value::List(Vec::new())), ["-", "-"]),
    ] {
        let values = [text(code), choice, choices];
        let create = batch("new_alltypes", Operation::Create, &fields, &[("", &values)]);
        let id = accepted(&write(&session, &create).await).remove(0);
        assert_eq!(
            stored(&session, "new_alltypes", &id, &read).await,
            expected,
            "{code}"
        );
    }
    let values = [text("O5"), text("Mauve"), None];
    let create = batch("new_alltypes", Operation::Create, &fields, &[("", &values)]);
    let reply = write(&session, &create).await;
    let reject = rejected(&reply.outcomes[0]);
    assert_eq!(reject.kind, ErrorKind::ValidationRule);
    assert_eq!(reject.fields, ["new_choice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_belongs_to_its_state() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[]);
    let fields = [
        CODE,
        ("statecode", "StateType"),
        ("statuscode", "StatusType"),
    ];
    let values = |state: i64, status: Option<Value>| [text("S"), Some(Value::Int(state)), status];
    let create = batch(
        "new_alltypes",
        Operation::Create,
        &fields,
        &[("", &values(0, text("Paused")))],
    );
    let id = accepted(&write(&session, &create).await).remove(0);
    let update = |values: &[Option<Value>]| {
        batch(
            "new_alltypes",
            Operation::Update,
            &fields[1..],
            &[(&id, values)],
        )
    };
    let read = [
        ("statecode", "StateType", ColumnType::Text),
        ("statuscode", "StatusType", ColumnType::Text),
    ];
    assert_eq!(
        stored(&session, "new_alltypes", &id, &read).await,
        ["Active", "Paused"]
    );
    let wrong = write(&session, &update(&values(1, Some(Value::Int(1)))[1..])).await;
    assert_eq!(rejected(&wrong.outcomes[0]).kind, ErrorKind::ValidationRule);
    accepted(&write(&session, &update(&values(1, Some(Value::Int(2)))[1..])).await);
    assert_eq!(
        stored(&session, "new_alltypes", &id, &read).await,
        ["Inactive", "Inactive"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_never_makes_a_record_and_an_upsert_does() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[]);
    let fields = [NAME, CODE];
    let values = [text("Made"), text("U1")];
    let update = batch(
        "new_alltypes",
        Operation::Update,
        &fields,
        &[(NOBODY, &values)],
    );
    let reply = write(&session, &update).await;
    assert_eq!(rejected(&reply.outcomes[0]).kind, ErrorKind::RecordUnknown);
    assert!(
        organisation
            .admin
            .find("new_alltypes", "new_code", "U1")
            .await
            .is_empty()
    );
    let mut upsert = batch(
        "new_alltypes",
        Operation::Upsert,
        &fields,
        &[(NOBODY, &values)],
    );
    upsert.key_field = Some(field("new_alltypesid", "UniqueidentifierType"));
    for created in [true, false] {
        let reply = write(&session, &upsert).await;
        let expected = RecordOutcome::Accepted {
            id: NOBODY.into(),
            created: Some(created),
        };
        assert_eq!(reply.outcomes, [expected], "{:?}", reply.failure);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alternate_keys_hold_any_characters() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[]);
    let keys = ["O'Brien & Söhne", "50% + 1/2 #?", "a,b=c(d)", "💎 'x'"];
    let fields = [("lastname", "StringType")];
    let mut made = Vec::new();
    for created in [true, false] {
        let values = [text(if created { "New" } else { "Changed" })];
        let records: Vec<_> = keys.iter().map(|key| (*key, &values[..])).collect();
        let mut upsert = batch("contact", Operation::Upsert, &fields, &records);
        upsert.key_field = Some(field("new_externalkey", "StringType"));
        let reply = write(&session, &upsert).await;
        let ids = accepted(&reply);
        for outcome in &reply.outcomes {
            let RecordOutcome::Accepted { created: told, .. } = outcome else {
                unreachable!()
            };
            assert_eq!(*told, Some(created), "{outcome:?}");
        }
        if created {
            made = ids;
        } else {
            assert_eq!(ids, made);
        }
    }
    let read = [("new_externalkey", "StringType", ColumnType::Text)];
    for (id, key) in made.iter().zip(keys) {
        assert_eq!(stored(&session, "contact", id, &read).await, [key]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_of_ours_is_made_once_and_never_overwrites() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[]);
    let with_id = |code: &str, id: &str| {
        let fields = [NAME, CODE, ("new_alltypesid", "UniqueidentifierType")];
        let values = [text("Ours"), text(code), text(id)];
        let mut create = batch("new_alltypes", Operation::Create, &fields, &[("", &values)]);
        create.journal_key = Some("new_alltypesid".into());
        create.key_is_ours = true;
        create
    };
    let ids = ["1", "2", "3"].map(|n| format!("00000000-0000-4000-8000-00000000001{n}"));
    let names = [("new_alltypes")];
    session
        .describe(&names.map(str::to_owned), &CallStats::default())
        .await
        .unwrap();
    for (fault, (id, code)) in [
        json!({"kind": "lose_reply"}),
        json!({"kind": "cut", "bytes": 3}),
        json!({"kind": "status", "status": 500}),
    ]
    .into_iter()
    .zip(ids.iter().zip(["I1", "I2", "I3"]))
    {
        let mut on = fault.clone();
        on["path"] = json!("/$batch");
        organisation.admin.fault(on).await;
        let made = accepted(&write(&session, &with_id(code, id)).await);
        assert_eq!(&made, std::slice::from_ref(id), "{fault}");
        let found = organisation
            .admin
            .find("new_alltypes", "new_code", code)
            .await;
        assert_eq!(&found, std::slice::from_ref(id), "{fault}");
    }
    // A taken key of another record is no sign of an earlier try.
    let other = "00000000-0000-4000-8000-000000000019";
    let reply = write(&session, &with_id("I1", other)).await;
    let reject = rejected(&reply.outcomes[0]);
    assert_eq!(reject.kind, ErrorKind::DuplicateKey, "{reject:?}");
    // What is there stays as it is.
    let reply = write(&session, &with_id("I9", &ids[0])).await;
    assert_eq!(accepted(&reply), [ids[0].clone()]);
    let read = [("new_code", "StringType", ColumnType::Text)];
    assert_eq!(
        stored(&session, "new_alltypes", &ids[0], &read).await,
        ["I1"]
    );
    let mut both = with_id("I1", &ids[0]);
    both.records.extend(with_id("I8", other).records);
    let settled = session
        .settle(&both, None, &CallStats::default())
        .await
        .unwrap();
    assert!(
        matches!(&settled[..], [RecordOutcome::Accepted { id, .. }, RecordOutcome::NotApplied] if *id == ids[0]),
        "{settled:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_actions_write_all_or_tell_of_each() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[("bulk_actions", "true")]);
    let fields = [NAME, CODE, ("new_alltypesid", "UniqueidentifierType")];
    let batch_of = |code: &str, long: Option<usize>| {
        let values: Vec<_> = (0..20)
            .map(|n| {
                let name = if long == Some(n) {
                    "x".repeat(101)
                } else {
                    format!("{code} {n}")
                };
                let id = format!("00000000-0000-4000-8000-00000000{code}{n:02}");
                [text(&name), text(&format!("{code}{n}")), text(&id)]
            })
            .collect();
        let records: Vec<_> = values.iter().map(|values| ("", &values[..])).collect();
        let mut create = batch("new_alltypes", Operation::Create, &fields, &records);
        create.journal_key = Some("new_alltypesid".into());
        create.key_is_ours = true;
        create
    };
    let stats = CallStats::default();
    let reply = session
        .write(&batch_of("01", None), &crm_core::NoTickets, &stats)
        .await;
    let ids = accepted(&reply);
    assert_eq!((ids.len(), stats.data_calls()), (20, 1));
    let reply = write(&session, &batch_of("02", Some(7))).await;
    for (at, outcome) in reply.outcomes.iter().enumerate() {
        match at {
            7 => assert_eq!(rejected(outcome).kind, ErrorKind::TextTooLong),
            _ => assert!(
                matches!(outcome, RecordOutcome::Accepted { .. }),
                "{outcome:?}"
            ),
        }
    }
    let values = [text("Changed")];
    let records: Vec<_> = ids.iter().map(|id| (id.as_str(), &values[..])).collect();
    let update = batch("new_alltypes", Operation::Update, &[NAME], &records);
    assert_eq!(accepted(&write(&session, &update).await), ids);
    let found = organisation
        .admin
        .find("new_alltypes", "new_name", "Changed")
        .await;
    assert_eq!(found.len(), 20);
}
