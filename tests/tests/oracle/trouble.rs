//! Bad input and bad days: a clear error, or the same page again; nothing lost, nothing fetched.

use std::sync::Arc;

use crm_core::{CallStats, ColumnType, ErrorKind, QueryField};
use serde_json::json;

use crate::company::{Company, contacts, ids, on_page, pages, texts};

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_waited_for() {
    let company = Company::start(450).await;
    let session = company.session(&[]);
    let all = ids(&session, contacts()).await.unwrap();
    for fault in [
        json!({"kind": "cut", "bytes": 500}),
        json!({"kind": "lose_reply"}),
        json!({"kind": "status", "status": 503}),
        json!({"kind": "status", "status": 502}),
        json!({"kind": "status", "status": 500, "error_code": "SBL-ODU-01005", "ms": 30}),
        json!({"kind": "status", "status": 200, "error_code": "SBL-ODU-01005", "ms": 30}),
        json!({"kind": "status", "status": 500, "error_code": "SBL-ODU-01006", "message": "RIP_WAIT_ERROR_TIMEOUT"}),
    ] {
        for after in [0, 2] {
            company.admin.reset().await;
            let mut fault = on_page(fault.clone());
            fault["after"] = json!(after);
            company.admin.fault(fault.clone()).await;
            let stats = Arc::new(CallStats::default());
            let (found, error) = pages(&session, contacts(), &stats).await;
            assert!(error.is_none(), "{fault}: {error:?}");
            assert_eq!(texts(&found, 0), all, "{fault}");
            assert_eq!(stats.retries(), 1, "{fault}");
            assert_eq!(
                stats.data_calls(),
                all.len().div_ceil(100) as u64 + 1,
                "{fault}"
            );
        }
    }
    assert_eq!(company.open_sessions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_least_time_between_requests_is_learned() {
    let company = Company::start(1_500).await;
    company.set(json!({"min_interval_ms": 40})).await;
    let session = company.session(&[]);
    let stats = Arc::new(CallStats::default());
    let (found, error) = pages(&session, contacts(), &stats).await;
    assert!(error.is_none(), "{error:?}");
    assert!(texts(&found, 0).len() >= 1_500);
    // Asked once for fewer requests, it keeps the distance by itself: else every further page would be refused first. A
    // machine under load may let a request arrive early.
    assert!(stats.retries() < 8, "{}", stats.retries());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_page_is_an_error() {
    let company = Company::start(450).await;
    let session = company.session(&[]);
    for (fault, kind) in [
        (json!({"kind": "html"}), ErrorKind::Undecodable),
        (json!({"kind": "empty"}), ErrorKind::Undecodable),
        (json!({"kind": "malformed"}), ErrorKind::Undecodable),
        (json!({"kind": "bad_utf8"}), ErrorKind::Undecodable),
        (json!({"kind": "deep"}), ErrorKind::Undecodable),
        (json!({"kind": "entity_bomb"}), ErrorKind::Undecodable),
        (json!({"kind": "wrong_charset"}), ErrorKind::Undecodable),
        (json!({"kind": "redirect"}), ErrorKind::Undecodable),
        (
            json!({"kind": "status", "status": 500, "error_code": "SBL-DAT-00553", "message": "no access"}),
            ErrorKind::NotPermitted,
        ),
        (
            json!({"kind": "status", "status": 200, "error_code": "SBL-SBL-70172", "message": "used up"}),
            ErrorKind::AllotmentUsedUp,
        ),
        (
            json!({"kind": "status", "status": 500, "error_code": "SBL-XXX-12345", "message": "never seen"}),
            ErrorKind::RemoteFault,
        ),
    ] {
        for after in [0, 2] {
            company.admin.reset().await;
            let mut fault = on_page(fault.clone());
            fault["after"] = json!(after);
            company.admin.fault(fault.clone()).await;
            let (found, error) = pages(&session, contacts(), &Arc::default()).await;
            let error = error.unwrap_or_else(|| panic!("{fault} went well"));
            assert_eq!(error.kind(), kind, "{fault}: {error:?}");
            assert_eq!(found.len(), after, "{fault}");
            assert!(!error.message().ends_with('.') && !error.message().contains('\n'));
            company.keeps_secrets(&error);
        }
    }
    // Values that do not convert are rejects of their cells.
    for kind in ["nul", "wrong_types"] {
        company.admin.fault(on_page(json!({"kind": kind}))).await;
        let (found, error) = pages(&session, contacts(), &Arc::default()).await;
        assert!(error.is_none(), "{kind}: {error:?}");
        let rejects: Vec<_> = found.iter().flat_map(|page| &page.rejects).collect();
        assert_eq!(rejects.len(), 1, "{kind}");
        assert!(rejects[0].record.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_not_there_is_named() {
    let company = Company::start(5).await;
    let session = company.session(&[]);
    for bare in [true, false] {
        company.set(json!({"bare_codes": bare})).await;
        let mut query = contacts();
        query
            .fields
            .push(QueryField::plain("ShoeSize", "Number", ColumnType::Numeric));
        let error = ids(&session, query).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FieldUnknown, "{error:?}");
        assert_eq!(
            error.message(),
            "object \"Contact\" has no field \"ShoeSize\""
        );
        assert!(error.detail().unwrap().contains("SBL-EAI-04127"));
        assert!(
            error
                .detail()
                .unwrap()
                .contains("Remote query: Contact(Id,")
        );
        assert!(error.hint().is_some());
    }
    let mut query = contacts();
    query.filter = Some(crm_core::Filter::IsNull {
        field: "ShoeSize".into(),
    });
    let error = ids(&session, query).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FieldUnknown, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_reply_is_cut_off() {
    let company = Company::start(5).await;
    let session = company.session(&[]);
    company.admin.fault(on_page(json!({"kind": "huge"}))).await;
    let error = ids(&session, contacts()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_with_more_rows_than_the_crm_pages_through_is_read() {
    let company = Company::start(1_000).await;
    company.set(json!({"row_ceiling": 200})).await;
    let session = company.session(&[]);
    assert!(ids(&session, contacts()).await.unwrap().len() >= 1_000);
}
