//! Records that were fetched and the rows that wait for them: a batch of the other side at a time, in bounded memory.

use crate::exec::lookup_join::Keys;
use crate::pg::datum::to_value;
use crate::plan::lookup_join::LookupJoinPlan;
use crm_core::Value;
use pgrx::{PgMemoryContexts, pg_sys};

/// Records at hand, by the number of their key.
pub struct Fetched {
    /// Every identifier asked for since the last clearing.
    pub keys: Keys,
    /// Where the records' values lie.
    context: pg_sys::MemoryContext,
    /// The identifier's place in the table, and its type.
    identifier: (usize, pg_sys::Oid),
    /// For a column's place in the table, its place in a record.
    places: Vec<Option<usize>>,
    width: usize,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

/// A record's values, null where absent.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    fetched: &'a Fetched,
    start: usize,
}

impl Fetched {
    /// Nothing yet; values will lie in a context below `parent`.
    ///
    /// # Safety
    /// `parent` is a valid memory context that outlives this.
    pub unsafe fn new(parent: pg_sys::MemoryContext, plan: &LookupJoinPlan) -> Self {
        // SAFETY: a context like any other, deleted with its parent.
        let context = unsafe {
            pg_sys::AllocSetContextCreateInternal(
                parent,
                c"CRM records".as_ptr(),
                0,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        let mut places = Vec::new();
        for (at, output) in plan.scan.outputs.iter().enumerate() {
            let place = usize::try_from(output.attribute - 1).unwrap_or(0);
            if places.len() <= place {
                places.resize(place + 1, None);
            }
            places[place] = Some(at);
        }
        Self {
            keys: Keys::default(),
            context,
            identifier: (
                usize::try_from(plan.identifier - 1).unwrap_or(0),
                plan.identifier_type(),
            ),
            places,
            width: plan.scan.outputs.len(),
            values: Vec::new(),
            nulls: Vec::new(),
        }
    }

    /// Bytes taken.
    pub fn size(&self) -> usize {
        // SAFETY: the context is alive as long as this.
        let values = unsafe { pg_sys::MemoryContextMemAllocated(self.context, true) };
        let per_value = size_of::<pg_sys::Datum>() + 1;
        values as usize + self.values.len() * per_value + self.keys.size()
    }

    /// Forgets all records and keys. No row waits for one.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.nulls.clear();
        // SAFETY: no value in it is named any more.
        unsafe { pg_sys::MemoryContextReset(self.context) };
    }

    /// Takes one record from `read`, which writes values at places of the table and says whether there is one.
    pub fn take<E>(
        &mut self,
        read: impl FnOnce(&mut dyn FnMut(usize, Option<pg_sys::Datum>)) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let start = self.values.len();
        self.values
            .resize(start + self.width, pg_sys::Datum::from(0_usize));
        self.nulls.resize(start + self.width, true);
        let (values, nulls, places) = (&mut self.values, &mut self.nulls, &self.places);
        let mut write = |place: usize, datum: Option<pg_sys::Datum>| {
            if let (Some(datum), Some(Some(at))) = (datum, places.get(place)) {
                values[start + at] = datum;
                nulls[start + at] = false;
            }
        };
        // SAFETY: the context is alive; the one of before is back when this returns, and an error ends the query.
        let found = unsafe { PgMemoryContexts::For(self.context).switch_to(|_| read(&mut write)) }?;
        let (place, type_oid) = self.identifier;
        let key = self.record_at(start).value(place);
        match key.filter(|_| found) {
            Some(key) => {
                // SAFETY: the value is of the type of the identifier's column.
                let key = unsafe { to_value(type_oid, key) };
                if let Some(key) = key.as_ref().and_then(Value::identifier) {
                    self.keys.found(&key, start);
                }
            }
            None => {
                self.values.truncate(start);
                self.nulls.truncate(start);
            }
        }
        Ok(found)
    }

    /// The record of a key, if there is one.
    pub fn record(&self, key: u32) -> Option<Record<'_>> {
        self.keys.place(key).map(|start| self.record_at(start))
    }

    fn record_at(&self, start: usize) -> Record<'_> {
        Record {
            fetched: self,
            start,
        }
    }
}

impl Record<'_> {
    /// The value at a place of the table, from 0.
    pub fn value(&self, place: usize) -> Option<pg_sys::Datum> {
        let at = self.start + self.fetched.places.get(place).copied().flatten()?;
        (!self.fetched.nulls[at]).then(|| self.fetched.values[at])
    }
}
