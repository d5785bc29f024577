//! Pages, counts, lookups, orders: what a connector reads when nothing goes wrong.

use std::sync::Arc;
use std::time::Duration;

use crm_core::{
    Aggregate, AggregateFunction, CallStats, ColumnData, ColumnType, Conversion, Filter,
    QueryField, Sort, Value,
};
use crm_tests::{holds_for, until};
use serde_json::json;

use crate::fixture::{Fixture, Remote, all_pages, distinct, rows, texts};

crate::for_each_fixture!(
    pages_hold_every_record_once,
    nothing_is_sent_before_the_first_page_and_nothing_after_the_stream_is_dropped,
    an_empty_answer_is_no_rows_in_one_call,
    filters_orders_and_limits_mean_what_they_say,
    identifiers_are_looked_up_in_full_batches,
    a_query_too_long_for_an_address_is_read_all_the_same,
    estimates_are_what_reading_takes,
);

crate::for_salesforce!(aggregates_are_one_row_in_one_call);

async fn pages_hold_every_record_once(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 4_500).await;
    let session = remote.session(&[]);
    let query = fixture.records.query();
    let count = session.count(&query, &CallStats::default()).await.unwrap();
    assert!(count > 4_500);
    for size in [
        None,
        Some(fixture.page_sizes.1),
        Some(fixture.page_sizes.0 / 4),
    ] {
        let mut query = query.clone();
        query.page_size = size;
        let size = u64::from(size.unwrap_or(fixture.page_sizes.0));
        let stats = Arc::new(CallStats::default());
        remote.admin.clear_counters().await;
        let pages = all_pages(&session, query, &stats).await;
        assert_eq!(rows(&pages) as u64, count);
        let identifiers = texts(&pages, 0);
        assert_eq!(distinct(&identifiers) as u64, count);
        assert_eq!(pages.len() as u64, count.div_ceil(size));
        assert!(
            pages
                .iter()
                .all(|page| page.columns.len() == 4 && page.rejects.is_empty())
        );
        assert_eq!(stats.data_calls(), count.div_ceil(size));
        assert_eq!(remote.admin.data_calls().await, count.div_ceil(size));
        let bytes: usize = pages.iter().map(|page| page.bytes).sum();
        assert_eq!(stats.bytes(), bytes as u64);
        assert_eq!((stats.retries(), stats.waited()), (0, Duration::ZERO));
    }
}

async fn nothing_is_sent_before_the_first_page_and_nothing_after_the_stream_is_dropped(
    fixture: &'static Fixture,
) {
    let remote = Remote::start(fixture, 20_000).await;
    let session = remote.session(&[]);
    let mut stream = Arc::clone(&session).scan(fixture.records.query(), Arc::default());
    assert_eq!(remote.admin.all_calls().await, 0);
    assert!(session.signed_in().is_none());
    let page = stream.next().await.unwrap().expect("a page");
    assert_eq!(page.n_rows, fixture.page_sizes.0 as usize);
    assert_eq!(
        remote.admin.data_calls().await,
        1,
        "a page is fetched when it is asked for"
    );
    remote
        .admin
        .fault(json!({"path": fixture.paths.next, "kind": "slow", "ms": 300}))
        .await;
    {
        // Dropped while the reply is under way.
        let next = stream.next();
        let timed_out = tokio::time::timeout(Duration::from_millis(100), next).await;
        assert!(timed_out.is_err());
    }
    drop(stream);
    let admin = &remote.admin;
    until("the request arrived", Duration::from_secs(5), || async {
        (admin.data_calls().await == 2).then_some(())
    })
    .await;
    holds_for(
        "a dropped stream sends nothing",
        Duration::from_millis(400),
        || async { admin.data_calls().await == 2 },
    )
    .await;
    // The session is as good as before.
    let mut query = fixture.records.query();
    query.limit = Some(3);
    assert_eq!(rows(&all_pages(&session, query, &Arc::default()).await), 3);
}

async fn an_empty_answer_is_no_rows_in_one_call(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let mut query = fixture.records.query();
    query.filter = Some(fixture.records.number_above(1_000_000_000));
    let stats = Arc::new(CallStats::default());
    let pages = all_pages(&session, query.clone(), &stats).await;
    assert_eq!(rows(&pages), 0);
    assert_eq!(stats.data_calls(), 1);
    assert_eq!(session.count(&query, &stats).await.unwrap(), 0);
}

async fn filters_orders_and_limits_mean_what_they_say(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 3_000).await;
    let session = remote.session(&[]);
    let records = &fixture.records;
    let everything = all_pages(&session, records.query(), &Arc::default()).await;
    let numbers: Vec<f64> = texts(&everything, 2)
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let nulls = rows(&everything) - numbers.len();
    assert!(nulls > 0 && numbers.len() > 1_000);

    let mut query = records.query();
    query.filter = Some(records.number_above(500));
    let above = numbers.iter().filter(|number| **number > 500.0).count();
    assert_eq!(
        rows(&all_pages(&session, query.clone(), &Arc::default()).await),
        above
    );
    let counted = session.count(&query, &CallStats::default()).await.unwrap();
    assert_eq!(counted as usize, above);

    let field = || records.number.0.to_owned();
    query.filter = Some(Filter::IsNull { field: field() });
    assert_eq!(
        rows(&all_pages(&session, query.clone(), &Arc::default()).await),
        nulls
    );
    query.filter = Some(Filter::Or(vec![
        Filter::IsNull { field: field() },
        Filter::And(vec![
            records.number_above(500),
            Filter::IsNotNull {
                field: records.text.0.into(),
            },
        ]),
    ]));
    let both = rows(&all_pages(&session, query, &Arc::default()).await);
    assert_eq!(both, nulls + above);

    for &(descending, nulls_first) in fixture.orders {
        let mut query = records.query();
        query.sort = vec![Sort {
            field: field(),
            descending,
            nulls_first,
        }];
        query.limit = Some(2_500);
        let pages = all_pages(&session, query, &Arc::default()).await;
        assert_eq!(rows(&pages), 2_500);
        let sorted: Vec<f64> = texts(&pages, 2)
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        assert!(sorted.is_sorted_by(|a, b| if descending { a >= b } else { a <= b }));
        assert_eq!(pages[0].columns[2].is_null(0), nulls_first);
        assert_eq!(sorted.len(), 2_500 - if nulls_first { nulls } else { 0 });
    }
}

async fn aggregates_are_one_row_in_one_call(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 2_500).await;
    let session = remote.session(&[]);
    let records = &fixture.records;
    let mut query = records.query();
    let total = session.count(&query, &CallStats::default()).await.unwrap();
    let result = |name: &str, remote_type: &str, column_type| QueryField {
        name: name.into(),
        remote_type: remote_type.into(),
        column_type,
        conversion: Conversion::Default,
    };
    query.fields = vec![result("count", "", ColumnType::Int64)];
    query.aggregates = vec![Aggregate {
        function: AggregateFunction::CountAll,
        field: String::new(),
    }];
    let stats = Arc::new(CallStats::default());
    let pages = all_pages(&session, query.clone(), &stats).await;
    assert_eq!(stats.data_calls(), 1);
    assert_eq!(pages.len(), 1);
    assert_eq!(
        pages[0].columns[0].data(),
        &ColumnData::Int64(vec![total as i64])
    );

    let everything = all_pages(&session, records.query(), &Arc::default()).await;
    let number = |text: &String| text.parse::<f64>().unwrap();
    let numbers: Vec<f64> = texts(&everything, 2).iter().map(number).collect();
    let of = |function| Aggregate {
        function,
        field: records.number.0.into(),
    };
    query.aggregates = vec![of(AggregateFunction::Min), of(AggregateFunction::Max)];
    let field = || result(records.number.0, records.number.1, ColumnType::Numeric);
    query.fields = vec![field(), field()];
    let pages = all_pages(&session, query.clone(), &stats).await;
    assert_eq!(rows(&pages), 1);
    let smallest = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(number(&texts(&pages, 0)[0]), smallest);
    assert_eq!(number(&texts(&pages, 1)[0]), largest);
    // Of no record: one row of nulls.
    query.filter = Some(records.number_above(1_000_000_000));
    let pages = all_pages(&session, query, &stats).await;
    assert_eq!(rows(&pages), 1);
    assert!(pages[0].columns.iter().all(|column| column.is_null(0)));
}

async fn identifiers_are_looked_up_in_full_batches(fixture: &'static Fixture) {
    let n_wanted = fixture.lookup_size * 5 / 2;
    let remote = Remote::start(fixture, n_wanted as u32 + 50).await;
    let session = remote.session(&[]);
    let everything = all_pages(&session, fixture.records.query(), &Arc::default()).await;
    let mut wanted: Vec<String> = texts(&everything, 0);
    wanted.truncate(n_wanted);
    let mut query = fixture.records.query();
    let mut asked = wanted.clone();
    asked.insert(5, fixture.records.unknown_identifier.into());
    query.lookup = Some(asked);
    let stats = Arc::new(CallStats::default());
    let pages = all_pages(&session, query.clone(), &stats).await;
    let mut found = texts(&pages, 0);
    assert_eq!(stats.data_calls(), 3);
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    assert!(texts(&pages, 1).len() > n_wanted / 2);
    // Records that are not there are simply missing: no short read.
    query.lookup = Some(vec![fixture.records.unknown_identifier.into()]);
    assert_eq!(rows(&all_pages(&session, query, &stats).await), 0);
    assert_eq!(stats.data_calls(), 4);
}

async fn a_query_too_long_for_an_address_is_read_all_the_same(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, fixture.page_sizes.0 + 100).await;
    let session = remote.session(&[("request_timeout", "120")]);
    let stats = Arc::new(CallStats::default());
    let described = session
        .describe(&[fixture.wide.0.to_owned()], &stats)
        .await
        .unwrap();
    let fields: Vec<QueryField> = described[0]
        .fields
        .iter()
        .map(|field| QueryField {
            name: field.name.clone(),
            remote_type: field.remote_type.clone(),
            column_type: field.column_type.unwrap_or(ColumnType::Text),
            conversion: Conversion::Default,
        })
        .collect();
    assert!(fields.len() > fixture.wide.1, "{} fields", fields.len());
    let mut query = fixture.records.query();
    query.object = fixture.wide.0.into();
    query.identifier = crate::fixture::identifier_of(&described[0]);
    query.fields = fields;
    let pages = all_pages(&session, query.clone(), &stats).await;
    let counted = session.count(&query, &stats).await.unwrap();
    assert!(counted > 0);
    assert_eq!(rows(&pages) as u64, counted);
    // A long list of values, over more than one page.
    let mut query = fixture.records.query();
    let list: Vec<Value> = (0..500)
        .flat_map(|n| [Value::Int(n), Value::Numeric(format!("{n}.123456789"))])
        .chain([Value::Int(999)])
        .collect();
    query.filter = Some(Filter::Or(vec![
        Filter::In {
            field: fixture.records.number.0.into(),
            values: Value::List(list),
        },
        Filter::IsNotNull {
            field: fixture.records.number.0.into(),
        },
    ]));
    let long = session.count(&query, &stats).await.unwrap();
    let size = fixture.page_sizes.0 / 4;
    query.page_size = Some(size);
    assert!(long > size.into());
    let pages = all_pages(&session, query, &stats).await;
    assert_eq!(rows(&pages) as u64, long);
    assert_eq!(distinct(&texts(&pages, 0)) as u64, long);
}

async fn estimates_are_what_reading_takes(fixture: &'static Fixture) {
    let connector = fixture.connector;
    let mut query = fixture.records.query();
    let size = f64::from(fixture.page_sizes.0);
    assert!((connector.estimate_calls(&query, size * 3.0) - 3.0).abs() < 1e-9);
    assert!((connector.estimate_calls(&query, 1.0) - 1.0).abs() < 1e-9);
    query.page_size = Some(fixture.page_sizes.0 / 4);
    assert!((connector.estimate_calls(&query, size * 0.8) - 4.0).abs() < 1e-9);
    query.page_size = None;
    query.lookup = Some(Vec::new());
    let batch = fixture.lookup_size as f64;
    assert!((connector.estimate_calls(&query, batch * 2.0 + 1.0) - 3.0).abs() < 1e-9);
}
