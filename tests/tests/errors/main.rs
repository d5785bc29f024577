//! What can go wrong, told clearly: an SQLSTATE, what failed, what to do. After each the session works on, and the
//! server's log, written at the lowest level, holds no secret (every test ends with a look at it).

mod functions;
mod options;
mod replies;
mod roles;
mod signin;
mod transport;

use crm_tests::{Bench, Refusal};

/// The statement fails with that SQLSTATE, with these words in its message, and a hint with these words; an empty text
/// for the hint asks for none. The session is alive after it.
async fn fails(bench: &Bench, sql: &str, sqlstate: &str, message: &str, hint: &str) -> Refusal {
    let refusal = bench.db.refused(sql).await;
    is_told(sql, &refusal, sqlstate, message, hint);
    bench.db.is_alive().await;
    refusal
}

fn is_told(sql: &str, refusal: &Refusal, sqlstate: &str, message: &str, hint: &str) {
    assert_eq!(refusal.sqlstate, sqlstate, "{sql}\n{refusal:#?}");
    assert!(refusal.message.contains(message), "{sql}\n{refusal:#?}");
    assert!(refusal.hint.contains(hint), "{sql}\n{refusal:#?}");
    assert!(!refusal.message.contains('\n'), "one line: {refusal:#?}");
    assert!(
        !refusal.message.ends_with('.'),
        "no full stop: {refusal:#?}"
    );
    assert!(
        refusal
            .message
            .starts_with(|first: char| !first.is_uppercase()),
        "lower case: {refusal:#?}"
    );
    assert!(
        refusal.hint.is_empty() || refusal.hint.ends_with(['.', ')']),
        "full sentences: {refusal:#?}"
    );
}
