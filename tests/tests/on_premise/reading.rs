//! The same records, the same descriptions and the same numbers by SOAP as by the Web API.

use std::sync::Arc;

use crm_core::{
    CallStats, ErrorKind, Filter, Operator, RemoteObject, RemoteQuery, Session, Sort, Value,
    comparison,
};

use super::{Organisation, Way, query_of, read, shown};

const SOAP: [Way; 2] = [Way::WsTrust, Way::OldNtlm];

async fn described(session: &Arc<dyn Session>, objects: &[&str]) -> Vec<RemoteObject> {
    let objects: Vec<String> = objects.iter().map(ToString::to_string).collect();
    let described = session.describe(&objects, &CallStats::default()).await;
    described.unwrap_or_else(|error| panic!("{error:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_described_alike() {
    let place = Organisation::start(0).await;
    let web = place.session(Way::Ntlm);
    let names = ["account", "contact", "new_alltypes", "task"];
    let expected = described(&web, &names).await;
    for way in SOAP {
        let soap = place.session(way);
        let all = soap.objects(&CallStats::default()).await.unwrap();
        let of_web = web.objects(&CallStats::default()).await.unwrap();
        let names_of = |objects: &[crm_core::ObjectSummary]| {
            let mut names: Vec<_> = objects.iter().map(|object| object.name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(names_of(&all), names_of(&of_web));
        for (told, expected) in described(&soap, &names).await.iter().zip(&expected) {
            assert_eq!(
                format!("{:?}", told.summary),
                format!("{:?}", expected.summary)
            );
            let mut told = told.fields.clone();
            let mut expected = expected.fields.clone();
            told.sort_by(|a, b| a.name.cmp(&b.name));
            expected.sort_by(|a, b| a.name.cmp(&b.name));
            for (told, expected) in told.iter().zip(&expected) {
                assert_eq!(format!("{told:?}"), format!("{expected:?}"), "{way:?}");
            }
            assert_eq!(told.len(), expected.len());
        }
        let unknown = soap
            .describe(&["nope".into()], &CallStats::default())
            .await
            .unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::ObjectUnknown, "{unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_read_alike() {
    let place = Organisation::start(700).await;
    let web = place.session(Way::Ntlm);
    for object in ["account", "new_alltypes", "contact"] {
        let query = RemoteQuery {
            page_size: Some(300),
            ..query_of(&web, object).await
        };
        let expected = shown(&read(&web, query.clone()).await.unwrap());
        assert!(!expected.is_empty(), "{object}");
        for way in SOAP {
            let soap = place.session(way);
            let told = read(&soap, query.clone()).await;
            let told = shown(&told.unwrap_or_else(|error| panic!("{error:?}")));
            assert_eq!(told.len(), expected.len(), "{way:?} {object}");
            for (told, expected) in told.iter().zip(&expected) {
                assert_eq!(told, expected, "{way:?} {object}");
            }
        }
    }
}

/// Conditions of every form on the contacts, with a limit on how they are sorted.
fn conditions() -> Vec<Filter<Value>> {
    let at = Value::Instant(1_700_000_000_000_000);
    let numeric = |text: &str| Value::Numeric(text.into());
    vec![
        comparison("new_score", Operator::Greater, numeric("50.5")),
        comparison("new_score", Operator::NotEqual, Value::Int(50)),
        comparison("createdon", Operator::GreaterOrEqual, at.clone()),
        Filter::And(vec![
            comparison("statecode", Operator::Equal, Value::Int(0)),
            Filter::Or(vec![
                Filter::IsNull {
                    field: "new_score".into(),
                },
                comparison("new_score", Operator::LessOrEqual, Value::Int(10)),
                comparison("createdon", Operator::Less, at),
            ]),
        ]),
        Filter::IsNotNull {
            field: "emailaddress1".into(),
        },
        Filter::Like {
            field: "lastname".into(),
            pattern: Value::Text("A%".into()),
        },
        Filter::In {
            field: "statecode".into(),
            values: Value::List(vec![Value::Int(0), Value::Int(7)]),
        },
        comparison(
            "lastname",
            Operator::Equal,
            Value::Text("O'Br\"<&>ien".into()),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_orders_limits_and_counts_mean_the_same() {
    let place = Organisation::start(500).await;
    let web = place.session(Way::Ntlm);
    let mut query = query_of(&web, "contact").await;
    let names: Vec<String> = query
        .fields
        .iter()
        .map(|field| field.name.clone())
        .collect();
    query.fields.retain(|field| {
        [
            "contactid",
            "lastname",
            "new_score",
            "createdon",
            "statecode",
        ]
        .contains(&field.name.as_str())
    });
    for filter in conditions() {
        let wanted = format!("{filter:?}");
        let known = names.iter().any(|name| wanted.contains(name.as_str()));
        assert!(known, "{wanted}");
        let query = RemoteQuery {
            filter: Some(filter),
            ..query.clone()
        };
        let expected = read(&web, query.clone()).await;
        let expected = shown(&expected.unwrap_or_else(|error| panic!("{wanted}: {error:?}")));
        for way in SOAP {
            let soap = place.session(way);
            let told = read(&soap, query.clone()).await;
            let told = shown(&told.unwrap_or_else(|error| panic!("{wanted}: {error:?}")));
            assert_eq!(told, expected, "{way:?} {wanted}");
            let count = soap.count(&query, &CallStats::default()).await.unwrap();
            assert_eq!(count, expected.len() as u64, "{way:?} {wanted}");
        }
    }
    let soap = place.session(Way::WsTrust);
    let sorted = RemoteQuery {
        sort: vec![Sort {
            field: "createdon".into(),
            descending: true,
            nulls_first: false,
        }],
        limit: Some(7),
        ..query.clone()
    };
    let told = read(&soap, sorted.clone()).await.unwrap();
    assert_eq!(told[0].n_rows, 7);
    let at = |pages: &[crm_core::Page]| {
        let column = query
            .fields
            .iter()
            .position(|field| field.name == "createdon")
            .unwrap();
        format!("{:?}", pages[0].columns[column].data())
    };
    let expected = read(&web, sorted).await.unwrap();
    assert_eq!(at(&told), at(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_identifier() {
    let place = Organisation::start(2_500).await;
    let web = place.session(Way::Ntlm);
    let mut query = query_of(&web, "contact").await;
    query.fields.retain(|field| field.name == "contactid");
    let all = shown(&read(&web, query.clone()).await.unwrap());
    let ids: Vec<String> = all.iter().map(|row| row[0].clone().unwrap()).collect();
    for way in SOAP {
        let soap = place.session(way);
        let mut wanted = ids.clone();
        wanted.push("00000000-0000-4000-8000-00000000000a".into());
        let stats = Arc::new(CallStats::default());
        let lookup = RemoteQuery {
            lookup: Some(wanted),
            ..query.clone()
        };
        let mut stream = Arc::clone(&soap).scan(lookup, Arc::clone(&stats));
        let mut found = Vec::new();
        while let Some(page) = stream.next().await.unwrap() {
            found.push(page);
        }
        assert_eq!(shown(&found), all, "{way:?}");
        assert_eq!(stats.data_calls(), 1, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_told_with_the_query() {
    let place = Organisation::start(0).await;
    for way in SOAP {
        let soap = place.session(way);
        let field = crm_core::QueryField::plain("nope", "StringType", crm_core::ColumnType::Text);
        let query = RemoteQuery::all("contact", "contactid", vec![field]);
        let error = read(&soap, query).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FieldUnknown, "{error:?}");
        assert!(
            error
                .detail()
                .unwrap()
                .contains("<attribute name=\"nope\">"),
            "{error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_queries_are_fetchxml() {
    let place = Organisation::start(6_000).await;
    for way in SOAP {
        let soap = place.session(way);
        let stats = Arc::new(CallStats::default());
        let statement = "<fetch><entity name='contact'><attribute name='lastname'/><attribute name='ownerid'/></entity></fetch>";
        let mut stream = Arc::clone(&soap)
            .native(statement, Arc::clone(&stats))
            .unwrap();
        let (mut n_pages, mut documents) = (0, Vec::new());
        while let Some(page) = stream.next().await.unwrap() {
            n_pages += 1;
            documents.extend(
                (0..page.n_rows).filter_map(|row| page.columns[0].text(row).map(str::to_owned)),
            );
        }
        assert!(
            documents.len() > 6_000 && n_pages == 2,
            "{way:?} {} {n_pages}",
            documents.len()
        );
        let document: serde_json::Value = serde_json::from_str(&documents[0]).unwrap();
        assert!(
            document["lastname"].is_string() && document["ownerid@type"].is_string(),
            "{document}"
        );
        let refused = Arc::clone(&soap)
            .native("contacts?$top=1", stats)
            .unwrap()
            .next()
            .await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotSupported);
    }
}
