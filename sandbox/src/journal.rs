//! What was asked of the server: a count for each kind of call and the last thousand requests.
//! Bodies and authorization headers are never kept; of a query string only the `q` parameter is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};

/// Requests kept.
const KEPT: usize = 1_000;

/// One request and how it ended.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub method: String,
    pub path: String,
    /// The decoded `q` or `$filter` parameter, or the action of SOAP.
    pub query: Option<String>,
    pub host: &'static str,
    /// 0 when the connection was dropped without an answer.
    pub status: u16,
    /// Body bytes sent.
    pub bytes: usize,
    /// The fault that was applied.
    pub fault: Option<String>,
}

#[derive(Default)]
struct State {
    calls: BTreeMap<&'static str, u64>,
    data_calls: u64,
    /// Body bytes sent since the start or the last clearing.
    bytes: u64,
    log: VecDeque<Entry>,
}

/// Counters and log.
#[derive(Default)]
pub struct Journal {
    state: Mutex<State>,
}

impl Journal {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request as it arrives.
    pub fn count(&self, kind: &'static str, is_data: bool) {
        let mut state = self.state();
        *state.calls.entry(kind).or_default() += 1;
        state.data_calls += u64::from(is_data);
    }

    /// Logs a request as it ends.
    pub fn log(&self, entry: Entry) {
        let mut state = self.state();
        state.bytes += entry.bytes as u64;
        if state.log.len() == KEPT {
            state.log.pop_front();
        }
        state.log.push_back(entry);
    }

    /// Counters and log as JSON.
    pub fn report(&self) -> Value {
        const ALWAYS: &[&str] = &[
            "query",
            "query_more",
            "describe",
            "describe_global",
            "login",
            "retrieve",
            "composite",
            "limits",
            "record",
            "identity",
            "versions",
            "dml",
            "collection_create",
            "collection_update",
            "collection_upsert",
            "collection_delete",
            "deleted",
            "updated",
            "bulk_create",
            "bulk_upload",
            "bulk_close",
            "bulk_poll",
            "bulk_results",
            "bulk_delete",
            "soap_login",
            "soap_logoff",
            "soap_query",
            "soap_write",
            "soap_deleted",
            "soap_picklist",
            "soap_mapping",
            "soap_time",
        ];
        let state = self.state();
        let mut calls: BTreeMap<&str, u64> = ALWAYS.iter().map(|kind| (*kind, 0)).collect();
        calls.extend(state.calls.iter().map(|(kind, n)| (*kind, *n)));
        json!({"calls": calls, "data_calls": state.data_calls, "bytes": state.bytes, "log": state.log})
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.state() = State::default();
    }
}
