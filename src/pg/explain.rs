//! Lines of EXPLAIN.
#![allow(unsafe_code)]

use crate::pg::catalog::text_of;
use crate::pg::list;
use pgrx::pg_sys;
use std::ffi::CString;
use std::ptr::NonNull;

/// Where EXPLAIN writes, valid while its callback runs.
pub struct Explain {
    state: NonNull<pg_sys::ExplainState>,
}

impl Explain {
    /// Wraps the callback's argument.
    ///
    /// # Safety
    /// `state` is the callback's argument, and this value does not outlive the callback.
    pub unsafe fn new(state: *mut pg_sys::ExplainState) -> Self {
        Self {
            state: NonNull::new(state).expect("EXPLAIN has a state"),
        }
    }

    /// VERBOSE was given.
    pub fn is_verbose(&self) -> bool {
        // SAFETY: valid by the constructor's contract.
        unsafe { self.state.as_ref().verbose }
    }

    /// ANALYZE was given.
    pub fn is_analyze(&self) -> bool {
        // SAFETY: valid by the constructor's contract.
        unsafe { self.state.as_ref().analyze }
    }

    /// COSTS is on: estimates are shown.
    pub fn shows_costs(&self) -> bool {
        // SAFETY: valid by the constructor's contract.
        unsafe { self.state.as_ref().costs }
    }

    /// The conditions of a list as SQL, in the words of the plan that holds them.
    ///
    /// # Safety
    /// `conditions` is a list of conditions of `plan`, which is part of the plan explained; `ancestors` is null or what
    /// EXPLAIN gave with it. Columns are named with their relation if `prefixed`.
    pub unsafe fn conditions(
        &self,
        plan: *mut pg_sys::Plan,
        ancestors: *mut pg_sys::List,
        conditions: *mut pg_sys::List,
        prefixed: bool,
    ) -> Vec<String> {
        // SAFETY: valid by the constructor's and the caller's contract; the texts are copied.
        unsafe {
            let state = self.state.as_ref();
            let context = pg_sys::set_deparse_context_plan(state.deparse_cxt, plan, ancestors);
            list::pointers::<pg_sys::Node>(conditions)
                .map(|condition| {
                    let text = pg_sys::deparse_expression(condition, context, prefixed, false);
                    text_of(text).to_owned()
                })
                .collect()
        }
    }

    /// A property with a text.
    pub fn text(&mut self, label: &str, value: &str) {
        let label = CString::new(label).unwrap_or_default();
        let value = CString::new(value.replace('\0', "")).unwrap_or_default();
        // SAFETY: both strings are copied.
        unsafe {
            pg_sys::ExplainPropertyText(label.as_ptr(), value.as_ptr(), self.state.as_ptr());
        }
    }

    /// A property with a whole number.
    pub fn integer(&mut self, label: &str, value: u64) {
        let label = CString::new(label).unwrap_or_default();
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        // SAFETY: the label is copied.
        unsafe {
            pg_sys::ExplainPropertyInteger(
                label.as_ptr(),
                std::ptr::null(),
                value,
                self.state.as_ptr(),
            );
        }
    }
}
