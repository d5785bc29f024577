//! Planning: which part of a statement the CRM answers, and what that costs. No call is made here (S-8).

pub mod cost;
pub mod lookup_join;
pub mod modify;
pub mod order;
pub mod private;
pub mod qual;
pub mod table;
pub mod upper;
