use super::*;
use crate::soap::exchange::tests::session;
use crm_core::{Aggregate, AggregateFunction, ColumnType, QueryField};
use crm_http::testkit::{Answer, Seen, Server};

const TOKEN: &str =
    include_str!("../../../tests/fixtures/soap/request_security_token_response_onpremise.xml");

fn answer_of(result: &str) -> String {
    format!(
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><RetrieveMultipleResponse xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><RetrieveMultipleResult xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic" xmlns:x="http://www.w3.org/2001/XMLSchema">{result}</RetrieveMultipleResult></RetrieveMultipleResponse></s:Body></s:Envelope>"#
    )
}

fn entity_of(name: &str) -> String {
    format!(
        r#"<b:Entity><b:Attributes><b:KeyValuePairOfstringanyType><c:key>name</c:key><c:value i:type="x:string">{name}</c:value></b:KeyValuePairOfstringanyType></b:Attributes><b:Id>00000000-0000-0000-0000-000000000001</b:Id></b:Entity>"#
    )
}

fn page_of(names: &[&str], more: bool, cookie: &str) -> String {
    let entities: String = names.iter().map(|name| entity_of(name)).collect();
    answer_of(&format!(
        "<b:Entities>{entities}</b:Entities><b:MoreRecords>{more}</b:MoreRecords><b:PagingCookie>{cookie}</b:PagingCookie>"
    ))
}

/// Answers sign-ins with a token, and queries by `answer`.
async fn service(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> Server {
    Server::start(move |seen| {
        if seen.target.ends_with("/usernamemixed") {
            return Answer::new(200, TOKEN);
        }
        answer(seen)
    })
    .await
    .unwrap()
}

fn names_query() -> RemoteQuery {
    let field = QueryField::plain("name", "StringType", ColumnType::Text);
    RemoteQuery::all("account", "accountid", vec![field])
}

async fn read(server: &Server, query: RemoteQuery) -> Result<Vec<String>> {
    let stats = Arc::new(CallStats::default());
    let mut pages = start(Arc::new(session(server)), query, stats);
    let mut names = Vec::new();
    while let Some(page) = pages.next().await? {
        for row in 0..page.n_rows {
            names.push(page.columns[0].text(row).unwrap_or_default().to_owned());
        }
    }
    Ok(names)
}

#[tokio::test]
async fn pages_follow_one_another_by_cookie() {
    let server = service(|seen| {
        let cookie = "&lt;cookie page=\"1\"&gt;&lt;accountid last=\"{A}\"/&gt;&lt;/cookie&gt;";
        Answer::new(
            200,
            if seen.body.contains("page=\"1\"&gt;&lt;entity") {
                page_of(&["a", "b"], true, cookie)
            } else if seen.body.contains("page=\"2\"") {
                // Escaped once for the query's attribute, and once more as text of the message.
                assert!(seen.body.contains(
                    "paging-cookie=\"&amp;lt;cookie page=&amp;quot;1&amp;quot;&gt;&amp;lt;accountid"
                ), "{}", seen.body);
                page_of(&[], true, "")
            } else {
                assert!(seen.body.contains("page=\"3\"") && !seen.body.contains("paging-cookie"));
                page_of(&["c"], false, "")
            },
        )
    })
    .await;
    assert_eq!(read(&server, names_query()).await.unwrap(), ["a", "b", "c"]);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn a_limit_ends_the_scan() {
    let server = service(|seen| {
        assert!(seen.body.contains("count=\"2\" page=\"1\""));
        Answer::new(200, page_of(&["a", "b"], true, "&lt;cookie/&gt;"))
    })
    .await;
    let query = RemoteQuery {
        limit: Some(2),
        ..names_query()
    };
    assert_eq!(read(&server, query).await.unwrap(), ["a", "b"]);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn replies_in_a_circle_are_noticed() {
    let server = service(|_| Answer::new(200, page_of(&["a"], true, "&lt;cookie/&gt;"))).await;
    let error = read(&server, names_query()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn identifiers_go_in_groups() {
    let server = service(|seen| {
        if !seen.body.contains("ExecuteMultiple") {
            return Answer::new(200, page_of(&["one"], false, ""));
        }
        let n_requests = seen.body.matches("OrganizationRequest i:type").count();
        let items: String = (0..n_requests)
            .map(|at| {
                format!(
                    r#"<n:ExecuteMultipleResponseItem><n:Fault i:nil="true"/><n:RequestIndex>{at}</n:RequestIndex><n:Response i:type="b:RetrieveMultipleResponse"><b:ResponseName>RetrieveMultiple</b:ResponseName><b:Results><b:KeyValuePairOfstringanyType><c:key>EntityCollection</c:key><c:value i:type="b:EntityCollection"><b:Entities>{}</b:Entities></c:value></b:KeyValuePairOfstringanyType></b:Results></n:Response></n:ExecuteMultipleResponseItem>"#,
                    entity_of(&format!("group {at}"))
                )
            })
            .collect();
        Answer::new(200, format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><ExecuteResponse xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><ExecuteResult xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic" xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:n="http://schemas.microsoft.com/xrm/2012/Contracts"><b:Results><b:KeyValuePairOfstringanyType><c:key>Responses</c:key><c:value>{items}</c:value></b:KeyValuePairOfstringanyType></b:Results></ExecuteResult></ExecuteResponse></s:Body></s:Envelope>"#
        ))
    })
    .await;
    let ids = |n: usize| {
        let ids = (0..n).map(|n| format!("00000000-0000-0000-0000-{n:012X}"));
        RemoteQuery {
            // Twice the same, in capitals, and what names no record.
            lookup: Some(ids.clone().chain(ids).chain(["x".to_owned()]).collect()),
            ..names_query()
        }
    };
    assert_eq!(read(&server, ids(500)).await.unwrap(), ["one"]);
    assert_eq!(
        read(&server, ids(1_001)).await.unwrap(),
        ["group 0", "group 1", "group 2"]
    );
    assert!(read(&server, ids(0)).await.unwrap().is_empty());
    let calls = server
        .seen()
        .iter()
        .filter(|seen| !seen.target.ends_with("/usernamemixed"))
        .count();
    assert_eq!(calls, 2);
}

#[tokio::test]
async fn records_are_counted_as_far_as_the_service_counts() {
    let number = |n: u32| {
        answer_of(&format!(
            r#"<b:Entities><b:Entity><b:Attributes><b:KeyValuePairOfstringanyType><c:key>n_records</c:key><c:value i:type="b:AliasedValue"><b:AttributeLogicalName>accountid</b:AttributeLogicalName><b:EntityLogicalName>account</b:EntityLogicalName><b:NeedFormatting>true</b:NeedFormatting><b:Value i:type="x:int">{n}</b:Value></c:value></b:KeyValuePairOfstringanyType></b:Attributes></b:Entity></b:Entities>"#
        ))
    };
    assert_eq!(counted(number(42).as_bytes()).unwrap(), 42);
    assert_eq!(counted(answer_of("<b:Entities/>").as_bytes()).unwrap(), 0);
    assert!(counted(answer_of("").as_bytes()).is_err());

    let server = service(|seen| {
        if seen.body.contains("aggregate=") {
            return Answer::new(500, r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Detail><OrganizationServiceFault xmlns="http://schemas.microsoft.com/xrm/2011/Contracts"><ErrorCode>-2147164125</ErrorCode><Message>AggregateQueryRecordLimit exceeded.</Message></OrganizationServiceFault></s:Detail></s:Fault></s:Body></s:Envelope>"#);
        }
        let is_first = seen.body.contains("page=\"1\"&gt;&lt;entity");
        let names: &[&str] = if is_first { &["a", "b"] } else { &["c"] };
        Answer::new(200, page_of(names, is_first, if is_first { "&lt;cookie/&gt;" } else { "" }))
    })
    .await;
    let query = RemoteQuery {
        fields: vec![QueryField::plain("", "", ColumnType::Int64)],
        aggregates: vec![Aggregate {
            function: AggregateFunction::CountAll,
            field: String::new(),
        }],
        ..names_query()
    };
    let stats = Arc::new(CallStats::default());
    let mut pages = start(Arc::new(session(&server)), query, stats);
    let page = pages.next().await.unwrap().unwrap();
    assert_eq!(
        page.columns[0].data(),
        &crm_core::ColumnData::Int64(vec![3])
    );
    assert!(pages.next().await.unwrap().is_none());
}
