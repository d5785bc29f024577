//! Metadata: what objects there are and what fields they have, in few calls.

use crm_core::{CallStats, ColumnType, ErrorKind};

use crate::fixture::{Fixture, Remote};

crate::for_each_fixture!(
    objects_are_listed_in_one_call_and_described_in_few,
    fields_carry_what_planning_needs,
    an_unknown_object_is_named,
    unknown_objects_and_fields_of_a_query_are_told_apart,
);

crate::for_salesforce!(
    describing_again_transfers_nothing,
    variants_of_an_object_offer_some_values_each,
);

async fn objects_are_listed_in_one_call_and_described_in_few(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let stats = CallStats::default();
    let objects = session.objects(&stats).await.unwrap();
    let listed = stats.calls();
    assert!(listed <= fixture.listing_calls, "{listed} calls");
    let names: Vec<String> = objects.iter().map(|object| object.name.clone()).collect();
    for object in [fixture.records.object, fixture.wide.0] {
        assert!(names.iter().any(|name| name == object), "{object}");
    }
    assert_eq!(
        objects.iter().any(|object| object.custom),
        fixture.has_custom
    );
    assert!(
        objects
            .iter()
            .any(|object| !object.custom && object.selectable)
    );
    let described = session.describe(&names, &stats).await.unwrap();
    let wanted = names.len() as u64;
    let described_in = stats.calls() - listed;
    assert!(
        described_in <= (fixture.describe_calls)(wanted),
        "{described_in} calls for {wanted} objects"
    );
    assert_eq!(stats.data_calls(), 0);
    let in_order: Vec<_> = described
        .iter()
        .map(|object| object.summary.name.clone())
        .collect();
    assert_eq!(in_order, names);
    for object in &described {
        let identifiers = object
            .fields
            .iter()
            .filter(|field| field.identifier)
            .count();
        assert_eq!(identifiers, 1, "{}", object.summary.name);
        let stamps = object
            .fields
            .iter()
            .filter(|field| field.modification_stamp)
            .count();
        assert!(stamps <= 1, "{}", object.summary.name);
    }
}

async fn fields_carry_what_planning_needs(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let records = &fixture.records;
    let names = [records.object.to_owned()];
    let described = session
        .describe(&names, &CallStats::default())
        .await
        .unwrap();
    let field = |name: &str| {
        let found = described[0].fields.iter().find(|field| field.name == name);
        found.unwrap_or_else(|| panic!("no field {name}"))
    };
    let identifier = match fixture.crm.identifiers.sql_type {
        "uuid" => ColumnType::Uuid,
        _ => ColumnType::Text,
    };
    for (place, column_type) in [
        (0, identifier),
        (1, ColumnType::Text),
        (2, ColumnType::Numeric),
        (3, ColumnType::Instant),
    ] {
        let facts = records.facts(place);
        let field = field(&facts.name);
        assert_eq!(field.column_type, Some(column_type), "{field:?}");
        assert_eq!(field.remote_type, facts.remote_type, "{field:?}");
        assert!(field.filterable, "{field:?}");
        assert!(field.sortable || place < 2, "{field:?}");
        assert_eq!(field.identifier, place == 0);
        assert!(!field.label.is_empty());
    }
    assert!(field(records.moment.0).modification_stamp);
}

async fn describing_again_transfers_nothing(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let names = [fixture.records.object.to_owned()];
    let stats = CallStats::default();
    let first = session.describe(&names, &stats).await.unwrap();
    let received = stats.bytes();
    remote.admin.clear_counters().await;
    let second = session.describe(&names, &stats).await.unwrap();
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    assert_eq!(stats.bytes(), received);
    let log = remote.admin.requests().await["log"].clone();
    let statuses: Vec<_> = log
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["status"].as_u64())
        .collect();
    assert_eq!(statuses, [304]);
}

async fn an_unknown_object_is_named(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    for names in [
        vec!["NoSuchObject__c".to_owned()],
        vec![
            fixture.records.object.to_owned(),
            "NoSuchObject__c".to_owned(),
        ],
    ] {
        let error = session
            .describe(&names, &CallStats::default())
            .await
            .expect_err("there is none");
        assert_eq!(error.kind(), ErrorKind::ObjectUnknown, "{error:?}");
        assert!(error.message().contains("NoSuchObject__c"), "{error:?}");
    }
}

async fn unknown_objects_and_fields_of_a_query_are_told_apart(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let mut query = fixture.records.query();
    query.object = "NoSuchObject__c".into();
    let error = crate::fixture::failure(&session, query).await;
    assert_eq!(error.kind(), ErrorKind::ObjectUnknown, "{error:?}");
    let mut query = fixture.records.query();
    query.fields[1].name = "NoSuchField__c".into();
    let error = crate::fixture::failure(&session, query).await;
    assert_eq!(error.kind(), ErrorKind::FieldUnknown, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
    // Names that are none are not sent.
    remote.admin.clear_counters().await;
    for name in ["Id, Name", "Id FROM User", "Name'", "", "a.b.", "Näme"] {
        let mut query = fixture.records.query();
        query.fields[1].name = name.into();
        crate::fixture::failure(&session, query).await;
    }
    assert_eq!(remote.admin.data_calls().await, 0);
}

async fn variants_of_an_object_offer_some_values_each(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let (name, n_variants) = fixture.variants.expect("variants");
    let described = session
        .describe(&[name.to_owned()], &CallStats::default())
        .await;
    let described = described.unwrap().remove(0);
    assert_eq!(described.variants.len() as u64, n_variants);
    let stats = CallStats::default();
    let told = session
        .with_variants(described.clone(), &stats)
        .await
        .unwrap();
    assert_eq!(stats.calls(), n_variants);
    let known: Vec<_> = told.variants.iter().map(|variant| &variant.name).collect();
    let offered: Vec<_> = (told.fields.iter())
        .flat_map(|field| &field.values)
        .filter_map(|value| value.variants.as_ref())
        .collect();
    assert!(offered.iter().any(|names| names.len() < known.len()));
    assert!(offered.iter().any(|names| !names.is_empty()));
    assert!(
        offered
            .iter()
            .copied()
            .flatten()
            .all(|name| known.contains(&name))
    );
    // An object of one kind costs nothing.
    let plain = fixture.records.object.to_owned();
    let plain = session.describe(&[plain], &stats).await.unwrap().remove(0);
    let stats = CallStats::default();
    session.with_variants(plain, &stats).await.unwrap();
    assert_eq!(stats.calls(), 0);
    // Where the CRM does not tell, the description stays as it is.
    let refused = serde_json::json!({"path": "picklist-values", "kind": "status", "status": 400});
    remote.admin.fault(refused).await;
    let untold = session
        .with_variants(described, &CallStats::default())
        .await
        .unwrap();
    let mut values = untold.fields.iter().flat_map(|field| &field.values);
    assert!(values.all(|value| value.variants.is_none()));
}
