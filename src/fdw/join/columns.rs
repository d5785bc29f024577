//! The joined row's columns while the plan node is made: what its expressions name, and where that comes from.

use crate::pg::compat;
use crate::pg::list;
use crate::plan::lookup_join::Source;
use pgrx::pg_sys;

/// The columns collected so far.
pub struct Columns {
    /// Index of the foreign table in the range table.
    index: u32,
    /// What the other side gives, target entries.
    given: *mut pg_sys::List,
    /// What the table's side gives.
    table_target: *mut pg_sys::List,
    entries: Vec<(*mut pg_sys::Node, Source)>,
    /// Expressions over the record or the joined row.
    computed: Vec<*mut pg_sys::Node>,
}

impl Columns {
    /// None yet; `given` are the target entries of the other side's plan, `table` the foreign table.
    ///
    /// # Safety
    /// Valid pointers of the planner, which outlive this.
    pub unsafe fn new(given: *mut pg_sys::List, table: *mut pg_sys::RelOptInfo) -> Self {
        // SAFETY: the caller's pointers are valid.
        unsafe {
            Self {
                index: (*table).relid,
                given,
                table_target: (*(*table).reltarget).exprs,
                entries: Vec::new(),
                computed: Vec::new(),
            }
        }
    }

    /// Adds what an expression, or a list of them, needs.
    ///
    /// # Safety
    /// `node` is null or a valid expression of this join.
    pub unsafe fn need(&mut self, node: *mut pg_sys::Node) {
        let flags = pg_sys::PVC_RECURSE_AGGREGATES
            | pg_sys::PVC_RECURSE_WINDOWFUNCS
            | pg_sys::PVC_INCLUDE_PLACEHOLDERS;
        // SAFETY: the caller's node is valid; the list holds columns and placeholders.
        unsafe {
            let named: Vec<*mut pg_sys::Node> =
                list::pointers(pg_sys::pull_var_clause(node, flags as i32)).collect();
            for node in named {
                if self.place(node).is_some() {
                    continue;
                }
                if (*node).type_ == pg_sys::NodeTag::T_Var {
                    let source = self.source_of_column(node.cast());
                    self.entries.push((node, source));
                    continue;
                }
                let content = (*node.cast::<pg_sys::PlaceHolderVar>()).phexpr.cast();
                if let Some(at) = self.given_at(node) {
                    self.entries.push((node, Source::Outer(at)));
                    continue;
                }
                // What it needs comes first, so that computing in the order of places is right.
                self.need(content);
                let at = self.computed.len();
                let source = if self.is_of_table(node) {
                    Source::OfRecord(at)
                } else {
                    Source::OfJoin(at)
                };
                self.entries.push((node, source));
                self.computed.push(content);
            }
        }
    }

    unsafe fn source_of_column(&self, column: *mut pg_sys::Var) -> Source {
        // SAFETY: the caller's node is a column.
        unsafe {
            if (*column).varno as u32 != self.index {
                let at = self
                    .given_at(column.cast())
                    .expect("the other side gives the columns that a join of it names");
                return Source::Outer(at);
            }
            match (*column).varattno {
                0 => Source::Record,
                number if number < 0 => Source::Table,
                number => Source::Field(number),
            }
        }
    }

    /// The place of a column or placeholder in the other side's rows.
    unsafe fn given_at(&self, node: *mut pg_sys::Node) -> Option<usize> {
        // SAFETY: the list holds target entries.
        unsafe {
            list::pointers::<pg_sys::TargetEntry>(self.given)
                .position(|entry| is_same((*entry).expr.cast(), node))
        }
    }

    unsafe fn is_of_table(&self, node: *mut pg_sys::Node) -> bool {
        // SAFETY: the list holds expressions.
        unsafe {
            list::pointers::<pg_sys::Node>(self.table_target)
                .any(|candidate| is_same(candidate, node))
        }
    }

    /// The place of a column or placeholder in the joined row.
    unsafe fn place(&self, node: *mut pg_sys::Node) -> Option<usize> {
        // SAFETY: the entries are valid nodes.
        self.entries
            .iter()
            .position(|(entry, _)| unsafe { is_same(*entry, node) })
    }

    /// Where the columns come from, in order.
    pub fn sources(&self) -> Vec<Source> {
        self.entries.iter().map(|(_, source)| *source).collect()
    }

    /// The columns of the table that a record must hold for all this. `all` are its columns, `whole` those that are
    /// needed where the record as a whole is.
    pub fn attributes(&self, all: impl Iterator<Item = i16>, whole: &[i16]) -> Vec<i16> {
        let wants = |wanted: Source| self.entries.iter().any(|(_, source)| *source == wanted);
        let is_whole = wants(Source::Record);
        all.filter(|number| wants(Source::Field(*number)) || (is_whole && whole.contains(number)))
            .collect()
    }

    /// What is computed, in order.
    pub fn computed(&self) -> &[*mut pg_sys::Node] {
        &self.computed
    }

    /// The columns as target entries of the joined row.
    ///
    /// # Safety
    /// Called while the statement is planned.
    pub unsafe fn target_list(&self) -> *mut pg_sys::List {
        let entries = self.entries.iter().zip(1..).map(|((node, _), number)| {
            // SAFETY: a copy of a valid node, in the planner's memory.
            unsafe {
                let copy = pg_sys::copyObjectImpl((*node).cast()).cast();
                pg_sys::makeTargetEntry(copy, number, std::ptr::null_mut(), false)
            }
        });
        // SAFETY: the entries were made here.
        unsafe { list::from_pointers(entries.collect::<Vec<_>>()) }
    }

    /// A copy of an expression that names columns and placeholders exactly as the joined row has them: since 16 the
    /// same column differs by the outer joins it came through, and the server insists on the very same.
    ///
    /// # Safety
    /// `node` is null or a valid expression whose columns were added.
    pub unsafe fn adapted(&self, node: *mut pg_sys::Node) -> *mut pg_sys::Node {
        // SAFETY: works on a copy.
        unsafe {
            let copy = pg_sys::copyObjectImpl(node.cast()).cast::<pg_sys::Node>();
            adapt(copy, (&raw const *self).cast_mut().cast());
            copy
        }
    }
}

/// Both are the same column, or the same placeholder.
unsafe fn is_same(one: *mut pg_sys::Node, other: *mut pg_sys::Node) -> bool {
    // SAFETY: valid nodes, and the casts follow the tags.
    unsafe {
        if (*one).type_ != (*other).type_ {
            return false;
        }
        match (*one).type_ {
            pg_sys::NodeTag::T_Var => {
                let (one, other) = (one.cast::<pg_sys::Var>(), other.cast::<pg_sys::Var>());
                (*one).varno == (*other).varno && (*one).varattno == (*other).varattno
            }
            pg_sys::NodeTag::T_PlaceHolderVar => {
                let one = one.cast::<pg_sys::PlaceHolderVar>();
                (*one).phid == (*other.cast::<pg_sys::PlaceHolderVar>()).phid
            }
            _ => false,
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn adapt(node: *mut pg_sys::Node, context: *mut std::ffi::c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the walker hands over nodes of the copy and the columns given to it.
    unsafe {
        let columns = &*context.cast::<Columns>();
        let is_named = matches!(
            (*node).type_,
            pg_sys::NodeTag::T_Var | pg_sys::NodeTag::T_PlaceHolderVar
        );
        if is_named && let Some(place) = columns.place(node) {
            compat::take_joins_of(node, columns.entries[place].0);
            return false;
        }
        pg_sys::expression_tree_walker(node, Some(adapt), context)
    }
}
