//! Which joins can be done by lookup, and what that costs.

use crate::fdw::join::PATH;
use crate::fdw::planning::{Planning, planning_of};
use crate::pg::compat;
use crate::pg::expr::{Expression, columns_named};
use crate::pg::list;
use crate::plan::cost::{self, Lookups};
use crate::plan::lookup_join::{JoinKind, LookupClause};
use pgrx::pg_sys;

/// Bytes that a record takes beside its values while it is kept.
const RECORD_OVERHEAD: f64 = 120.0;

/// A path with what the plan node is made of. The server sees its first part.
#[repr(C)]
pub struct LookupPath {
    /// The server's part.
    pub custom: pg_sys::CustomPath,
    /// Which rows are given.
    pub kind: JoinKind,
    /// The foreign table.
    pub table: *mut pg_sys::RelOptInfo,
    /// The join's conditions, `RestrictInfo`s.
    pub conditions: *mut pg_sys::List,
    /// The one among them that makes the lookup.
    pub clause: *mut pg_sys::RestrictInfo,
    /// Identifiers expected to be fetched.
    pub n_keys: f64,
}

/// One join that can be done by lookup.
struct Join<'a> {
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    table: *mut pg_sys::RelOptInfo,
    planning: &'a Planning,
    kind: JoinKind,
    conditions: *mut pg_sys::List,
    clause: *mut pg_sys::RestrictInfo,
    key: *mut pg_sys::Node,
}

/// Adds paths that look records of `innerrel` up, if it is a foreign table of ours joined on its identifier. The server
/// asks for both orders of a join, so only the inner side is looked at.
///
/// # Safety
/// The planner's own pointers, as its hook gets them.
pub unsafe fn offer(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    outerrel: *mut pg_sys::RelOptInfo,
    innerrel: *mut pg_sys::RelOptInfo,
    jointype: pg_sys::JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
) {
    let kind = match jointype {
        pg_sys::JoinType::JOIN_INNER | pg_sys::JoinType::JOIN_UNIQUE_OUTER => JoinKind::Inner,
        pg_sys::JoinType::JOIN_LEFT => JoinKind::Left,
        pg_sys::JoinType::JOIN_SEMI => JoinKind::Semi,
        pg_sys::JoinType::JOIN_ANTI => JoinKind::Anti,
        // The others give records that no row asks for.
        _ => return,
    };
    // SAFETY: the caller's pointers are the planner's.
    unsafe {
        let Some(planning) = planning_of(innerrel) else {
            return;
        };
        let is_plain = (*innerrel).reloptkind == pg_sys::RelOptKind::RELOPT_BASEREL
            && (*innerrel).lateral_relids.is_null()
            && (*joinrel).lateral_relids.is_null()
            // An inheritance tree that is updated names its rows in a way that holds at the top only.
            && (*root).row_identity_vars.is_null();
        // Fetching the identifiers that its own condition names is cheaper still.
        if !is_plain || planning.plan.is_lookup() {
            return;
        }
        let conditions = (*extra).restrictlist;
        if !can_be_given(innerrel, conditions) {
            return;
        }
        let Some((clause, key)) =
            clause_of(planning, kind, joinrel, outerrel, innerrel, conditions)
        else {
            return;
        };
        let join = Join {
            root,
            joinrel,
            table: innerrel,
            planning,
            kind,
            conditions,
            clause,
            key,
        };
        if jointype == pg_sys::JoinType::JOIN_UNIQUE_OUTER {
            let cheapest = (*outerrel).cheapest_total_path;
            if (*cheapest).param_info.is_null() {
                let unique = pg_sys::create_unique_path(root, outerrel, cheapest, (*extra).sjinfo);
                if !unique.is_null() {
                    join.add(unique.cast(), jointype);
                }
            }
            return;
        }
        for outer in list::pointers::<pg_sys::Path>((*outerrel).pathlist) {
            let is_useful = outer == (*outerrel).cheapest_total_path
                || outer == (*outerrel).cheapest_startup_path
                || !(*outer).pathkeys.is_null();
            if is_useful && (*outer).param_info.is_null() {
                join.add(outer, jointype);
            }
        }
        join.add_sorted(outerrel, jointype);
    }
}

/// Everything that the statement wants of the table can be made from a record: its columns, the record as a whole,
/// the table's identifier; no other system column.
unsafe fn can_be_given(table: *mut pg_sys::RelOptInfo, conditions: *mut pg_sys::List) -> bool {
    let mut named = Vec::new();
    // SAFETY: the planner's own expressions.
    unsafe {
        let index = (*table).relid;
        columns_named((*(*table).reltarget).exprs.cast(), index, &mut named);
        for list in [(*table).baserestrictinfo, conditions] {
            for info in list::pointers::<pg_sys::RestrictInfo>(list) {
                columns_named((*info).clause.cast(), index, &mut named);
            }
        }
    }
    let table_oid = pg_sys::TableOidAttributeNumber as i16;
    named
        .into_iter()
        .all(|number| number >= 0 || number == table_oid)
}

/// The first clause that equates the identifier with something of the other side, and that something.
unsafe fn clause_of(
    planning: &Planning,
    kind: JoinKind,
    joinrel: *mut pg_sys::RelOptInfo,
    outerrel: *mut pg_sys::RelOptInfo,
    innerrel: *mut pg_sys::RelOptInfo,
    conditions: *mut pg_sys::List,
) -> Option<(*mut pg_sys::RestrictInfo, *mut pg_sys::Node)> {
    // SAFETY: the planner's own pointers.
    unsafe {
        let table = planning.plan.table();
        list::pointers::<pg_sys::RestrictInfo>(conditions).find_map(|info| {
            // The server hashes and merges by clauses without volatile functions only.
            let can_match = (*info).can_join
                && ((*info).hashjoinoperator != pg_sys::InvalidOid
                    || !(*info).mergeopfamilies.is_null())
                && !(kind.keeps_unmatched() && is_pushed_down(info, joinrel));
            let sides = [(*info).left_relids, (*info).right_relids];
            let separates = |[one, other]: [pg_sys::Relids; 2]| {
                pg_sys::bms_is_subset(one, (*outerrel).relids)
                    && pg_sys::bms_is_subset(other, (*innerrel).relids)
            };
            if !can_match || !(separates(sides) || separates([sides[1], sides[0]])) {
                return None;
            }
            let condition = Expression::of_restriction(info);
            LookupClause::read(table, (*innerrel).relid, condition)
                .map(|clause| (info, clause.key.node()))
        })
    }
}

/// A condition of an outer join that is checked after the join has added its nulls, not while rows are matched.
///
/// # Safety
/// Valid pointers of the planner.
pub unsafe fn is_pushed_down(
    info: *mut pg_sys::RestrictInfo,
    joinrel: *mut pg_sys::RelOptInfo,
) -> bool {
    // SAFETY: the caller's pointers are the planner's.
    unsafe {
        (*info).is_pushed_down || !pg_sys::bms_is_subset((*info).required_relids, (*joinrel).relids)
    }
}

/// Rows of the table are only written, and nothing but their identifiers is wanted of them. As with identifiers in a
/// list, whether there is such a record is said when it is written.
///
/// # Safety
/// `table` is a valid relation of the planner.
pub unsafe fn reads_nothing(
    planning: &Planning,
    kind: JoinKind,
    table: *mut pg_sys::RelOptInfo,
) -> bool {
    let is_identifier = |number: &i16| {
        let column = planning.plan.table().column(*number);
        column.is_some_and(|column| column.facts.identifier)
    };
    // SAFETY: the caller's pointer is valid.
    let has_conditions = unsafe { !(*table).baserestrictinfo.is_null() };
    planning.writes
        && kind == JoinKind::Inner
        && !has_conditions
        && planning.attributes.iter().all(is_identifier)
}

impl Join<'_> {
    /// Adds the path over these rows.
    unsafe fn add(&self, outer: *mut pg_sys::Path, jointype: pg_sys::JoinType::Type) {
        // SAFETY: the planner's own pointers; the path is made in the planner's memory.
        unsafe {
            let rows = (*outer).rows.max(1.0);
            let distinct = self.distinct(rows);
            let keys = if self.is_sorted(outer) {
                distinct
            } else {
                cost::keys_fetched(rows, distinct, self.kept())
            };
            self.add_with(outer, jointype, rows, keys);
        }
    }

    /// Adds a path over rows sorted by identifier, where that spares fetching a record twice.
    unsafe fn add_sorted(
        &self,
        outerrel: *mut pg_sys::RelOptInfo,
        jointype: pg_sys::JoinType::Type,
    ) {
        // SAFETY: the planner's own pointers; the path is made in the planner's memory.
        unsafe {
            let outer = (*outerrel).cheapest_total_path;
            if !(*outer).param_info.is_null() || (*self.clause).mergeopfamilies.is_null() {
                return;
            }
            let rows = (*outer).rows.max(1.0);
            let distinct = self.distinct(rows);
            if cost::keys_fetched(rows, distinct, self.kept()) <= distinct {
                return;
            }
            let pathkeys = self.order();
            let sorted = pg_sys::create_sort_path(self.root, outerrel, outer, pathkeys, -1.0);
            self.add_with(sorted.cast(), jointype, rows, distinct);
        }
    }

    /// The order by identifier.
    unsafe fn order(&self) -> *mut pg_sys::List {
        // SAFETY: the planner's own pointers; the clause can merge.
        unsafe {
            pg_sys::update_mergeclause_eclasses(self.root, self.clause);
            (*self.clause).outer_is_left =
                pg_sys::bms_equal((*self.clause).right_relids, (*self.table).relids);
            let clauses = list::from_pointers([self.clause]);
            pg_sys::select_outer_pathkeys_for_merge(self.root, clauses, self.joinrel)
        }
    }

    unsafe fn is_sorted(&self, outer: *mut pg_sys::Path) -> bool {
        // SAFETY: the planner's own pointers.
        unsafe {
            !(*outer).pathkeys.is_null()
                && !(*self.clause).mergeopfamilies.is_null()
                && pg_sys::pathkeys_contained_in(self.order(), (*outer).pathkeys)
        }
    }

    unsafe fn add_with(
        &self,
        outer: *mut pg_sys::Path,
        jointype: pg_sys::JoinType::Type,
        rows: f64,
        keys: f64,
    ) {
        // SAFETY: the planner's own pointers; the path is made in the planner's memory.
        unsafe {
            let scan = self
                .planning
                .plan
                .lookup_scan(&self.planning.attributes, keys);
            let calls = if reads_nothing(self.planning, self.kind, self.table) {
                0.0
            } else {
                scan.estimated_calls
            };
            let lookups = Lookups {
                outer: ((*outer).startup_cost, (*outer).total_cost),
                rows,
                keys,
                batch: self.planning.plan.lookup_batch(&scan) as f64,
                calls,
            };
            let (startup, total) = lookups.cost();
            let mut checks = pg_sys::QualCost::default();
            pg_sys::cost_qual_eval(&raw mut checks, self.conditions, self.root);
            let target = (*self.joinrel).reltarget;
            let extra = cost::of_conditions(checks, rows)
                + cost::of_conditions((*self.table).baserestrictcost, keys)
                + cost::of_conditions((*target).cost, (*self.joinrel).rows);
            let order_type = match jointype {
                pg_sys::JoinType::JOIN_UNIQUE_OUTER => pg_sys::JoinType::JOIN_INNER,
                other => other,
            };
            let pathkeys =
                pg_sys::build_join_pathkeys(self.root, self.joinrel, order_type, (*outer).pathkeys);
            let path = pg_sys::palloc0(size_of::<LookupPath>()).cast::<LookupPath>();
            let base = &raw mut (*path).custom.path;
            (*base).type_ = pg_sys::NodeTag::T_CustomPath;
            (*base).pathtype = pg_sys::NodeTag::T_CustomScan;
            (*base).parent = self.joinrel;
            (*base).pathtarget = target;
            (*base).rows = (*self.joinrel).rows;
            (*base).startup_cost = startup;
            (*base).total_cost = total + extra;
            (*base).pathkeys = pathkeys;
            compat::inherit_disabled(base, outer);
            (*path).custom.flags = compat::PROJECTS;
            (*path).custom.custom_paths = list::from_pointers([outer]);
            (*path).custom.methods = &raw const PATH.0;
            (*path).kind = self.kind;
            (*path).table = self.table;
            (*path).conditions = self.conditions;
            (*path).clause = self.clause;
            (*path).n_keys = keys;
            pg_sys::add_path(self.joinrel, base);
        }
    }

    /// Different identifiers among that many rows. A guess made without statistics is not believed.
    unsafe fn distinct(&self, rows: f64) -> f64 {
        // SAFETY: the planner's own pointers.
        unsafe {
            let mut estimation = pg_sys::EstimationInfo::default();
            let distinct = pg_sys::estimate_num_groups(
                self.root,
                list::from_pointers([self.key]),
                rows,
                std::ptr::null_mut(),
                &raw mut estimation,
            );
            if estimation.flags & pg_sys::SELFLAG_USED_DEFAULT == 0 {
                distinct.clamp(1.0, rows)
            } else {
                rows
            }
        }
    }

    /// Records that stay at hand for later rows.
    unsafe fn kept(&self) -> f64 {
        // SAFETY: the planner's own pointers, and a setting read by the backend's thread.
        unsafe {
            let width = f64::from((*(*self.table).reltarget).width);
            f64::from(pg_sys::work_mem) * 1024.0 / (width + RECORD_OVERHEAD)
        }
    }
}
