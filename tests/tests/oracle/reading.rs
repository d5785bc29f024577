//! Pages, conditions, lookups, descriptions and queries passed through.

use std::collections::HashSet;
use std::sync::Arc;

use crm_core::{
    CallStats, ColumnData, ColumnType, Connector, FieldFacts, Filter, Fit, Operator, QueryField,
    RemoteQuery, Value, parse_instant,
};
use crm_oracle::ORACLE;
use serde_json::json;

use crate::company::{Company, contacts, ids, pages, texts};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_records_in_a_thousand_calls() {
    let company = Company::start(100_000).await;
    let session = company.session(&[]);
    let stats = Arc::new(CallStats::default());
    let (pages, error) = pages(&session, contacts(), &stats).await;
    assert!(error.is_none(), "{error:?}");
    let found = texts(&pages, 0);
    let distinct: HashSet<_> = found.iter().collect();
    assert!(found.len() >= 100_000 && distinct.len() == found.len());
    let n_pages = found.len().div_ceil(100) as u64;
    assert_eq!(stats.data_calls(), n_pages);
    let bound = 1_001 + (found.len() as u64 - 100_000).div_ceil(100);
    assert!(stats.data_calls() <= bound, "{}", stats.data_calls());
    assert_eq!(stats.calls(), n_pages + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_come_and_go_meanwhile_leave_no_gaps() {
    let company = Company::start(450).await;
    let session = company.session(&[]);
    let all = ids(&session, contacts()).await.unwrap();
    let mut stream = Arc::clone(&session).scan(contacts(), Arc::default());
    let mut found = texts(&[stream.next().await.unwrap().expect("a page")], 0);
    // A record of the page that was read goes: by number, the next page would begin one record too late.
    company
        .admin
        .post(
            "/records",
            json!({"object": "Contact", "ids": [found[10]], "delete": "bin"}),
        )
        .await;
    while let Some(page) = stream.next().await.unwrap() {
        found.extend(texts(&[page], 0));
    }
    assert_eq!(found, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn smaller_pages_than_asked_for_are_read_on() {
    let config = crm_sandbox::Config {
        contacts: 300,
        page_cap: Some(7),
        ..crm_sandbox::Config::default()
    };
    let sandbox = crm_sandbox::start(config).await.unwrap();
    let company = Company::of(sandbox);
    let session = company.session(&[]);
    let found = ids(&session, contacts()).await.unwrap();
    assert!(found.len() >= 300 && found.is_sorted());
    let mut query = contacts();
    query.limit = Some(20);
    assert_eq!(ids(&session, query.clone()).await.unwrap(), found[..20]);
    query.limit = None;
    query.lookup = Some(found[..150].to_vec());
    let mut looked_up = ids(&session, query).await.unwrap();
    looked_up.sort();
    assert_eq!(looked_up, found[..150]);
}

fn facts(name: &str, word: &str, column_type: ColumnType) -> FieldFacts {
    FieldFacts {
        name: name.into(),
        remote_type: word.into(),
        column_type,
        conversion: crm_core::Conversion::Default,
        filterable: true,
        sortable: true,
        case_sensitive: false,
        identifier: false,
    }
}

fn fitted(facts: &FieldFacts, operator: Operator, value: Value) -> Filter<Value> {
    let asked = Filter::Compare {
        field: facts.name.clone(),
        operator,
        value,
    };
    match ORACLE.fit(facts, asked) {
        Fit::Send { filter, .. } => filter,
        other => panic!("{other:?}"),
    }
}

/// Number, moment and name of a contact.
type Known = (Option<f64>, i64, String);

#[tokio::test(flavor = "multi_thread")]
async fn conditions_find_what_they_say() {
    let company = Company::start(2_000).await;
    let session = company.session(&[]);
    let number = facts("CustomNumber0", "Number", ColumnType::Numeric);
    let moment = facts("ModifiedDate", "Date/Time", ColumnType::Instant);
    let name = facts("ContactLastName", "Text (Short)", ColumnType::Text);
    let fields = vec![
        QueryField::plain("Id", "ID", ColumnType::Text),
        QueryField::plain("CustomNumber0", "Number", ColumnType::Numeric),
        QueryField::plain("ModifiedDate", "Date/Time", ColumnType::Instant),
        QueryField::plain("ContactLastName", "Text (Short)", ColumnType::Text),
    ];
    let everything = RemoteQuery::all("Contact", "Id", fields);
    let (all, error) = pages(&session, everything.clone(), &Arc::default()).await;
    assert!(error.is_none(), "{error:?}");
    let rows: Vec<Known> = all
        .iter()
        .flat_map(|page| {
            let ColumnData::Instant(moments) = page.columns[2].data() else {
                panic!("no moments")
            };
            (0..page.n_rows).map(move |row| {
                let number = page.columns[1].text(row).map(|text| text.parse().unwrap());
                let name = page.columns[3].text(row).unwrap_or_default().to_owned();
                (number, moments[row], name)
            })
        })
        .collect();
    let count = |test: &dyn Fn(&Known) -> bool| rows.iter().filter(|row| test(row)).count();
    let middle = rows[rows.len() / 2].1;
    let family = rows[rows.len() / 2].2.clone();
    let null = |name: &str| Filter::IsNull { field: name.into() };
    let above = || fitted(&number, Operator::Greater, Value::Numeric("500.5".into()));
    for (filter, expected) in [
        (
            above(),
            count(&|row| row.0.is_some_and(|number| number > 500.5)),
        ),
        (null("CustomNumber0"), count(&|row| row.0.is_none())),
        (
            Filter::Or(vec![
                null("CustomNumber0"),
                Filter::And(vec![
                    above(),
                    fitted(&moment, Operator::Less, Value::Instant(middle)),
                ]),
            ]),
            count(&|row| match row.0 {
                None => true,
                Some(number) => number > 500.5 && row.1 < middle,
            }),
        ),
        (
            fitted(&moment, Operator::Equal, Value::Instant(middle)),
            count(&|row| row.1 == middle),
        ),
        (
            fitted(&name, Operator::Equal, Value::Text(family.clone())),
            count(&|row| row.2 == family),
        ),
    ] {
        let mut query = everything.clone();
        query.filter = Some(filter.clone());
        let counted = session.count(&query, &CallStats::default()).await.unwrap();
        assert_eq!(counted as usize, expected, "{filter:?}");
        assert_eq!(
            ids(&session, query).await.unwrap().len(),
            expected,
            "{filter:?}"
        );
    }
    assert!(count(&|row| row.0.is_none()) > 0);
    let last = company.admin.get("/report").await;
    assert!(
        last["last_searchspec"]
            .as_str()
            .unwrap()
            .contains(&family.replace('\'', "''"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_put_back_hides_no_record() {
    let company = Company::start(5).await;
    let zone = [("time_zone", "America/New_York")];
    let session = company.session(&zone);
    let moment = facts("ModifiedDate", "Date/Time", ColumnType::Instant);
    let mut query = contacts();
    let at = parse_instant("2024-11-03T06:30:00Z").unwrap();
    query.filter = Some(fitted(
        &moment,
        Operator::GreaterOrEqual,
        Value::Instant(at),
    ));
    ids(&session, query).await.unwrap();
    let report = company.admin.get("/report").await;
    // The earlier half past one, which a clock without a zone cannot tell from this one, is asked for as well.
    let asked = report["last_searchspec"].as_str().unwrap();
    assert!(
        asked < "[ModifiedDate] >= '2024-11-03T05:30:01Z'",
        "{asked}"
    );
    assert!(
        asked > "[ModifiedDate] >= '2024-11-03T05:00:00Z'",
        "{asked}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_are_looked_up_a_hundred_a_call() {
    let company = Company::start(400).await;
    let session = company.session(&[]);
    let all = ids(&session, contacts()).await.unwrap();
    let mut wanted = all[..250].to_vec();
    wanted.insert(3, "0-NOBODY".into());
    wanted.insert(5, wanted[0].clone());
    let mut query = contacts();
    query.lookup = Some(wanted);
    let stats = Arc::new(CallStats::default());
    let (pages, error) = pages(&session, query, &stats).await;
    assert!(error.is_none(), "{error:?}");
    let mut found = texts(&pages, 0);
    found.sort();
    assert_eq!(found, all[..250]);
    assert_eq!(stats.data_calls(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_described_with_their_labels() {
    let company = Company::start(5).await;
    let session = company.session(&[]);
    let stats = CallStats::default();
    let objects = session.objects(&stats).await.unwrap();
    let names: Vec<_> = objects.iter().map(|object| object.name.clone()).collect();
    let described = session.describe(&names, &stats).await.unwrap();
    assert_eq!(stats.data_calls(), 0);
    for object in &described {
        let name = &object.summary.name;
        assert_eq!(
            object
                .fields
                .iter()
                .filter(|field| field.identifier)
                .count(),
            1,
            "{name}"
        );
        let stamp: Vec<_> = object
            .fields
            .iter()
            .filter(|field| field.modification_stamp)
            .collect();
        assert_eq!(stamp.len(), 1, "{name}");
        // What is described can be read.
        let fields = object
            .fields
            .iter()
            .map(|field| {
                QueryField::plain(
                    &field.name,
                    &field.remote_type,
                    field.column_type.unwrap_or(ColumnType::Text),
                )
            })
            .collect();
        let mut query = RemoteQuery::all(name, "Id", fields);
        query.limit = Some(3);
        let (pages, error) = pages(&session, query, &Arc::default()).await;
        assert!(error.is_none(), "{name}: {error:?}");
        assert!(pages.iter().all(|page| page.rejects.is_empty()), "{name}");
    }
    let contact = described
        .iter()
        .find(|object| object.summary.name == "Contact")
        .unwrap();
    let field = |name: &str| contact.fields.iter().find(|field| field.name == name);
    assert_eq!(field("CustomPickList0").unwrap().label, "Relation");
    assert_eq!(
        field("CustomDate0").unwrap().column_type,
        Some(ColumnType::Instant)
    );
    // It is listed by the mapping service and cannot be queried.
    assert!(field("ContactImage").is_none());
    assert!(field("AccountId").is_some());
    let unknown = session
        .describe(&["Starship".to_owned()], &stats)
        .await
        .unwrap_err();
    assert_eq!(
        unknown.kind(),
        crm_core::ErrorKind::ObjectUnknown,
        "{unknown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_passed_through() {
    let company = Company::start(250).await;
    let session = company.session(&[]);
    let documents = async |statement: &str| {
        let mut stream = Arc::clone(&session)
            .native(statement, Arc::default())
            .unwrap();
        let mut documents = Vec::new();
        while let Some(page) = stream.next().await.unwrap() {
            documents.extend(texts(&[page], 0));
        }
        documents
    };
    let all = documents("Contact(Id,ContactLastName)").await;
    assert!(all.len() >= 250);
    let first: serde_json::Value = serde_json::from_str(&all[0]).unwrap();
    let name = first["ContactLastName"]
        .as_str()
        .unwrap()
        .replace('\'', "''");
    let some = documents(&format!("Contact [ContactLastName] = '{name}'")).await;
    assert!(!some.is_empty() && some.len() < all.len());
    assert!(some[0].contains("ModifiedDate"));
    let mut stream = Arc::clone(&session)
        .native("Contact [Nonsense", Arc::default())
        .unwrap();
    let error = stream.next().await.unwrap_err();
    assert!(error.detail().is_some(), "{error:?}");
    assert!(
        Arc::clone(&session)
            .native("DELETE everything", Arc::default())
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_are_known_from_rest_where_the_option_says_so() {
    let company = Company::start(5).await;
    let session = company.session(&[("metadata", "rest")]);
    let stats = CallStats::default();
    let described = session
        .describe(&["Contact".to_owned()], &stats)
        .await
        .unwrap();
    let field = |name: &str| described[0].fields.iter().find(|field| field.name == name);
    // It tells of all custom fields, those that no layout shows as well.
    for (name, column_type) in [
        ("Id", ColumnType::Text),
        ("ContactLastName", ColumnType::Text),
        ("CustomText74", ColumnType::Text),
        ("CustomInteger30", ColumnType::Int32),
        ("CustomDate0", ColumnType::Instant),
        ("CustomDate25", ColumnType::Date),
        ("CustomMultiSelectPickList0", ColumnType::TextArray),
        ("CustomBoolean0", ColumnType::Bool),
    ] {
        let field = field(name).unwrap_or_else(|| panic!("no {name}"));
        assert_eq!(field.column_type, Some(column_type), "{name}");
    }
    assert!(field("ContactImage").is_none());
    assert_eq!(stats.data_calls(), 0);
    // The place at that interface is given back, the session for records stays.
    assert_eq!(company.open_sessions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_fields_go_by_the_companys_tags_where_the_option_says_so() {
    let company = Company::start(20).await;
    let session = company.session(&[("custom_tags", "true")]);
    let with = |tag: &str| {
        let mut query = contacts();
        let field = QueryField::plain(tag, "Number", ColumnType::Numeric);
        query.fields.push(field);
        query
    };
    let (found, error) = pages(&session, with("nDiscount"), &Arc::default()).await;
    assert!(error.is_none(), "{error:?}");
    let generic = with("CustomNumber0");
    let (expected, error) = pages(&company.session(&[]), generic, &Arc::default()).await;
    assert!(error.is_none(), "{error:?}");
    assert!(!texts(&expected, 3).is_empty());
    assert_eq!(texts(&found, 3), texts(&expected, 3));
    let described = session
        .describe(&["Contact".to_owned()], &CallStats::default())
        .await
        .unwrap();
    assert!(
        described[0]
            .fields
            .iter()
            .all(|field| !field.name.starts_with("Custom"))
    );
    let error = ids(&company.session(&[]), with("nDiscount"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), crm_core::ErrorKind::FieldUnknown, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_crm_does_not_count_is_counted_all_the_same() {
    let company = Company::start(5).await;
    let activities: Vec<_> = (0..13)
        .map(|n| json!({"Subject": format!("Call {n}")}))
        .collect();
    company
        .admin
        .post(
            "/records",
            json!({"object": "Activity", "create": activities}),
        )
        .await;
    let session = company.session(&[]);
    let fields = vec![QueryField::plain("Id", "ID", ColumnType::Text)];
    let query = RemoteQuery::all("Activity", "Id", fields);
    let stats = CallStats::default();
    assert_eq!(session.count(&query, &stats).await.unwrap(), 13);
    assert!(stats.data_calls() <= 10, "{}", stats.data_calls());
    assert_eq!(ids(&session, query).await.unwrap().len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_reply_is_read() {
    let config = crm_sandbox::Config {
        contacts: 120,
        gzip: true,
        ..crm_sandbox::Config::default()
    };
    let company = Company::of(crm_sandbox::start(config).await.unwrap());
    let session = company.session(&[]);
    assert!(ids(&session, contacts()).await.unwrap().len() >= 120);
}
